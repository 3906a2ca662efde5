// See peft_folder.h.
#include "store/peft_folder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace akin::store {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kConfig = "adapter_config.json";
constexpr std::string_view kWeights = "adapter_model.safetensors";
constexpr std::string_view kPrefix = "base_model.model.";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// Options that change what the adapter computes and that akin does not read: set means refused.
void refuse_unread_options(const JsonValue& config) {
  const std::string type = config.get("peft_type", "");
  if (type != "LORA") {
    throw_error(ErrorKind::unsupported, config.where(),
                "peft_type is {}, expected \"LORA\", the one method akin reads; merge the adapter "
                "into its base model with PEFT instead",
                quote(type));
  }
  for (const char* key : {"use_dora", "lora_bias", "fan_in_fan_out"}) {
    if (config.get(key, false)) {
      throw_error(ErrorKind::unsupported, config.where(),
                  "{} is true, which akin does not read; merge the adapter into its base model "
                  "with PEFT instead",
                  key);
    }
  }
  if (const std::string bias = config.get("bias", "none"); bias != "none") {
    throw_error(ErrorKind::unsupported, config.where(),
                "bias is {}, expected \"none\": trained biases are not read", quote(bias));
  }
  for (const char* key :
       {"modules_to_save", "layer_replication", "target_parameters", "trainable_token_indices"}) {
    const auto value = config.find(key);
    const bool empty = !value || (value->is_array() && value->items().empty()) ||
                       (value->is_object() && value->fields().empty());
    if (!empty) {
      throw_error(ErrorKind::unsupported, config.where(),
                  "{} is set, which akin does not read; merge the adapter into its base model "
                  "with PEFT instead",
                  key);
    }
  }
}

struct Patterns {
  std::map<std::string, double> rank, alpha;  // module name or path suffix -> value
};

std::map<std::string, double> read_pattern(const JsonValue& config, const char* key) {
  std::map<std::string, double> out;
  if (const auto pattern = config.find(key)) {
    for (const auto& [name, value] : pattern->fields()) {
      if (name.find_first_of("^$*+?()[]{}|\\") != std::string_view::npos) {
        throw_error(ErrorKind::unsupported, pattern->where(),
                    "{} is a regular expression, expected plain module names", quote(name));
      }
      out.emplace(name, value.as_double());
    }
  }
  return out;
}

// The value of the longest name that is the module or ends its path.
double pattern_value(const std::map<std::string, double>& pattern, std::string_view module,
                     double fallback) {
  size_t best = 0;
  double value = fallback;
  for (const auto& [name, number] : pattern) {
    const bool ends = module == name || (module.size() > name.size() && module.ends_with(name) &&
                                         module[module.size() - name.size() - 1] == '.');
    if (ends && name.size() >= best) {
      best = name.size();
      value = number;
    }
  }
  return value;
}

void read_config(const fs::path& path, PeftFolder& out, Patterns& patterns) {
  const JsonDocument document = JsonDocument::load(path, 16 << 20);
  const JsonValue config(document);
  refuse_unread_options(config);
  out.base_model = config.get("base_model_name_or_path", "");
  out.r = config.get("r", 8);
  out.alpha = config.get("lora_alpha", 8.0);
  out.use_rslora = config.get("use_rslora", false);
  if (out.r < 1 || out.r > 65536 || !std::isfinite(out.alpha)) {
    throw_error(ErrorKind::bad_format, path.string(),
                "r is {} and lora_alpha {}, expected r in [1, 65536]", out.r, out.alpha);
  }
  if (const auto targets = config.find("target_modules")) {
    if (targets->is_string()) {
      out.target_modules.emplace_back(targets->as_string());
    } else {
      for (const JsonValue& item : targets->items()) {
        out.target_modules.emplace_back(item.as_string());
      }
    }
  }
  patterns.rank = read_pattern(config, "rank_pattern");
  patterns.alpha = read_pattern(config, "alpha_pattern");
  constexpr std::array<std::string_view, 21> kKnown = {"peft_type",
                                                       "base_model_name_or_path",
                                                       "r",
                                                       "lora_alpha",
                                                       "use_rslora",
                                                       "use_dora",
                                                       "lora_bias",
                                                       "fan_in_fan_out",
                                                       "bias",
                                                       "target_modules",
                                                       "rank_pattern",
                                                       "alpha_pattern",
                                                       "modules_to_save",
                                                       "layer_replication",
                                                       "target_parameters",
                                                       "trainable_token_indices",
                                                       "task_type",
                                                       "inference_mode",
                                                       "lora_dropout",
                                                       "peft_version",
                                                       "init_lora_weights"};
  for (const auto& [key, value] : config.fields()) {
    if (!value.is_null() && std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end()) {
      out.ignored_keys.push_back(fmt::format("{}: {}", kConfig, key));
    }
  }
}

struct KeyParts {
  std::string module;
  bool is_a, embedding;
};

