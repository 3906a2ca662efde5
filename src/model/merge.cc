#include "model/merge.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "model/merge_check.h"
#include "model/model.h"
#include "store/copy_folder.h"
#include "store/float_bytes.h"
#include "store/safetensors.h"
#include "store/st_folder.h"

namespace akin::model {
namespace {

namespace fs = std::filesystem;
using TensorTable = std::map<std::string, Tensor, std::less<>>;

constexpr double kParallel = 0.9995;  // cosine from which slerp is a straight line

bool is_float(DType dtype) {
  return dtype == DType::f64 || dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

// A folder below a model folder that holds weights, and what its tensors are called in model.h.
struct Part {
  fs::path path;
  std::multimap<std::string, std::string, std::less<>> canonical;  // checkpoint name -> ours
  std::string all;  // of a Dense module: the one name that stands for every tensor
};

std::vector<Part> weight_parts(const fs::path& folder, const Model& model) {
  const store::StFolder st = store::read_st_folder(folder, {.pooling_given = true});
  std::vector<Part> out(1);
  out[0].path = st.transformer_path;
  for (const auto& name : model.weights->names()) {
    if (name.ends_with(".weight.scale")) {
      throw_error(ErrorKind::unsupported, folder.string(),
                  "its weights are int8; merge the folders that `akin quantize` read");
    }
    if (!name.starts_with("dense."))
      out[0].canonical.emplace(std::string(model.weights->source(name)), name);
  }
  for (size_t i = 0; i < st.dense.size(); ++i) {
    out.push_back({st.dense[i].path, {}, fmt::format("dense.{}", i)});
  }
  return out;
}

bool within(std::string_view name, std::string_view prefix) {
  return name.starts_with(prefix) &&
         (name.size() == prefix.size() || prefix.ends_with('.') || name[prefix.size()] == '.');
}

std::vector<double> scaled(const std::vector<double>& weights, size_t count,
                           std::string_view where) {
  if (weights.empty()) return std::vector<double>(count, 1.0 / static_cast<double>(count));
  if (weights.size() != count) {
    throw_error(ErrorKind::usage, where, "{} weights for {} models; give one for each",
                weights.size(), count);
  }
  double sum = 0;
  for (const double weight : weights) {
    if (!std::isfinite(weight)) throw_error(ErrorKind::usage, where, "{} is no weight", weight);
    sum += weight;
  }
  if (!(sum > 0)) {
    throw_error(ErrorKind::usage, where, "the weights sum to {}, expected more than 0", sum);
  }
  std::vector<double> out = weights;
  for (double& weight : out) weight /= sum;
  return out;
}

// The weights of every tensor, resolved once.
class Shares {
 public:
  Shares(const MergeOptions& options, size_t count)
      : common_(scaled(options.weights, count, "weights")) {
    for (const auto& layer : options.layers) {
      own_.push_back({layer.prefix, scaled(layer.weights, count, "weights of " + layer.prefix)});
    }
    used_.resize(own_.size());
  }

  const std::vector<double>& of(const Part& part, const std::string& source) {
    if (!part.all.empty()) return by_name(part.all);
    const auto [begin, end] = part.canonical.equal_range(source);
    const std::vector<double>* found = begin == end ? &common_ : &by_name(begin->second);
    for (auto it = begin; it != end; ++it) {
      if (&by_name(it->second) == found) continue;
      throw_error(ErrorKind::usage, "weights of layers",
                  "{} and {} are one tensor of the file, {}; give them the same weights",
                  begin->second, it->second, source);
    }
    return *found;
  }
  void check_used() const {
    for (size_t i = 0; i < own_.size(); ++i) {
      if (used_[i]) continue;
      throw_error(ErrorKind::usage, "weights of layers",
                  "no weight is within {}; names are such as embed, layer.0, layer.0.attn, dense.0",
                  quote(own_[i].prefix));
    }
  }

 private:
  const std::vector<double>& by_name(std::string_view name) {
    const LayerWeights* best = nullptr;
    for (size_t i = 0; i < own_.size(); ++i) {
      if (!within(name, own_[i].prefix)) continue;
      used_[i] = true;
      if (best == nullptr || own_[i].prefix.size() > best->prefix.size()) best = &own_[i];
    }
    return best == nullptr ? common_ : best->weights;
  }
  std::vector<double> common_;
  std::vector<LayerWeights> own_;
  std::vector<bool> used_;
};

class Merger {
 public:
  Merger(std::span<const fs::path> folders, const MergeOptions& options)
      : folders_(folders), options_(options), shares_(options, folders.size()) {
    for (const auto& folder : folders) models_.push_back(load_model(folder));
    for (size_t i = 1; i < models_.size(); ++i) {
      const auto differences = model_differences(models_[0], models_[i]);
      if (differences.empty()) continue;
      throw_error(ErrorKind::bad_format, folders[i].string(),
                  "cannot be merged with {}: they differ in {}. Only models of one architecture "
                  "and tokenizer can be averaged",
                  folders[0].string(), fmt::join(differences, "; "));
    }
    parts_ = weight_parts(folders[0], models_[0]);
  }

  void write(const fs::path& out) {
    for (const Part& part : parts_) write_part(part, out);
    shares_.check_used();
    report_.moved = std::sqrt(difference_ / std::max(length_, 1e-300));
  }
  const std::vector<Part>& parts() const { return parts_; }
  MergeReport report() { return std::move(report_); }

 private:
  void write_part(const Part& part, const fs::path& out) {
    std::vector<store::TensorFiles> files;
    for (size_t i = 0; i < folders_.size(); ++i) {
      const Part other = weight_parts(folders_[i], models_[i]).at(&part - parts_.data());
      files.push_back(store::TensorFiles::open_folder(folders_[i] / other.path));
    }
    std::map<std::string, std::vector<std::byte>> bytes;
    TensorTable merged;
    for (const auto& [name, first] : files[0].tensors()) {
      merged[name] = first;
      if (!is_common(part, name, first, files)) continue;
      if (!is_float(first.dtype)) continue;
      std::vector<std::byte>& buffer = bytes[name];
      merged[name].dtype = first.dtype == DType::f64 ? DType::f32 : first.dtype;
      average(part, name, files, merged[name].dtype, buffer);
      merged[name].bytes = buffer;
    }
    store::write_safetensors(out / part.path / "model.safetensors", merged);
  }

  // Whether every model has the tensor, in one shape; what cannot be is an error.
  bool is_common(const Part& part, const std::string& name, const Tensor& first,
                 std::span<const store::TensorFiles> files) {
    const bool used = !part.all.empty() || part.canonical.contains(name);
    for (size_t i = 1; i < files.size(); ++i) {
      const auto it = files[i].tensors().find(name);
      const bool there = it != files[i].tensors().end() && it->second.shape == first.shape;
      const bool same_values =
          there && !is_float(first.dtype) && std::ranges::equal(it->second.bytes, first.bytes);
      if (there && (same_values || is_float(first.dtype)) &&
          is_float(it->second.dtype) == is_float(first.dtype)) {
        continue;
      }
      if (used) {
        throw_error(ErrorKind::bad_format, folders_[i].string(),
                    "its tensor {} is {}, that of {} is {}; these cannot be averaged", quote(name),
                    it == files[i].tensors().end() ? "missing"
                                                   : describe(it->second, !is_float(first.dtype)),
                    folders_[0].string(), describe(first, false));
      }
      report_.remarks.push_back(
          fmt::format("{} is not the same kind of tensor in every model, and no part of what akin "
                      "runs: it is the first model's",
                      name));
      return false;
    }
    return true;
  }
  static std::string describe(const Tensor& tensor, bool values) {
    return fmt::format("{} {}{}", dtype_name(tensor.dtype), tensor.shape_string(),
                       values ? " with other values" : "");
  }

  void average(const Part& part, const std::string& name, std::span<const store::TensorFiles> files,
               DType dtype, std::vector<std::byte>& out) {
    std::vector<std::vector<float>> values;
    for (const auto& file : files) values.push_back(tensor_to_f32(file.tensors().at(name)));
    std::vector<float> result(values[0].size());
    merge_values(options_.method, values, shares_.of(part, name), result);
    for (size_t i = 0; i < result.size(); ++i) {
      const double d = static_cast<double>(result[i]) - values[0][i];
      difference_ += d * d;
      length_ += static_cast<double>(values[0][i]) * values[0][i];
    }
    store::append_floats(out, result, dtype);
    ++report_.tensors;
    report_.parameters += result.size();
  }

  std::span<const fs::path> folders_;
  const MergeOptions& options_;
  Shares shares_;
  std::vector<Model> models_;
  std::vector<Part> parts_;
  MergeReport report_;
  double difference_ = 0, length_ = 0;
};

// Weights that are written anew, and records of the runs that made the first model.
bool is_replaced(const fs::path& relative, const std::vector<Part>& parts) {
  if (relative.filename().string().ends_with(".config.json")) return true;
  if (!store::holds_weights(relative)) return false;
  return std::any_of(parts.begin(), parts.end(),
                     [&](const Part& part) {
                       const fs::path own =
                           part.path == "." ? fs::path() : part.path.lexically_normal();
                       return relative.parent_path() == own;
                     }) ||
         !relative.has_extension();
}

void append_card(const fs::path& out, const std::string& card) {
  std::error_code ignored;
  const fs::path path = out / "README.md";
  std::string text = fs::exists(path, ignored) ? read_file(path, uint64_t{16} << 20) : "";
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  write_file(path, text + (text.empty() ? "" : "\n") + card);
}

}  // namespace

std::span<const std::string_view> choices(MergeMethod) {
  static constexpr std::string_view kWords[] = {"linear", "slerp"};
  return kWords;
}

void merge_values(MergeMethod method, std::span<const std::vector<float>> values,
                  std::span<const double> weights, std::span<float> out) {
  AKIN_CHECK(values.size() == weights.size() && !values.empty());
  std::vector<double> factors(weights.begin(), weights.end());
  if (method == MergeMethod::slerp) {
    AKIN_CHECK(values.size() == 2);
    double aa = 0, bb = 0, ab = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      const double a = values[0][i], b = values[1][i];
      aa += a * a;
      bb += b * b;
      ab += a * b;
    }
    const double cosine = aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 1;
    if (std::abs(cosine) < kParallel) {
      const double angle = std::acos(cosine), t = weights[1];
      factors = {std::sin((1 - t) * angle) / std::sin(angle),
                 std::sin(t * angle) / std::sin(angle)};
    }
  }
  for (size_t i = 0; i < out.size(); ++i) {
    double sum = 0;
    for (size_t m = 0; m < values.size(); ++m) sum += factors[m] * values[m][i];
    out[i] = static_cast<float>(sum);
  }
}

MergeReport merge_folders(std::span<const fs::path> folders, const fs::path& asked,
                          const MergeOptions& options, const std::string& card) {
  const fs::path out = asked.has_filename() ? asked : asked.parent_path();
  if (folders.size() < 2) {
    throw_error(ErrorKind::usage, "merge", "{} model; give two or more", folders.size());
  }
  if (options.method == MergeMethod::slerp && folders.size() != 2) {
    throw_error(ErrorKind::usage, "merge",
                "slerp goes between two models, got {}; merge two at a time, or linearly",
                folders.size());
  }
  std::error_code ignored;
  if (fs::exists(out, ignored) && !fs::is_empty(out, ignored)) {
    throw_error(ErrorKind::usage, out.string(), "exists already; name a new folder");
  }
  Merger merger(folders, options);
  fs::path temporary = out;
  temporary += fmt::format(".{}.tmp", ::getpid());
  try {
    fs::remove_all(temporary);
    fs::create_directories(temporary);
    store::copy_folder(folders[0], temporary, [&](const fs::path& relative) {
      return is_replaced(relative, merger.parts());
    });
    merger.write(temporary);
    append_card(temporary, card);
    fs::remove(out, ignored);
    fs::rename(temporary, out);
  } catch (const fs::filesystem_error& error) {
    fs::remove_all(temporary, ignored);
    throw_error(ErrorKind::io, out.string(), "cannot write: {}", error.code().message());
  } catch (const Error& error) {
    fs::remove_all(temporary, ignored);
    if (!error.where().starts_with(temporary.string())) throw;
    throw Error(error.kind(), error.message(), out.string());  // the other name is gone
  } catch (...) {
    fs::remove_all(temporary, ignored);
    throw;
  }
  return merger.report();
}

}  // namespace akin::model
