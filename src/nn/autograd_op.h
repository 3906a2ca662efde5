// One node of torch's graph made of a value that was computed by other means and a function that
// gives its gradients. The only place that knows torch's autograd classes; no second derivatives.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <vector>

namespace akin::nn {

// d_out: the gradient of the output, any layout. needs[i]: is the gradient of input i asked for?
// Returns one gradient per input, undefined where it is not needed; sparse rows are allowed.
using BackwardFunction =
    std::function<std::vector<at::Tensor>(const at::Tensor& d_out, const std::vector<bool>& needs)>;

// Is gradient mode on and does any of the tensors require a gradient?
bool wants_graph(std::span<const at::Tensor> inputs);

// `output` with `backward` attached, if wants_graph(inputs); else `output` as it is. `name` appears
// in torch's messages and is a literal. What `backward` holds is freed with the graph.
at::Tensor with_backward(at::Tensor output, std::span<const at::Tensor> inputs, const char* name,
                         BackwardFunction backward);

// Gradients of sum(output * d_output) with respect to `inputs`, undefined where there is none:
// a graph within a graph, for a part that is computed again in backward.
std::vector<at::Tensor> gradients_of(const at::Tensor& output, const at::Tensor& d_output,
                                     const std::vector<at::Tensor>& inputs);

}  // namespace akin::nn
