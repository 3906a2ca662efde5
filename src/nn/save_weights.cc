#include "nn/save_weights.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "base/error.h"
#include "store/float_bytes.h"

namespace akin::nn {
namespace {

using TensorTable = std::map<std::string, Tensor, std::less<>>;

std::span<const float> floats(const at::Tensor& value) {
  AKIN_CHECK(value.is_cpu() && value.scalar_type() == at::kFloat && value.is_contiguous());
  return {value.data_ptr<float>(), static_cast<size_t>(value.numel())};
}

// A checkpoint tensor in parts, which follow each other as their bytes do in the file.
struct Source {
  std::vector<std::pair<const std::byte*, std::string>> parts;
};

std::map<std::string, Source> group_by_source(const model::Weights& weights,
                                              const NamedTensors& values) {
  std::map<std::string, Source> out;
  for (const auto& [name, value] : values) {
    if (name.starts_with("dense.")) continue;
    out[std::string(weights.source(name))].parts.emplace_back(weights.at(name).bytes.data(), name);
  }
  for (auto& [source, group] : out)
    std::sort(group.parts.begin(), group.parts.end(),
              [](const auto& a, const auto& b) { return std::less<>()(a.first, b.first); });
  return out;
}

// The old bytes that the parts stand for, one after the other.
void check_whole(const std::string& source, const Source& group, const model::Weights& weights,
                 int64_t elements) {
  int64_t sum = 0;
  const std::byte* expected = group.parts.front().first;
  for (const auto& [position, name] : group.parts) {
    const Tensor& tensor = weights.at(name);
    if (position != expected) sum = -1;
    if (sum < 0) break;
    sum += tensor.elements();
    expected = position + tensor.bytes.size();
  }
  if (sum != elements) {
    throw_error(ErrorKind::internal, source, "its parts do not make up the whole tensor of {}",
                elements);
  }
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.dtype == b.dtype && a.shape == b.shape && a.bytes.size() == b.bytes.size() &&
         std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin());
}

}  // namespace

void write_body_weights(const std::filesystem::path& path, const ModelParts& parts,
                        const NamedTensors& values, DType dtype) {
  const model::Weights& weights = *parts.model.weights;
  const TensorTable& old = parts.tensors.tensors();
  const auto sources = group_by_source(weights, values);
  std::map<std::string, std::vector<std::byte>> bytes;
  TensorTable out;
  for (const auto& [source, group] : sources) {
    const auto whole = old.find(source);
    const Tensor& shaped =
        whole == old.end() ? weights.at(group.parts.front().second) : whole->second;
    check_whole(source, group, weights, shaped.elements());
    std::vector<std::byte>& buffer = bytes[source];
    for (const auto& [position, name] : group.parts)
      store::append_floats(buffer, floats(tensor_at(values, name)), dtype);
    out[source] = {dtype, shaped.shape, buffer};
  }
  for (const auto& [name, tensor] : old) {
    if (out.contains(name)) continue;
    const bool tied = std::any_of(sources.begin(), sources.end(), [&](const auto& source) {
      return same_bytes(old.at(source.first), tensor);
    });
    if (!tied) out[name] = tensor;
  }
  store::write_safetensors(path, out);
}

void write_dense_weights(const std::filesystem::path& path, size_t index,
                         const NamedTensors& values, DType dtype) {
  const std::string base = fmt::format("dense.{}.", index);
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"weight", "linear.weight"}, {"bias", "linear.bias"}, {"residual.weight", "residual.weight"}};
  std::map<std::string, std::vector<std::byte>> bytes;
  TensorTable out;
  for (const auto& [ours, theirs] : kNames) {
    const at::Tensor value = tensor_or_none(values, base + std::string(ours));
    if (!value.defined()) continue;
    std::vector<std::byte>& buffer = bytes[std::string(theirs)];
    store::append_floats(buffer, floats(value), dtype);
    out[std::string(theirs)] = {dtype, value.sizes().vec(), buffer};
  }
  store::write_safetensors(path, out);
}

}  // namespace akin::nn