std::optional<KeyParts> split_key(std::string_view key) {
  struct Ending {
    std::string_view text;
    bool is_a, embedding;
  };
  constexpr Ending kEndings[] = {{".lora_A.weight", true, false},
                                 {".lora_B.weight", false, false},
                                 {".lora_embedding_A", true, true},
                                 {".lora_embedding_B", false, true}};
  if (!key.starts_with(kPrefix)) return {};
  key.remove_prefix(kPrefix.size());
  for (const Ending& ending : kEndings) {
    if (key.size() > ending.text.size() && key.ends_with(ending.text)) {
      key.remove_suffix(ending.text.size());
      return KeyParts{std::string(key), ending.is_a, ending.embedding};
    }
  }
  return {};
}

void read_pairs(const std::string& where, const Patterns& patterns, PeftFolder& out) {
  for (const auto& [key, tensor] : out.files.tensors()) {
    const auto parts = split_key(key);
    if (!parts) {
      throw_error(ErrorKind::unsupported, where,
                  "tensor {} is no part of a LoRA pair{}; expected {}<module>.lora_A.weight and "
                  ".lora_B.weight",
                  quote(key), key.ends_with("lora_magnitude_vector") ? " (DoRA)" : "", kPrefix);
    }
    if (tensor.shape.size() != 2 || dtype_size_bytes(tensor.dtype) == 0) {
      throw_error(ErrorKind::bad_format, where, "tensor {} is {}, expected a matrix", quote(key),
                  tensor.shape_string());
    }
    LoraPair& pair = out.pairs[parts->module];
    pair.embedding = parts->embedding;
    (parts->is_a ? pair.a : pair.b) = tensor;
  }
  for (auto& [module, pair] : out.pairs) {
    const double r = pattern_value(patterns.rank, module, static_cast<double>(out.r));
    const double alpha = pattern_value(patterns.alpha, module, out.alpha);
    const auto rows = pair.a.shape.size() == 2 ? pair.a.shape[0] : -1;
    const auto cols = pair.b.shape.size() == 2 ? pair.b.shape[1] : -1;
    if (static_cast<double>(rows) != r || rows != cols) {
      throw_error(ErrorKind::bad_format, where,
                  "module {} has A {} and B {}, expected [{}, in] and [out, {}]", quote(module),
                  pair.a.shape_string(), pair.b.shape_string(), r, r);
    }
    pair.scaling = static_cast<float>(alpha / (out.use_rslora ? std::sqrt(r) : r));
  }
}

}  // namespace

bool is_peft_folder(const fs::path& folder) { return is_there(folder / kConfig); }

PeftFolder read_peft_folder(const fs::path& folder) {
  if (!is_peft_folder(folder)) {
    throw_error(ErrorKind::not_found, folder.string(), "no {} in this folder", kConfig);
  }
  PeftFolder out;
  Patterns patterns;
  read_config(folder / kConfig, out, patterns);
  const fs::path weights = folder / kWeights;
  if (!is_there(weights)) {
    throw_error(ErrorKind::not_found, folder.string(), "no {} beside {}{}", kWeights, kConfig,
                is_there(folder / "adapter_model.bin")
                    ? "; adapter_model.bin is a pickle, save the adapter with safetensors"
                    : "");
  }
  out.files = TensorFiles::open_safetensors(weights);
  read_pairs(weights.string(), patterns, out);
  if (out.pairs.empty()) {
    throw_error(ErrorKind::bad_format, weights.string(), "holds no LoRA pair");
  }
  return out;
}

void write_peft_folder(const fs::path& folder, const PeftWriting& adapter) {
  const auto alpha_of = [&](int64_t rank) {
    const auto r = static_cast<double>(rank);
    return adapter.scaling * (adapter.use_rslora ? std::sqrt(r) : r);
  };
  nlohmann::ordered_json rank_pattern = nlohmann::ordered_json::object(),
                         alpha_pattern = rank_pattern;
  std::map<std::string, Tensor, std::less<>> tensors;
  for (const auto& [module, pair] : adapter.pairs) {
    const std::string base = std::string(kPrefix) + module;
    tensors[base + (pair.embedding ? ".lora_embedding_A" : ".lora_A.weight")] = pair.a;
    tensors[base + (pair.embedding ? ".lora_embedding_B" : ".lora_B.weight")] = pair.b;
    if (pair.a.shape[0] == adapter.r) continue;
    rank_pattern[module] = pair.a.shape[0];
    alpha_pattern[module] = alpha_of(pair.a.shape[0]);
  }
  const nlohmann::ordered_json config = {{"peft_type", "LORA"},
                                         {"task_type", "FEATURE_EXTRACTION"},
                                         {"base_model_name_or_path", adapter.base_model},
                                         {"inference_mode", true},
                                         {"r", adapter.r},
                                         {"lora_alpha", alpha_of(adapter.r)},
                                         {"lora_dropout", adapter.dropout},
                                         {"use_rslora", adapter.use_rslora},
                                         {"use_dora", false},
                                         {"bias", "none"},
                                         {"fan_in_fan_out", false},
                                         {"modules_to_save", nullptr},
                                         {"target_modules", adapter.target_modules},
                                         {"rank_pattern", rank_pattern},
                                         {"alpha_pattern", alpha_pattern}};
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw_error(ErrorKind::io, folder.string(), "cannot make it: {}", error.message());
  write_file(folder / kConfig, config.dump(2) + "\n");
  write_safetensors(folder / kWeights, tensors, {{"format", "pt"}});
}

}  // namespace akin::store
