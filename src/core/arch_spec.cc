#include "core/arch_spec.h"

#include <cmath>

#include "base/error.h"

namespace akin {

float ArchSpec::resolved_attention_scale() const {
  if (attention_scale != 0) return attention_scale;
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
}

std::string_view pooling_mode_name(PoolingMode mode) {
  constexpr std::string_view kNames[] = {"cls",          "max",      "mean", "mean_sqrt_len_tokens",
                                         "weightedmean", "lasttoken"};
  return kNames[static_cast<size_t>(mode)];
}

Activation activation_from_name(std::string_view name, std::string_view where) {
  if (const size_t dot = name.rfind('.'); dot != std::string_view::npos)
    name.remove_prefix(dot + 1);
  struct Row {
    std::string_view name;
    Activation activation;
  };
  constexpr Row kRows[] = {
      {"gelu", Activation::gelu_erf},       {"GELU", Activation::gelu_erf},
      {"gelu_new", Activation::gelu_tanh},  {"gelu_pytorch_tanh", Activation::gelu_tanh},
      {"gelu_fast", Activation::gelu_tanh}, {"relu", Activation::relu},
      {"ReLU", Activation::relu},           {"silu", Activation::silu},
      {"swish", Activation::silu},          {"SiLU", Activation::silu},
      {"tanh", Activation::tanh},           {"Tanh", Activation::tanh},
      {"sigmoid", Activation::sigmoid},     {"Sigmoid", Activation::sigmoid},
      {"Identity", Activation::identity},   {"linear", Activation::identity},
  };
  for (const Row& row : kRows) {
    if (row.name == name) return row.activation;
  }
  throw_error(
      ErrorKind::unsupported, where,
      "activation {} is not one akin knows (gelu, gelu_new, relu, silu, tanh, sigmoid, identity)",
      quote(name));
}

std::string_view activation_name(Activation activation) {
  constexpr std::string_view kNames[] = {"gelu", "gelu_tanh", "relu",    "silu",
                                         "tanh", "sigmoid",   "identity"};
  return kNames[static_cast<size_t>(activation)];
}

}  // namespace akin
