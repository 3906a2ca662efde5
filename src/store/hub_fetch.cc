// See hub_fetch.h: what to load, where it goes in the cache, locks and links. The network part is
// hub_download.cc.
#include "store/hub_fetch.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>
#include <map>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "store/dataset_card.h"
#include "store/dataset_folder.h"
#include "store/hub_download.h"
#include "store/hub_files.h"

namespace akin::store {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxFiles = 100'000;
constexpr size_t kNamed = 20;  // files, in a message

// flock on .locks/<repo>/<etag>.lock, as huggingface_hub takes it, so that two loaders do not
// write one blob.
class BlobLock {
 public:
  explicit BlobLock(const fs::path& path) {
    fs::create_directories(path.parent_path());
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) {
      throw_error(ErrorKind::io, path.string(), "cannot create: {}", std::strerror(errno));
    }
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) return;  // a file system without locks
      try {
        check_interrupted();
      } catch (...) {
        ::close(fd_);
        throw;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  ~BlobLock() { ::close(fd_); }
  BlobLock(const BlobLock&) = delete;
  BlobLock& operator=(const BlobLock&) = delete;

 private:
  int fd_ = -1;
};

std::vector<std::string> module_paths(const fs::path& folder) {
  std::vector<std::string> out;
  const JsonDocument document = JsonDocument::load(folder / "modules.json", 16 << 20);
  for (const JsonValue& item : JsonValue(document).items()) {
    std::string module = item.get("path", "");
    if (is_safe_repo_path(module)) out.push_back(std::move(module));
  }
  return out;
}

bool is_wanted_row_file(const std::string& name, const FetchOptions& options) {
  return is_data_file(name) &&
         (options.include.empty() ||
          std::any_of(options.include.begin(), options.include.end(),
                      [&](const auto& glob) { return matches_glob(glob, name); }));
}
bool is_extra_of_dataset(const std::string& name) {
  return name == "README.md" || name.starts_with("LICENSE");
}

class RepoFetcher {
 public:
  RepoFetcher(std::string_view repo, const HubEnv& env, const FetchOptions& options)
      : repo_(repo),
        env_(env),
        options_(options),
        at_(repo_folder(env, repo, options.kind)),
        hub_(env, options) {}

  FetchReport run() {
    list_repository();
    report_.folder = at_ / "snapshots" / report_.commit;
    const bool has_modules = options_.kind == RepoKind::model && sizes_.contains("modules.json");
    if (has_modules && !options_.dry_run) fetch_file("modules.json");
    if (options_.kind == RepoKind::model) {
      choose_model_files(has_modules);
    } else {
      choose_dataset_files();
    }
    add_sizes();
    if (options_.dry_run) return report_;
    for (const std::string& file : report_.files) {
      if (has_modules && file == "modules.json") continue;
      fetch_file(file);
    }
    finish();
    return report_;
  }

 private:
  std::string where() const { return fmt::format("{}@{}", repo_, options_.revision); }

  void list_repository() {
    const std::string url = fmt::format("{}/api/{}/{}/revision/{}?blobs=true", env_.endpoint,
                                        options_.kind == RepoKind::model ? "models" : "datasets",
                                        repo_, url_escape(options_.revision));
    const JsonDocument document = JsonDocument::parse(hub_.get_text(url, where()), where());
    const JsonValue root(document);
    report_.commit = root.at("sha").as_string();
    if (!is_commit_hash(report_.commit)) {
      throw_error(ErrorKind::bad_format, where(), "the hub names commit {}, expected 40 digits",
                  quote(report_.commit));
    }
    for (const JsonValue& sibling : root.at("siblings").items()) {
      const std::string_view name = sibling.at("rfilename").as_string();
      if (!is_safe_repo_path(name) || sizes_.size() >= kMaxFiles) {
        throw_error(ErrorKind::bad_format, where(),
                    "the hub lists the file {}, which would leave its folder; nothing was loaded",
                    quote(name));
      }
      const int64_t size = sibling.get("size", -1);
      sizes_.insert_or_assign(std::string(name), size);
    }
  }

  void choose_model_files(bool has_modules) {
    std::vector<std::string> all;
    for (const auto& [name, size] : sizes_) all.push_back(name);
    report_.files =
        needed_model_files(all, has_modules && !options_.dry_run ? module_paths(report_.folder)
                                                                 : std::vector<std::string>());
    const bool weights =
        std::any_of(report_.files.begin(), report_.files.end(), [](const std::string& name) {
          return name.ends_with(".safetensors") || name.ends_with(".bin");
        });
    if (!weights) {
      throw_error(ErrorKind::unsupported, where(),
                  "the repository has no weights that akin reads (model.safetensors or "
                  "pytorch_model.bin); it has: {}",
                  list_some(all, kNamed));
    }
  }

