#include "cli/quantize_folder.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kernels/quantize.h"
#include "model/classification_head.h"
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

// The same folder under its one name: no links, no slash at the end.
fs::path one_name(const fs::path& folder) {
  const fs::path name = fs::weakly_canonical(folder);
  return name.has_filename() ? name : name.parent_path();
}

bool is_within(const fs::path& inner, const fs::path& outer) {
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

// The first file below `out` that is no part of a model made from `in`, relative; empty for none.
fs::path foreign_file(const fs::path& in, const fs::path& out) {
  for (const auto& entry : fs::recursive_directory_iterator(out)) {
    fs::path relative = entry.path().lexically_relative(out);
    if (entry.is_directory() && !entry.is_symlink()) continue;
    const fs::path folder = relative.parent_path();
    const bool weights =
        store::holds_weights(relative) && *relative.begin() != ".git" &&
        (folder.empty() || store::holds_weights(folder) || fs::exists(in / folder));
    const bool record = relative.native().starts_with("akin_");
    if (!weights && !record && !fs::exists(in / relative)) return relative;
  }
  return {};
}

// The folder that is there now is put aside first, and back again when the new one cannot take its
// place.
void put_in_place(const fs::path& fresh, const fs::path& out) {
  if (!fs::exists(out) || fs::is_empty(out)) return fs::rename(fresh, out);
  fs::path old = fresh;
  old += ".old";
  fs::rename(out, old);
  try {
    fs::rename(fresh, out);
  } catch (...) {
    std::error_code ignored;
    fs::rename(old, out, ignored);
    throw;
  }
  fs::remove_all(old);
}

}  // namespace

void check_quantized_folder(const fs::path& in, const fs::path& out, bool force) {
  const fs::path from = one_name(in), to = one_name(out);
  if (from == to) throw_error(ErrorKind::usage, "--out", "is the model's own folder; name another");
  if (is_within(to, from) || is_within(from, to)) {
    throw_error(ErrorKind::usage, "--out",
                "{} and the model's folder {} lie in one another; name "
                "a folder elsewhere",
                quote(out.string()), quote(in.string()));
  }
  if (!fs::exists(to)) return;
  if (!fs::is_directory(to)) {
    throw_error(ErrorKind::usage, "--out", "{} is a file; name a new folder", quote(out.string()));
  }
  if (fs::is_empty(to)) return;
  if (!force) {
    throw_error(ErrorKind::usage, "--out",
                "{} is there and not empty; name another, or pass --force to replace a model",
                quote(out.string()));
  }
  if (!fs::exists(to / "config.json") && !fs::exists(to / "modules.json")) {
    throw_error(ErrorKind::usage, "--out",
                "{} is not a model folder (no config.json, no modules.json), and --force replaces "
                "only such; name another",
                quote(out.string()));
  }
  if (const fs::path foreign = foreign_file(from, to); !foreign.empty()) {
    throw_error(ErrorKind::usage, "--out",
                "{} also holds {}, which the new model has not, and --force would delete it; move "
                "it away, or name another folder",
                quote(out.string()), quote(foreign.string()));
  }
}

void quantize_folder(const fs::path& in, const fs::path& asked, bool force) {
  const model::Model model =
      model::is_classifier_folder(in) ? model::load_classifier_body(in) : model::load_model(in);
  if (model.arch.kind == ModelKind::static_embedding) {
    throw_error(ErrorKind::usage, in.string(),
                "a static model has no layers to quantise; use it as it is");
  }
  check_quantized_folder(in, asked, force);
  const fs::path out = one_name(asked);
  fs::path temporary = out;
  temporary += "." + std::to_string(::getpid()) + ".tmp";
  try {
    fs::create_directories(temporary);
    store::copy_folder(in, temporary, is_replaced);
    write_weights(in, temporary, *model.weights);
    put_in_place(temporary, out);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    try {
      throw;
    } catch (const fs::filesystem_error& error) {
      throw_error(ErrorKind::io, asked.string(), "cannot write: {}", error.code().message());
    } catch (const Error& error) {  // the temporary's name says nothing to anybody
      if (!error.where().starts_with(temporary.native())) throw;
      const std::string below = error.where().substr(temporary.native().size());
      throw Error(error.kind(), error.message(), asked.string() + below);
    }
  }
}

}  // namespace akin::cli
