// Which files the YAML header of a data set's README.md assigns to which config and split. Not a
// YAML reader: reads the indented lists and maps that dataset cards are written in. Internal to
// store/. Follows "Manual configuration" of the Hugging Face hub documentation.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace akin::store {

struct CardFiles {
  std::string config, split, pattern;  // pattern: a path with *, ?, ** and [...]
};
// Empty when there is no header, or no `configs:` with data files in it. A split that is not named
// is "train". Errors: bad_format, naming the line, for `configs:` in a form that is not read here.
std::vector<CardFiles> read_card_files(std::string_view readme, const std::string& where);

// The names of `datasets:` in the header of a model's README.md: what its author says it was
// trained on. Empty when there is none, or it is in a form that is not read here.
std::vector<std::string> read_card_datasets(std::string_view readme);

// The whole path; * and ? stay within a folder, ** crosses folders. "a" also matches "a/x".
bool matches_glob(std::string_view pattern, std::string_view path);

}  // namespace akin::store
