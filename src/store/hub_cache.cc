// See hub_cache.h. Variables and paths as huggingface_hub's constants describe them.
#include "store/hub_cache.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "store/tensor_files_builder.h"  // is_plain_file_name

namespace akin::store {
namespace fs = std::filesystem;
namespace {

using Getter = std::function<const char*(const char*)>;

std::string first_of(const Getter& get, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* value = get(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

bool is_true(std::string value) {
  for (char& c : value) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

fs::path with_home(std::string path, const std::string& home) {
  if (path == "~" || path.starts_with("~/")) path.replace(0, 1, home);
  return path;
}

std::string trimmed(std::string text) {
  const auto space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  while (!text.empty() && space(text.back())) text.pop_back();
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), space));
  return text;
}

std::string read_token(const Getter& get, const fs::path& hf_home, const std::string& home) {
  if (is_true(first_of(get, {"HF_HUB_DISABLE_IMPLICIT_TOKEN"}))) return {};
  std::string token = trimmed(first_of(get, {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}));
  if (token.empty()) {
    const std::string named = first_of(get, {"HF_TOKEN_PATH"});
    const fs::path path = named.empty() ? hf_home / "token" : with_home(named, home);
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) token = trimmed(read_file(path, 1 << 16));
  }
  const bool printable =
      std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7F; });
  if (!printable) {
    throw_error(ErrorKind::usage, "HF_TOKEN",
                "the token holds spaces or control characters; expected the one word that the hub "
                "gave you");
  }
  return token;
}

double read_seconds(const Getter& get, const char* name, double fallback) {
  const std::string text = first_of(get, {name});
  double value = fallback;
  if (text.empty()) return fallback;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value > 0) || value > 1e6) {
    throw_error(ErrorKind::usage, name, "is {}, expected a number of seconds", quote(text));
  }
  return value;
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool any_there(const fs::path& folder, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view name) { return is_there(folder / name); });
}

// A path inside the folder as modules.json names it; empty when it would leave the folder.
std::string inner_path(std::string_view path) {
  if (path == ".") return {};
  std::string_view rest = path;
  while (!rest.empty()) {
    const size_t slash = rest.find('/');
    if (!is_plain_file_name(rest.substr(0, slash))) return {};
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  }
  return std::string(path);
}

struct Module {
  std::string type, path;
};

// A list without errors: a broken modules.json is for the loader to report.
std::vector<Module> list_modules(const fs::path& folder) {
  std::vector<Module> out;
  if (!is_there(folder / "modules.json")) return out;
  try {
    const JsonDocument document = JsonDocument::load(folder / "modules.json", 16 << 20);
    for (const JsonValue& item : JsonValue(document).items()) {
      const std::string type = item.get("type", "");
      const std::string path = item.get("path", "");
      out.push_back({type.substr(type.rfind('.') + 1), inner_path(path)});
    }
  } catch (const Error&) {
    out.clear();
  }
  return out;
}

std::string join_name(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}/{}", path, name);
}

// Shards that an index file names and that are not there.
void add_missing_shards(const fs::path& folder, const std::string& path, std::string_view index,
                        std::vector<std::string>& missing) {
  try {
    const JsonDocument document = JsonDocument::load(folder / path / index);
    std::vector<std::string> shards;
    for (const auto& [tensor, file] : JsonValue(document).at("weight_map").fields()) {
      if (is_plain_file_name(file.as_string())) shards.emplace_back(file.as_string());
    }
    std::sort(shards.begin(), shards.end());
    shards.erase(std::unique(shards.begin(), shards.end()), shards.end());
    for (const std::string& shard : shards) {
      if (!is_there(folder / path / shard)) missing.push_back(join_name(path, shard));
    }
  } catch (const Error&) {
    return;  // the loader reports it
  }
}

void add_missing_weights(const fs::path& folder, const std::string& path,
                         std::vector<std::string>& missing) {
  const fs::path at = folder / path;
  if (is_there(at / "model.safetensors")) return;
  for (const std::string_view index :
       {"model.safetensors.index.json", "pytorch_model.bin.index.json"}) {
    if (is_there(at / index)) return add_missing_shards(folder, path, index, missing);
  }
  if (!is_there(at / "pytorch_model.bin")) missing.push_back(join_name(path, "model.safetensors"));
}

}  // namespace

