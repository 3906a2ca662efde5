#include "nn/torch_ops.h"

#include <ATen/ATen.h>

namespace akin::nn {
namespace {

c10::optional<at::Tensor> given(const at::Tensor& t) {
  return t.defined() ? c10::optional<at::Tensor>(t) : c10::optional<at::Tensor>();
}

}  // namespace

at::Tensor norm_rows(const ArchSpec& arch, const at::Tensor& x, const at::Tensor& gamma,
                     const at::Tensor& beta) {
  const auto eps = static_cast<double>(arch.norm_eps);
  const at::Tensor rows = x.to(gamma.scalar_type());
  if (arch.norm == NormKind::layer_norm)
    return at::layer_norm(rows, {rows.size(-1)}, given(gamma), given(beta), eps);
  return rows * at::rsqrt(at::mean(rows * rows, {-1}, true) + eps) * gamma;
}

at::Tensor activate_rows(const at::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::gelu_erf:
      return at::gelu(x, "none");
    case Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case Activation::relu:
      return at::relu(x);
    case Activation::silu:
      return at::silu(x);
    case Activation::tanh:
      return at::tanh(x);
    case Activation::sigmoid:
      return at::sigmoid(x);
    case Activation::identity:
      break;
  }
  return x;
}

at::Tensor linear_rows(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       bool low_precision) {
  if (!low_precision) return at::linear(x.to(weight.scalar_type()), weight, given(bias));
  const at::Tensor low_bias = bias.defined() ? bias.to(at::kBFloat16) : bias;
  return at::linear(x.to(at::kBFloat16), weight.to(at::kBFloat16), given(low_bias));
}

at::Tensor normalize_rows(const at::Tensor& x) { return x / x.norm(2, -1, true).clamp_min(1e-12); }

}  // namespace akin::nn
