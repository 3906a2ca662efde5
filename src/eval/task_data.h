// The files of one task's dataset and the rows in them: roles ("rows", "corpus", "qrels") to files,
// files to typed rows, and the errors that name file, row and remedy. No scoring here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/task.h"
#include "eval/task_spec.h"
#include "store/dataset_folder.h"
#include "store/rows.h"

namespace akin::eval {

class TaskData {
 public:
  // A spec without a dataset (a generated one) has no files. Errors: not_found, lists where the
  // dataset was looked for. The spec must outlive this.
  TaskData(const TaskSpec& spec, const std::filesystem::path& root);

  const TaskSpec& spec() const { return spec_; }
  const std::filesystem::path& folder() const { return path_; }
  // The snapshot's, else the spec's.
  const std::string& revision() const { return revision_; }

  struct Files {
    std::vector<std::filesystem::path> paths;
    // One file for all subsets: the rows of this one are those whose column "lang" (or as
    // columns.lang names it) holds the subset's name.
    bool by_language = false;
  };
  // find(): no paths when there are none; files(): Errors not_found, says how to name them. What
  // they return counts as read.
  Files find(std::string_view role, const Slice& slice) const;
  Files files(std::string_view role, const Slice& slice) const;

  using OnRow =
      std::function<void(std::span<const store::Value> values, const store::RowReader& reader)>;
  // Every row of the role's files, in order. Columns as in store/rows.h. Errors: bad_format when
  // there is no row at all.
  void each_row(std::string_view role, const Slice& slice, std::span<const std::string> columns,
                const OnRow& on_row) const;

  // What the files read so far hold: path below the folder -> hash of the bytes.
  using FileHashes = std::map<std::string, std::string>;
  FileHashes hashes() const;
  // Whether those files are here and hold the same.
  bool holds(const FileHashes& hashes) const;

 private:
  Files search(std::string_view role, const Slice& slice) const;
  std::filesystem::path named_file(const std::string& relative) const;
  Files named_rows(const std::string& pattern, const Slice& slice) const;

  const TaskSpec& spec_;
  std::filesystem::path path_;
  store::DatasetFolder folder_;
  std::string revision_;
  mutable std::set<std::filesystem::path> read_;  // for hashes()
};

// One text column of a role as it is.
std::vector<std::string> read_texts(const TaskData& data, std::string_view role, const Slice& slice,
                                    const std::string& column);

// Text of one cell (numbers in their shortest form).
std::string text_of(const store::Value& value, const store::RowReader& reader,
                    std::string_view column);
// The items of a list cell as texts; a single text is a list of one.
std::vector<std::string> texts_of(const store::Value& value, const store::RowReader& reader,
                                  std::string_view column);

// A label through spec.label_map; empty when the row is left out.
std::optional<std::string> mapped_label(const TaskSpec& spec, std::string label);

}  // namespace akin::eval