  void choose_dataset_files() {
    std::vector<std::string> rows;
    for (const auto& [name, size] : sizes_) {
      if (is_extra_of_dataset(name)) report_.files.push_back(name);
      if (is_data_file(name)) rows.push_back(name);
    }
    const size_t extra = report_.files.size();
    std::copy_if(rows.begin(), rows.end(), std::back_inserter(report_.files),
                 [&](const auto& name) { return is_wanted_row_file(name, options_); });
    if (report_.files.size() > extra) return;
    if (rows.empty()) {
      throw_error(ErrorKind::unsupported, where(),
                  "the dataset has no files that akin reads (Parquet, JSON lines, JSON, CSV, TSV)");
    }
    throw_error(ErrorKind::usage, "--include", "{} matches no file of rows of {}; it has: {}",
                fmt::join(options_.include, ", "), where(), list_some(rows, kNamed));
  }

  void add_sizes() {
    bool known = true;
    for (const std::string& file : report_.files) {
      const int64_t size = sizes_.at(file);
      known = known && size >= 0;
      report_.sizes.push_back(size);
      report_.bytes_total += static_cast<uint64_t>(std::max<int64_t>(size, 0));
    }
    if (!known) report_.bytes_total = 0;
  }

  void show(int64_t bytes) {
    done_ += bytes;
    if (!options_.progress) return;
    options_.progress({"fetching", static_cast<uint64_t>(std::max<int64_t>(done_, 0)),
                       report_.bytes_total, "bytes"});
  }

  void fetch_file(const std::string& path) {
    const fs::path link = report_.folder / path;
    if (fs::exists(link)) {
      ++report_.reused;
      show(std::max<int64_t>(sizes_.at(path), 0));
      return;
    }
    std::string url =
        fmt::format("{}/{}{}/resolve/{}", env_.endpoint,
                    options_.kind == RepoKind::model ? "" : "datasets/", repo_, report_.commit);
    for (size_t begin = 0; begin <= path.size();) {
      const size_t slash = std::min(path.find('/', begin), path.size());
      url += "/" + url_escape(std::string_view(path).substr(begin, slash - begin));
      begin = slash + 1;
    }
    const HubFile file = hub_.describe(url, path, report_.commit);
    const fs::path blob = at_ / "blobs" / file.etag;
    const BlobLock lock(env_.cache / ".locks" / at_.filename() / (file.etag + ".lock"));
    if (fs::exists(blob)) {
      ++report_.reused;
      show(std::max<int64_t>(sizes_.at(path), 0));
    } else {
      load_blob(url, file, blob);
    }
    place(blob, path, link);
  }

  void load_blob(const std::string& url, const HubFile& file, const fs::path& blob) {
    fs::create_directories(blob.parent_path());
    fs::path partial = blob;
    partial += ".incomplete";
    check_space(file, partial);
    std::error_code ignored;
    if (const auto left = fs::file_size(partial, ignored); !ignored) {
      received_ -= static_cast<int64_t>(left);  // of an earlier run; download() reports it
    }
    hub_.download(url, file, partial, [&](int64_t bytes) {
      received_ += bytes;
      show(bytes);
    });
    fs::rename(partial, blob);
  }

  static void check_space(const HubFile& file, const fs::path& partial) {
    struct statvfs info {};
    if (file.size < 0 || ::statvfs(partial.parent_path().c_str(), &info) != 0) return;
    std::error_code ignored;
    const auto have = fs::exists(partial) ? fs::file_size(partial, ignored) : 0;
    const auto needed = static_cast<uint64_t>(file.size) - std::min<uint64_t>(have, file.size);
    const uint64_t free = uint64_t{info.f_bavail} * info.f_frsize;
    if (needed > free) {
      throw_error(ErrorKind::io, file.path, "needs {} MB more, but the disk of {} has {} MB free",
                  needed / 1'000'000 + 1, partial.parent_path().string(), free / 1'000'000);
    }
  }

