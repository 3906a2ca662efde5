#include "cli/quantize_folder.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kernels/quantize.h"
#include "model/model.h"
#include "store/copy_folder.h"
#include "store/safetensors.h"

namespace akin::cli {
namespace {

namespace fs = std::filesystem;

// Weights in the folder's root are written anew; other forms of the same weights are left out.
bool is_replaced(const fs::path& relative) {
  const bool of_a_module = relative.has_parent_path() && !store::holds_weights(*relative.begin());
  return store::holds_weights(relative) && !of_a_module;
}

// Checkpoint names of the layers' linear weights.
std::set<std::string, std::less<>> linear_tensors(const model::Weights& weights) {
  std::set<std::string, std::less<>> names;
  for (const std::string& name : weights.names()) {
    if (!name.starts_with("layer.") || !name.ends_with(".weight")) continue;
    if (weights.at(name).shape.size() == 2) names.emplace(weights.source(name));
  }
  return names;
}

// One quantised weight: bytes that the written Tensors borrow.
struct Quantized {
  std::vector<int8_t> values;
  std::vector<float> scales;
};

Quantized quantize(const Tensor& tensor) {
  const auto rows = static_cast<size_t>(tensor.shape.front());
  const size_t cols = static_cast<size_t>(tensor.elements()) / std::max<size_t>(rows, 1);
  Quantized out{std::vector<int8_t>(rows * cols), std::vector<float>(rows)};
  std::vector<float> row(cols);
  for (size_t r = 0; r < rows; ++r) {
    tensor_to_f32(tensor, r * cols, row);
    out.scales[r] = kernels::quantize_row(row.data(), cols, out.values.data() + r * cols);
  }
  return out;
}

void write_weights(const fs::path& in, const fs::path& out, const model::Weights& weights) {
  const store::TensorFiles files = store::TensorFiles::open_folder(in);
  const auto linear = linear_tensors(weights);
  std::map<std::string, Tensor, std::less<>> tensors = files.tensors();
  std::map<std::string, Quantized> quantized;
  for (const auto& [name, source] : files.tensors()) {
    if (!linear.contains(name) || source.shape.size() != 2 || source.dtype == DType::i8) continue;
    const Quantized& q = quantized.emplace(name, quantize(source)).first->second;
    tensors[name] = {DType::i8, source.shape, std::as_bytes(std::span(q.values))};
    tensors[name + ".akin_scale"] = {
        DType::f32, {source.shape.front()}, std::as_bytes(std::span(q.scales))};
  }
  store::write_safetensors(out / "model.safetensors", tensors, {{"akin_quantized", "int8"}});
}

}  // namespace

void quantize_folder(const fs::path& in, const fs::path& out) {
  const model::Model model = model::load_model(in);
  if (model.arch.kind == ModelKind::static_embedding) {
    throw_error(ErrorKind::usage, in.string(),
                "a static model has no layers to quantise; use it as it is");
  }
  if (fs::exists(out))
    throw_error(ErrorKind::usage, out.string(), "exists already; name a new folder");
  fs::path temporary = out;
  temporary += "." + std::to_string(::getpid()) + ".tmp";
  try {
    fs::create_directories(temporary);
    store::copy_folder(in, temporary, is_replaced);
    write_weights(in, temporary, *model.weights);
    fs::rename(temporary, out);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    try {
      throw;
    } catch (const fs::filesystem_error& error) {
      throw_error(ErrorKind::io, out.string(), "cannot write: {}", error.code().message());
    }
  }
}

}  // namespace akin::cli
