#include "nn/kernel_stack.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "base/error.h"
#include "nn/autograd_op.h"

namespace akin::nn {
namespace {

constexpr std::string_view kTokenTable = "embed.token";
constexpr size_t kRowsPerTask = 256;

bool is_read(std::string_view name) {
  return name.starts_with("embed.") || name.starts_with("layer.") ||
         name.starts_with("final_norm.") || name.starts_with("relative_bias.") ||
         name.starts_with("adapter.");
}

MatView<float> view_of(const at::Tensor& t) {
  AKIN_CHECK(t.is_cpu() && t.scalar_type() == at::kFloat && t.is_contiguous());
  const bool matrix = t.dim() == 2;
  return {t.data_ptr<float>(), matrix ? static_cast<size_t>(t.size(0)) : 1,
          static_cast<size_t>(matrix ? t.size(1) : t.numel())};
}

}  // namespace

// A table of zeros that the stack adds to. What a batch added is moved out row by row and zeroed
// again, so a step costs the rows it used; the system gives no memory for rows never touched.
class KernelStack::TokenGradient {
 public:
  MatView<float> table(size_t rows, size_t cols) {
    if (!zeros_) {
      zeros_.reset(static_cast<float*>(std::calloc(rows * cols, sizeof(float))));
      if (!zeros_) throw std::bad_alloc();
    }
    return {zeros_.get(), rows, cols};
  }

  at::Tensor take(const TokenBatch& batch, int64_t rows, int64_t cols, ThreadPool& pool) {
    std::vector<int64_t> used(batch.ids.begin(), batch.ids.end());
    std::sort(used.begin(), used.end());
    used.erase(std::unique(used.begin(), used.end()), used.end());
    at::Tensor values = at::empty({static_cast<int64_t>(used.size()), cols}, at::kFloat);
    float* const out = values.data_ptr<float>();
    const auto width = static_cast<size_t>(cols);
    parallel_for(pool, used.size(), kRowsPerTask, [&](size_t i, size_t) {
      float* const row = zeros_.get() + static_cast<size_t>(used[i]) * width;
      std::memcpy(out + i * width, row, width * sizeof(float));
      std::memset(row, 0, width * sizeof(float));
    });
    return at::_sparse_coo_tensor_unsafe(at::tensor(used, at::kLong).unsqueeze(0), values,
                                         {rows, cols})
        ._coalesced_(true);
  }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> zeros_;
};

KernelStack::KernelStack(const ArchSpec& arch, const StackOptions& options, ThreadPool& pool)
    : arch_(arch),
      pool_(pool),
      stack_(CpuStack::make(arch, options, pool)),
      token_gradient_(std::make_shared<TokenGradient>()) {}

KernelStack::~KernelStack() = default;

at::Tensor KernelStack::forward(const NamedTensors& weights, const TokenBatch& batch,
                                const DropoutSeed& seed) {
  std::vector<std::string> names;
  std::vector<at::Tensor> inputs;
  for (const auto& [name, tensor] : weights) {
    if (!is_read(name)) continue;
    names.push_back(name);
    inputs.push_back(tensor);
  }
  if (!packed_) {
    StackTensors views;
    for (size_t i = 0; i < names.size(); ++i) views[names[i]] = {view_of(inputs[i])};
    stack_->set_weights(views);
    packed_ = true;
  }
  at::Tensor out = at::empty({static_cast<int64_t>(batch.tokens()), arch_.hidden}, at::kFloat);
  if (batch.tokens() == 0) return out;
  std::shared_ptr<const CpuStack::Pass> pass =
      stack_->forward(batch, seed.seed, seed.first_text, wants_graph(inputs), view_of(out));
  if (!pass) return out;
  return with_backward(
      out, inputs, "CpuStack",
      [stack = stack_, table = token_gradient_, &pool = pool_, pass, names, inputs, batch](
          const at::Tensor& d_out, const std::vector<bool>& needs) {
        std::vector<at::Tensor> gradients(names.size());
        StackTensors views;
        size_t tokens = names.size();
        for (size_t i = 0; i < names.size(); ++i) {
          if (!needs[i]) continue;
          if (names[i] == kTokenTable) {
            tokens = i;
            views[names[i]] = {table->table(static_cast<size_t>(inputs[i].size(0)),
                                            static_cast<size_t>(inputs[i].size(1)))};
          } else {
            gradients[i] = at::zeros(inputs[i].sizes(), at::kFloat);
            views[names[i]] = {view_of(gradients[i])};
          }
        }
        const at::Tensor contiguous = d_out.contiguous();
        stack->backward(*pass, view_of(contiguous), views);
        if (tokens < names.size()) {
          gradients[tokens] =
              table->take(batch, inputs[tokens].size(0), inputs[tokens].size(1), pool);
        }
        return gradients;
      });
}

}  // namespace akin::nn
