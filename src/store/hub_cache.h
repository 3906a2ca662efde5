// Where a name on the hub leads: an existing folder, or a snapshot in the Hugging Face cache. Reads
// only; downloads are hub_fetch.h. Follows the cache layout of huggingface_hub.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace akin::store {

// What the environment says of the hub and its cache.
struct HubEnv {
  std::filesystem::path cache;       // HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, or $HF_HOME/hub
  std::string endpoint;              // HF_ENDPOINT, no slash at the end
  std::string token = {};            // HF_TOKEN, HUGGING_FACE_HUB_TOKEN, or the token file
  std::string offline_because = {};  // "HF_HUB_OFFLINE=1"; empty: online
  bool symlinks = true;              // HF_HUB_DISABLE_SYMLINKS
  double metadata_timeout_s = 10;    // HF_HUB_ETAG_TIMEOUT
  double download_timeout_s = 10;    // HF_HUB_DOWNLOAD_TIMEOUT: seconds without a byte

  bool offline() const { return !offline_because.empty(); }
};
// `get` is std::getenv outside of tests.
HubEnv hub_env(const std::function<const char*(const char*)>& get);
HubEnv hub_env();

// "org/name" or "name" as the hub allows it.
bool is_repo_id(std::string_view name);
// A branch, tag, "refs/pr/1" or commit that is safe as a path. Errors: usage.
void check_revision(std::string_view revision);
bool is_commit_hash(std::string_view revision);  // 40 lower-case hex digits

enum class RepoKind : uint8_t { model, dataset };
std::filesystem::path repo_folder(const HubEnv& env, std::string_view repo,
                                  RepoKind kind = RepoKind::model);

// What lies in the cache. folder is empty when there is no snapshot at all. Of a dataset nobody can
// say from the cache alone what is missing.
struct CachedModel {
  std::filesystem::path folder;
  std::string commit;
  std::vector<std::string> missing;  // files without which no model loads; empty: complete
};
CachedModel find_cached_model(const HubEnv& env, std::string_view repo,
                              std::string_view revision = "main", RepoKind kind = RepoKind::model);

// Files that a model folder lacks, for messages; by name only, nothing is opened except
// modules.json.
std::vector<std::string> missing_model_files(const std::filesystem::path& folder);

// An existing folder, else a complete snapshot. Errors: not_found, saying what was looked for and
// the command that gets it.
std::filesystem::path resolve_model(std::string_view name, const HubEnv& env,
                                    std::string_view revision = "main");

}  // namespace akin::store
