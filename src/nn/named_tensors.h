// Tensors under canonical names (model/model.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"

namespace akin::nn {

using NamedTensors = std::map<std::string, at::Tensor, std::less<>>;

inline const at::Tensor& tensor_at(const NamedTensors& tensors, std::string_view name) {
  const auto it = tensors.find(name);
  if (it == tensors.end())
    throw_error(ErrorKind::internal, "weights", "the model has no weight {}", quote(name));
  return it->second;
}

// An undefined tensor where there is none: a bias or norm that the family does not have.
inline at::Tensor tensor_or_none(const NamedTensors& tensors, std::string_view name) {
  const auto it = tensors.find(name);
  return it == tensors.end() ? at::Tensor() : it->second;
}

}  // namespace akin::nn