  // snapshots/<commit>/<path> -> ../../blobs/<etag>, a copy where links are not wanted.
  void place(const fs::path& blob, const std::string& path, const fs::path& link) const {
    fs::create_directories(link.parent_path());
    fs::path temporary = link;
    temporary += fmt::format(".{}.tmp", ::getpid());
    std::error_code failed;
    fs::remove(temporary, failed);
    std::string target = "../../";
    for (const char c : path) {
      if (c == '/') target += "../";
    }
    failed.clear();
    if (env_.symlinks) {
      fs::create_symlink(target + "blobs/" + blob.filename().string(), temporary, failed);
    }
    if (!env_.symlinks || failed) fs::copy_file(blob, temporary);
    fs::rename(temporary, link);
  }

  void finish() {
    const fs::path tag = env_.cache / "CACHEDIR.TAG";
    if (!fs::exists(tag)) {
      write_file(tag,
                 "Signature: 8a477f597d28d172789f06886806bc55\n# A cache of the hub; it may be "
                 "deleted and filled again.\n");
    }
    report_.bytes_downloaded = static_cast<uint64_t>(std::max<int64_t>(received_, 0));
    if (options_.revision == report_.commit) return;
    const fs::path ref = at_ / "refs" / options_.revision;
    fs::create_directories(ref.parent_path());
    write_file(ref, report_.commit);
  }

  const std::string repo_;
  const HubEnv& env_;
  const FetchOptions& options_;
  const fs::path at_;
  HubConnection hub_;
  FetchReport report_;
  std::map<std::string, int64_t> sizes_;  // every file of the repository; -1: not said
  int64_t done_ = 0, received_ = 0;
};

// Files of a snapshot, relative and sorted; links whose blob is gone go to `broken`.
std::vector<std::string> snapshot_files(const fs::path& folder, std::vector<std::string>& broken) {
  std::vector<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    check_interrupted();
    std::error_code ignored;
    std::string name = entry.path().lexically_relative(folder).generic_string();
    if (entry.is_regular_file(ignored)) {
      out.push_back(std::move(name));
    } else if (entry.is_symlink(ignored) && !fs::exists(entry.path(), ignored)) {
      broken.push_back(std::move(name));
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

// What fetch_repo says offline: the snapshot that the cache has, if it is whole.
FetchReport report_cached(std::string_view repo, const HubEnv& env, const FetchOptions& options) {
  const bool model = options.kind == RepoKind::model;
  const CachedModel cached = find_cached_model(env, repo, options.revision, options.kind);
  std::vector<std::string> missing = cached.missing;
  FetchReport report{.folder = cached.folder, .commit = cached.commit};
  if (!cached.folder.empty()) {
    const auto all = snapshot_files(cached.folder, missing);
    if (model && missing.empty()) {
      const bool modules = fs::exists(cached.folder / "modules.json");
      report.files = needed_model_files(
          all, modules ? module_paths(cached.folder) : std::vector<std::string>());
    } else if (!model) {
      size_t rows = 0;
      for (const std::string& name : all) {
        const bool wanted = is_wanted_row_file(name, options);
        rows += wanted ? 1 : 0;
        if (wanted || is_extra_of_dataset(name)) report.files.push_back(name);
      }
      if (rows == 0 && missing.empty()) missing.emplace_back("every file of rows that is wanted");
    }
  }
  if (cached.folder.empty() || !missing.empty()) {
    throw_error(ErrorKind::not_found, env.offline_because,
                "{}@{} is {} {}, and nothing is downloaded; unset the variable, or fetch it on a "
                "machine with network and copy its folder",
                repo, options.revision,
                cached.folder.empty()
                    ? "not in the cache"
                    : fmt::format("incomplete (missing: {}) in", list_some(missing, kNamed)),
                repo_folder(env, repo, options.kind).string());
  }
  for (const std::string& file : report.files) {
    const auto size = fs::file_size(cached.folder / file);
    report.sizes.push_back(static_cast<int64_t>(size));
    report.bytes_total += size;
  }
  report.reused = report.files.size();
  return report;
}

}  // namespace

FetchReport fetch_repo(std::string_view repo, const HubEnv& env, const FetchOptions& options) {
  if (!is_repo_id(repo)) {
    throw_error(ErrorKind::usage, repo, "is no name of a repository on a hub; expected org/name");
  }
  check_revision(options.revision);
  try {
    return env.offline() ? report_cached(repo, env, options)
                         : RepoFetcher(repo, env, options).run();
  } catch (const fs::filesystem_error& error) {
    throw_error(ErrorKind::io, error.path1().string(), "{}", error.code().message());
  }
}

}  // namespace akin::store
