#include "nn/autograd_op.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"

namespace akin::nn {
namespace {

namespace ag = torch::autograd;

class OpNode final : public ag::Node {
 public:
  OpNode(const char* name, size_t inputs, BackwardFunction backward)
      : name_(name), inputs_(inputs), backward_(std::move(backward)) {}

  std::string name() const override { return name_; }
  void release_variables() override { backward_ = nullptr; }

  ag::variable_list apply(ag::variable_list&& d_outputs) override {
    if (!backward_) {
      throw_error(ErrorKind::internal, name_,
                  "backward twice through the same graph, whose values are freed already");
    }
    std::vector<bool> needs(inputs_);
    for (size_t i = 0; i < inputs_; ++i) needs[i] = task_should_compute_output(i);
    if (!d_outputs.at(0).defined()) return ag::variable_list(inputs_);
    const at::NoGradGuard no_graph;
    std::vector<at::Tensor> out = backward_(d_outputs[0], needs);
    AKIN_CHECK(out.size() == inputs_);
    return out;
  }

 private:
  const char* name_;
  size_t inputs_;
  BackwardFunction backward_;
};

}  // namespace

bool wants_graph(std::span<const at::Tensor> inputs) {
  return at::GradMode::is_enabled() &&
         std::any_of(inputs.begin(), inputs.end(),
                     [](const at::Tensor& t) { return t.defined() && t.requires_grad(); });
}

at::Tensor with_backward(at::Tensor output, std::span<const at::Tensor> inputs, const char* name,
                         BackwardFunction backward) {
  if (!wants_graph(inputs)) return output;
  const std::shared_ptr<OpNode> node(new OpNode(name, inputs.size(), std::move(backward)),
                                     ag::deleteNode);
  ag::edge_list edges;
  edges.reserve(inputs.size());
  for (const at::Tensor& input : inputs) {
    edges.push_back(input.defined() && input.requires_grad() ? ag::impl::gradient_edge(input)
                                                             : ag::Edge());
  }
  node->set_next_edges(std::move(edges));
  const uint32_t number = node->add_input_metadata(output);
  ag::impl::set_gradient_edge(output, {node, number});
  return output;
}

std::vector<at::Tensor> gradients_of(const at::Tensor& output, const at::Tensor& d_output,
                                     const std::vector<at::Tensor>& inputs) {
  return ag::grad({output}, inputs, {d_output}, /*retain_graph=*/false, /*create_graph=*/false,
                  /*allow_unused=*/true);
}

}  // namespace akin::nn
