#include "engine/lora.h"

#include <algorithm>

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

std::vector<const float*> row_pointers(std::span<const Mat<float>> mats) {
  std::vector<const float*> out;
  for (const Mat<float>& mat : mats) {
    for (size_t r = 0; r < mat.rows(); ++r) out.push_back(mat.row(r));
  }
  return out;
}

}  // namespace

void LoraLinear::load(const model::Model& model, std::span<const std::string> names,
                      std::span<const size_t> columns) {
  constexpr auto kNumbers = kernels::ProductNumbers::f32;
  for (size_t t = 0; t < model.arch.adapters.size(); ++t) {
    Adapter adapter;
    adapter.number = static_cast<int32_t>(t);
    std::vector<Mat<float>> halves;
    size_t column = 0;
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string base = adapter_name(t, names[i]);
      if (model.weights->has(base + ".lora_a")) {
        halves.push_back(read_mat(model.weights->at(base + ".lora_a"), false));
        Mat<float> b = read_mat(model.weights->at(base + ".lora_b"), true);
        for (size_t k = 0; k < b.rows() * b.cols(); ++k) b.data()[k] *= model.arch.lora_scaling;
        Part& part = adapter.parts.emplace_back();
        part.column = column;
        part.outputs = b.cols();
        part.begin = adapter.rank;
        part.rank = b.rows();
        adapter.rank += part.rank;
        part.b.reserve(kNumbers, part.rank, part.outputs);
        part.b.pack(row_pointers({&b, 1}), 0, part.b.panels());
      }
      column += columns[i];
    }
    if (adapter.rank == 0) continue;
    adapter.a.reserve(kNumbers, halves.front().cols(), adapter.rank);
    adapter.a.pack_transposed(row_pointers(halves), 0, adapter.a.panels());
    adapters_.push_back(std::move(adapter));
  }
}

void LoraLinear::add_run(const Adapter& adapter, MatView<const float> x, LoraScratch& scratch,
                         MatView<float> y) const {
  constexpr auto kNumbers = kernels::ProductNumbers::f32;
  constexpr size_t kSlack = 64;  // vector loads past the last row
  scratch.inner.ensure(x.rows() * adapter.rank + kSlack);
  const MatView<float> inner(scratch.inner.data(), x.rows(), adapter.rank);
  scratch.left.set(kNumbers, x);
  adapter.a.multiply(scratch.left, {kernels::EpilogueKind::store, Activation::identity}, inner);
  for (const Part& part : adapter.parts) {
    scratch.left.set(kNumbers, inner.col_range(part.begin, part.rank));
    part.b.multiply(scratch.left, {kernels::EpilogueKind::add, Activation::identity},
                    y.col_range(part.column, part.outputs));
  }
}

void LoraLinear::add(MatView<const float> x, std::span<const int32_t> adapters,
                     LoraScratch& scratch, MatView<float> y) const {
  for (size_t row = 0, next = 0; row < x.rows(); row = next) {
    for (next = row + 1; next < x.rows() && adapters[next] == adapters[row];) ++next;
    const auto it = std::find_if(adapters_.begin(), adapters_.end(), [&](const Adapter& adapter) {
      return adapter.number == adapters[row];
    });
    if (it != adapters_.end())
      add_run(*it, x.row_range(row, next - row), scratch, y.row_range(row, next - row));
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
