// Downloads a model or a dataset into the Hugging Face cache, so that every tool finds it there.
// Only this file of akin ever opens a connection to fetch something. Layout and headers as
// huggingface_hub uses them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "store/hub_cache.h"

namespace akin::store {

struct FetchOptions {
  RepoKind kind = RepoKind::model;
  std::vector<std::string> include =
      {};  // of a dataset: globs of the files that are wanted; empty: all
  std::string revision = "main";
  ProgressSink progress = {};  // bytes over all files; may be empty
  int tries = 5;               // per request, while the fault may pass (5xx, time-outs)
  double first_pause_s = 1;    // doubles with every try
  bool dry_run = false;        // list the files, download nothing
};

struct FetchReport {
  std::filesystem::path folder;  // the snapshot; not yet there in a dry run
  std::string commit;
  std::vector<std::string> files;  // that are needed, relative
  std::vector<int64_t> sizes;      // of `files`, in bytes; -1 where the hub does not say
  size_t reused = 0;               // files that were complete already
  uint64_t bytes_downloaded = 0;
  uint64_t bytes_total = 0;  // of `files`; 0 where the hub does not say
};

// Fills the cache with one revision of a repository and points refs/<revision> at it when all is
// there: of a model the files that it needs, of a dataset its card and all files of rows.
// A partial download is continued; every file is checked by size and, where the hub gives one, by
// checksum. Offline nothing is asked: the snapshot that the cache has is reported, if it is whole.
// Errors: usage (bad name), not_found (404; offline, and not wholly in the cache), io (network,
// disk, 401 and 403), bad_format (a hub that lies: paths, checksums), unsupported (no weights or
// rows that akin reads), interrupted (what was loaded stays for the next run).
FetchReport fetch_repo(std::string_view repo, const HubEnv& env, const FetchOptions& options = {});

}  // namespace akin::store
