// Where the files of a dataset lie: a local folder, or a snapshot in the Hugging Face cache, in the
// layouts that Hugging Face, mteb and BEIR use. Finds files only; rows.h reads them; nothing is
// downloaded.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "store/hub_cache.h"

namespace akin::store {

// Configs ("default", "corpus", "queries", "qrels", "en", ...) of splits ("test", ...) of files.
//
// How files are assigned, first that applies: `configs:` in README.md's YAML header; else names:
// corpus.*, queries.*, qrels/<split>.tsv (BEIR; config "qrels"), {config}/{split}.ext,
// {config}/{split}-00000-of-0000N.ext, data/{split}-*.ext, {split}.ext, {config}_{split}.ext for
// qrels_test.tsv; a folder or name without a known split word makes a split of its own name
// (corpus.jsonl: config "corpus", split "corpus").
class DatasetFolder {
 public:
  using Files = std::vector<std::filesystem::path>;

  const std::filesystem::path& path() const { return path_; }
  const std::string& revision() const { return revision_; }  // of the snapshot, else empty

  std::vector<std::string> configs() const;
  std::vector<std::string> splits(std::string_view config) const;  // empty: no such config

  // Sorted by name. "validation" also finds "dev" and "val", and the other way round. Where the
  // config has one split only and `only_split_is_enough`, that one. find(): empty when there is
  // none. files(): Errors not_found, lists what there is. Both: bad_format where a split is there
  // in two forms (test.jsonl and test.jsonl.gz) and no card says which counts.
  Files find(std::string_view config, std::string_view split,
             bool only_split_is_enough = false) const;
  Files files(std::string_view config, std::string_view split,
              bool only_split_is_enough = false) const;

  // A file named by its path in the folder ("qrels_test.tsv.gz"). Errors: not_found; usage when the
  // path leads out of the folder.
  std::filesystem::path file(std::string_view relative) const;

 private:
  friend DatasetFolder read_dataset_folder(const std::filesystem::path& folder);
  friend DatasetFolder open_dataset(const std::filesystem::path&, std::string_view,
                                    std::string_view, const HubEnv&);
  std::filesystem::path path_;
  std::string revision_;
  bool by_name_ = false;  // no card said what each file is
  std::map<std::string, std::map<std::string, Files>, std::less<>> files_;
};

// Whether a file of a dataset's folder or repository holds rows, by its name.
bool is_data_file(std::string_view path);

// Reads a folder that is a dataset. Errors: not_found when it holds no data file; bad_format for a
// README.md whose header cannot be read.
DatasetFolder read_dataset_folder(const std::filesystem::path& folder);

// `name` is "org/name" or "name". Looks in `root` (may be empty) for name, org__name, org/name (as
// written and in lower case), then in the hub cache (datasets--org--name) at `revision` (empty: the
// one that refs/main names, or the only one). Errors: not_found, lists all that was looked for.
DatasetFolder open_dataset(const std::filesystem::path& root, std::string_view name,
                           std::string_view revision = {}, const HubEnv& env = hub_env());

}  // namespace akin::store
