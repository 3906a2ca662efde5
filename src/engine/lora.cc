#include "engine/lora.h"

#include "kernels/elementwise.h"

namespace akin::engine {
namespace {

std::string adapter_name(size_t adapter, const std::string& name) {
  return "adapter." + std::to_string(adapter) + "." + name;
}

Mat<float> read_mat(const Tensor& tensor, bool transpose) {
  const auto rows = static_cast<size_t>(tensor.shape.at(0)),
             cols = static_cast<size_t>(tensor.shape.at(1));
  const std::vector<float> values = tensor_to_f32(tensor);
  Mat<float> out(transpose ? cols : rows, transpose ? rows : cols);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < cols; ++c) (transpose ? out(c, r) : out(r, c)) = values[r * cols + c];
  }
  return out;
}

}  // namespace

void LoraLinear::load(const model::Model& model, std::span<const std::string> names,
                      std::span<const size_t> columns) {
  scaling_ = model.arch.lora_scaling;
  for (size_t t = 0; t < model.arch.adapters.size(); ++t) {
    size_t column = 0;
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string base = adapter_name(t, names[i]);
      if (model.weights->has(base + ".lora_a")) {
        parts_.push_back({static_cast<int32_t>(t), column,
                          read_mat(model.weights->at(base + ".lora_a"), false),
                          read_mat(model.weights->at(base + ".lora_b"), true)});
      }
      column += columns[i];
    }
  }
}

void LoraLinear::add(MatView<const float> x, std::span<const int32_t> adapters,
                     MatView<float> y) const {
  for (const Part& part : parts_) {
    const size_t n = part.b_t.cols();
    for (size_t r = 0; r < x.rows(); ++r) {
      if (adapters[r] != part.adapter) continue;
      for (size_t k = 0; k < part.a.rows(); ++k) {
        const float z = kernels::dot(part.a.row(k), x.row(r), x.cols());
        kernels::add_scaled(part.b_t.row(k), z * scaling_, {y.row(r) + part.column, n});
      }
    }
  }
}

void LoraEmbedding::load(const model::Model& model, const std::string& name) {
  scaling_ = model.arch.lora_scaling;
  for (size_t t = 0; t < model.arch.adapters.size(); ++t) {
    const std::string base = adapter_name(t, name);
    if (!model.weights->has(base + ".lora_a")) continue;
    parts_.resize(t + 1);
    parts_[t] = {read_mat(model.weights->at(base + ".lora_a"), false),
                 read_mat(model.weights->at(base + ".lora_b"), false)};
  }
}

void LoraEmbedding::add(int32_t id, int32_t adapter, std::span<float> row) const {
  if (adapter < 0 || static_cast<size_t>(adapter) >= parts_.size()) return;
  const Part& part = parts_[static_cast<size_t>(adapter)];
  if (static_cast<size_t>(id) >= part.a.rows()) return;
  for (size_t k = 0; k < part.b.rows(); ++k) {
    kernels::add_scaled(part.b.row(k), part.a(static_cast<size_t>(id), k) * scaling_, row);
  }
}

}  // namespace akin::engine
