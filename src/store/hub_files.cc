// See hub_files.h.
#include "store/hub_files.h"

#include <algorithm>
#include <array>
#include <set>

namespace akin::store {
namespace {

constexpr std::array<std::string_view, 21> kNames = {
    "config.json",
    "modules.json",
    "config_sentence_transformers.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
    "adapter_config.json",
    "adapter_model.safetensors",
    "router_config.json",
    "README.md",
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "NOTICE",
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_config(std::string_view name) {
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         (name.starts_with("sentence_") && name.ends_with("_config.json"));
}

// model.safetensors, its index, or a shard model-00001-of-00002.safetensors; likewise for .bin.
bool is_weights(std::string_view name, std::string_view stem, std::string_view extension) {
  if (!name.starts_with(stem)) return false;
  std::string_view rest = name.substr(stem.size());
  if (rest == extension) return true;
  if (rest.starts_with(extension) && rest.substr(extension.size()) == ".index.json") return true;
  return rest.size() > extension.size() + 2 && rest.front() == '-' && is_digit(rest[1]) &&
         rest.ends_with(extension) && rest.find("-of-") != std::string_view::npos;
}
bool is_safetensors(std::string_view name) { return is_weights(name, "model", ".safetensors"); }
bool is_torch_bin(std::string_view name) { return is_weights(name, "pytorch_model", ".bin"); }

// "1_Pooling", and one level of "adapters/<task>".
bool is_model_folder(std::string_view folder, const std::vector<std::string>& module_paths) {
  if (folder.empty() ||
      std::find(module_paths.begin(), module_paths.end(), folder) != module_paths.end()) {
    return true;
  }
  if (folder.starts_with("adapters/")) return folder.find('/', 9) == std::string_view::npos;
  if (folder.find('/') != std::string_view::npos || !is_digit(folder.front())) return false;
  return folder.find_first_not_of("0123456789") == folder.find('_');
}

std::pair<std::string_view, std::string_view> split(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

bool is_safe_repo_path(std::string_view path) {
  if (path.empty() || path.size() > 1024) return false;
  const bool plain = std::all_of(path.begin(), path.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F && c != '\\';
  });
  while (plain) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
  return false;
}

std::vector<std::string> needed_model_files(const std::vector<std::string>& all,
                                            const std::vector<std::string>& module_paths) {
  std::set<std::string_view> has_safetensors;  // folders
  for (const std::string& path : all) {
    const auto [folder, name] = split(path);
    if (is_safetensors(name)) has_safetensors.insert(folder);
  }
  std::vector<std::string> out;
  for (const std::string& path : all) {
    const auto [folder, name] = split(path);
    if (!is_model_folder(folder, module_paths)) continue;
    if (is_config(name) || is_safetensors(name) ||
        (is_torch_bin(name) && !has_safetensors.contains(folder))) {
      out.push_back(path);
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace akin::store