HubEnv hub_env(const Getter& get) {
  const std::string home = first_of(get, {"HOME"});
  const std::string xdg = first_of(get, {"XDG_CACHE_HOME"});
  const fs::path caches = xdg.empty() ? fs::path(home) / ".cache" : with_home(xdg, home);
  const std::string named_home = first_of(get, {"HF_HOME"});
  const fs::path hf_home =
      named_home.empty() ? caches / "huggingface" : with_home(named_home, home);
  const std::string named_cache = first_of(get, {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  HubEnv env;
  env.cache = named_cache.empty() ? hf_home / "hub" : with_home(named_cache, home);
  env.endpoint = trimmed(first_of(get, {"HF_ENDPOINT"}));
  if (env.endpoint.empty()) env.endpoint = "https://huggingface.co";
  while (env.endpoint.ends_with('/')) env.endpoint.pop_back();
  if (!env.endpoint.starts_with("https://") && !env.endpoint.starts_with("http://")) {
    throw_error(ErrorKind::usage, "HF_ENDPOINT",
                "is {}, expected an address that begins with https:// or http://",
                quote(env.endpoint));
  }
  env.token = read_token(get, hf_home, home);
  for (const char* name : {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}) {
    const std::string value = first_of(get, {name});
    if (env.offline_because.empty() && is_true(value)) {
      env.offline_because = fmt::format("{}={}", name, value);
    }
  }
  env.symlinks = !is_true(first_of(get, {"HF_HUB_DISABLE_SYMLINKS"}));
  env.metadata_timeout_s = read_seconds(get, "HF_HUB_ETAG_TIMEOUT", 10);
  env.download_timeout_s = read_seconds(get, "HF_HUB_DOWNLOAD_TIMEOUT", 10);
  return env;
}

HubEnv hub_env() {
  return hub_env([](const char* name) -> const char* { return std::getenv(name); });
}

bool is_repo_id(std::string_view name) {
  const auto good_part = [](std::string_view part) {
    const auto good_char = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '-' || c == '_' || c == '.';
    };
    return !part.empty() && part.size() <= 96 && std::all_of(part.begin(), part.end(), good_char) &&
           part.front() != '.' && part.front() != '-' && part.back() != '.' && part.back() != '-' &&
           part.find("--") == std::string_view::npos && part.find("..") == std::string_view::npos;
  };
  const size_t slash = name.find('/');
  if (slash == std::string_view::npos) return good_part(name);
  return good_part(name.substr(0, slash)) && good_part(name.substr(slash + 1));
}

bool is_commit_hash(std::string_view revision) {
  return revision.size() == 40 &&
         revision.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void check_revision(std::string_view revision) {
  if (revision.empty() || inner_path(revision) != revision || revision.size() > 255 ||
      revision.front() == '/' || revision.back() == '/') {
    throw_error(ErrorKind::usage, "revision", "{} is no branch, tag or commit", quote(revision));
  }
}

fs::path repo_folder(const HubEnv& env, std::string_view repo, RepoKind kind) {
  std::string name(repo);
  if (const size_t slash = name.find('/'); slash != std::string::npos) name.replace(slash, 1, "--");
  return env.cache / ((kind == RepoKind::model ? "models--" : "datasets--") + name);
}

std::vector<std::string> missing_model_files(const fs::path& folder) {
  std::vector<std::string> missing;
  const std::vector<Module> modules = list_modules(folder);
  const std::string root = modules.empty() ? std::string() : modules.front().path;
  const bool is_static = !modules.empty() && modules.front().type == "StaticEmbedding";
  const fs::path at = folder / root;
  if (!is_static && !is_there(at / "config.json")) {
    missing.push_back(join_name(root, "config.json"));
  }
  if (!any_there(at, {"tokenizer.json", "vocab.txt", "sentencepiece.bpe.model", "spiece.model",
                      "tokenizer.model", "vocab.json"})) {
    missing.push_back(join_name(root, "tokenizer.json"));
  }
  add_missing_weights(folder, root, missing);
  for (size_t i = 1; i < modules.size(); ++i) {
    const auto& [type, path] = modules[i];
    if ((type == "Pooling" || type == "Dense") && !is_there(folder / path / "config.json")) {
      missing.push_back(join_name(path, "config.json"));
    }
    if (type == "Dense") add_missing_weights(folder, path, missing);
  }
  return missing;
}

CachedModel find_cached_model(const HubEnv& env, std::string_view repo, std::string_view revision,
                              RepoKind kind) {
  check_revision(revision);
  CachedModel out;
  const fs::path repo_at = repo_folder(env, repo, kind);
  const fs::path ref = repo_at / "refs" / revision;
  std::error_code ignored;
  if (fs::is_regular_file(ref, ignored)) {
    out.commit = trimmed(read_file(ref, 4096));
    if (!is_commit_hash(out.commit)) {
      throw_error(ErrorKind::bad_format, ref.string(), "holds {}, expected a commit of 40 digits",
                  quote(out.commit));
    }
  } else if (is_commit_hash(revision)) {
    out.commit = revision;
  } else {
    return out;
  }
  const fs::path snapshot = repo_at / "snapshots" / out.commit;
  if (!fs::is_directory(snapshot, ignored)) return out;
  out.folder = snapshot;
  if (kind == RepoKind::model) out.missing = missing_model_files(snapshot);
  return out;
}

fs::path resolve_model(std::string_view name, const HubEnv& env, std::string_view revision) {
  std::error_code ignored;
  fs::path path(name);
  if (fs::is_directory(path, ignored)) return path;
  if (fs::exists(path, ignored)) {
    throw_error(ErrorKind::usage, name, "is a file; expected the folder of a model");
  }
  if (!is_repo_id(name)) {
    throw_error(ErrorKind::not_found, name,
                "no such folder, and not a name of the form org/model that a hub would know");
  }
  const CachedModel cached = find_cached_model(env, name, revision);
  if (!cached.folder.empty() && cached.missing.empty()) return cached.folder;
  const std::string state =
      cached.folder.empty()
          ? fmt::format("neither a folder nor in the cache {}", env.cache.string())
          : fmt::format("incomplete: missing {}", fmt::join(cached.missing, ", "));
  const std::string at =
      revision == "main" ? std::string() : fmt::format(" --revision {}", revision);
  if (env.offline()) {
    throw Error(ErrorKind::not_found,
                fmt::format("offline ({}) and {}@{} is {}. On a machine with network: akin fetch "
                            "{}{}",
                            env.offline_because, name, revision, state, name, at));
  }
  throw Error(ErrorKind::not_found, fmt::format("{}@{} is {}. Get it with: akin fetch {}{}", name,
                                                revision, state, name, at));
}

}  // namespace akin::store
