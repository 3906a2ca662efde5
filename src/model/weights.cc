#include "model/weights.h"

#include <algorithm>
#include <set>

#include "base/error.h"

namespace akin::model {
namespace {

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

bool is_float(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f64;
}

bool is_small_integer(DType dtype) {
  return dtype == DType::i8 || dtype == DType::i16 || dtype == DType::i32 || dtype == DType::i64 ||
         dtype == DType::u8 || dtype == DType::u16 || dtype == DType::u32;
}

}  // namespace

Tensor resolve_rule(const WeightRule& rule, const TensorTable& tensors, std::string_view where,
                    bool integers) {
  const auto it = tensors.find(rule.tensor);
  if (it == tensors.end()) {
    throw_error(ErrorKind::not_found, where,
                "tensor {} is missing, config.json needs it with shape {}; the folder is "
                "incomplete or of another family, download it again",
                quote(rule.tensor), shape_text(rule.shape));
  }
  const Tensor& tensor = it->second;
  if (tensor.shape != rule.shape) {
    throw_error(ErrorKind::bad_format, where,
                "tensor {} is {}, config.json says {}; the folder mixes two models, download it "
                "again",
                quote(rule.tensor), tensor.shape_string(), shape_text(rule.shape));
  }
  const bool quantized =
      tensor.dtype == DType::i8 && tensors.contains(rule.tensor + std::string(kScaleSuffix));
  if (!is_float(tensor.dtype) && !quantized && !(integers && is_small_integer(tensor.dtype))) {
    throw_error(ErrorKind::unsupported, where,
                "tensor {} is {}; akin reads weights of F32, F16, BF16 and F64", quote(rule.tensor),
                dtype_name(tensor.dtype));
  }
  Tensor out = tensor;
  if (rule.flatten) {
    AKIN_CHECK(out.shape.size() == 3);
    out.shape = {out.shape[0] * out.shape[1], out.shape[2]};
  }
  const auto elements = static_cast<size_t>(out.elements());
  AKIN_CHECK(out.bytes.size() == elements * dtype_size_bytes(out.dtype));
  if (rule.rows < 0) return out;
  AKIN_CHECK(rule.begin >= 0 && rule.begin + rule.rows <= out.shape[0]);
  const size_t row_bytes = out.bytes.size() / static_cast<size_t>(out.shape[0]);
  out.bytes = out.bytes.subspan(static_cast<size_t>(rule.begin) * row_bytes,
                                static_cast<size_t>(rule.rows) * row_bytes);
  out.shape[0] = rule.rows;
  return out;
}

void MappedWeights::apply(store::TensorFiles files, const std::vector<WeightRule>& rules,
                          std::string_view where, bool integers) {
  std::set<std::string_view> counted;
  for (const WeightRule& rule : rules) {
    table_.emplace(rule.name, resolve_rule(rule, files.tensors(), where, integers));
    sources_.emplace(rule.name, rule.tensor);
    add_scale(rule, files.tensors(), where);
    const auto it = files.tensors().find(rule.tensor);
    if (counted.insert(it->first).second) {
      parameters_ += static_cast<uint64_t>(it->second.elements());
    }
  }
  files_.push_back(std::move(files));
}

// The scales of a weight stored as I8, under "<canonical>.scale", cut to the same rows.
void MappedWeights::add_scale(const WeightRule& rule, const TensorTable& tensors,
                              std::string_view where) {
  WeightRule scale = rule;
  scale.tensor += kScaleSuffix;
  if (!tensors.contains(scale.tensor)) return;
  scale.name += ".scale";
  scale.shape = {rule.shape.front()};
  scale.flatten = false;
  table_.emplace(scale.name, resolve_rule(scale, tensors, where));
  sources_.emplace(scale.name, scale.tensor);
}

void MappedWeights::add_owned(const std::string& name, Mat<float> values) {
  const auto rows = static_cast<int64_t>(values.rows()), cols = static_cast<int64_t>(values.cols());
  const auto bytes = std::as_bytes(std::span(values.data(), values.rows() * values.cols()));
  owned_.push_back(std::move(values));  // moving it leaves its memory where it is
  table_.emplace(name, Tensor{DType::f32, {rows, cols}, bytes});
  sources_.emplace(name, name);
  parameters_ += static_cast<uint64_t>(rows * cols);
}

std::string_view MappedWeights::source(std::string_view name) const {
  if (const auto it = sources_.find(name); it != sources_.end()) return it->second;
  throw_error(ErrorKind::not_found, "weights", "{} is not a weight of this model", quote(name));
}

const Tensor& MappedWeights::at(std::string_view name) const {
  if (const auto it = table_.find(name); it != table_.end()) return it->second;
  throw_error(ErrorKind::not_found, "weights", "{} is not a weight of this model", quote(name));
}

std::vector<std::string> MappedWeights::names() const {
  std::vector<std::string> out;
  for (const auto& [name, tensor] : table_) out.push_back(name);
  return out;
}

}  // namespace akin::model
