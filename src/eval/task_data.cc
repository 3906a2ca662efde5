#include "eval/task_data.h"

#include <algorithm>
#include <functional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/progress.h"

namespace akin::eval {
namespace {

std::string fill(std::string pattern, const Slice& slice) {
  const auto replace = [&pattern](std::string_view mark, const std::string& with) {
    for (size_t at = pattern.find(mark); at != std::string::npos;
         at = pattern.find(mark, at + with.size())) {
      pattern.replace(at, mark.size(), with);
    }
  };
  replace("{split}", slice.split);
  replace("{subset}", slice.subset.name);
  return pattern;
}

// Why a slice has no rows. `languages`: those of the rows that are there, when the file is one for
// all subsets.
[[noreturn]] void throw_no_rows(const TaskSpec& spec, const Slice& slice,
                                const std::filesystem::path& path,
                                const std::set<std::string, std::less<>>& languages) {
  if (!languages.empty()) {
    throw_error(ErrorKind::bad_format, path.string(),
                "no row of subset \"{}\" for split \"{}\" of task {}; the rows' languages are {}: "
                "name the subset as the file does, or its column with columns.lang",
                slice.subset.name, slice.split, spec.name, fmt::join(languages, ", "));
  }
  throw_error(ErrorKind::bad_format, path.string(),
              "no rows for split \"{}\", subset \"{}\" of task {}; an empty split cannot be "
              "scored: complete the file, or leave the split out of the task",
              slice.split, slice.subset.name, spec.name);
}

std::string hash_of(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  return fmt::format("{:016x}",
                     hash64({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
}

bool has_config(const store::DatasetFolder& folder, std::string_view config) {
  return !folder.splits(config).empty();
}

}  // namespace

TaskData::TaskData(const TaskSpec& spec, const std::filesystem::path& root) : spec_(spec) {
  if (!spec.dataset.empty()) {
    const std::filesystem::path plain = root / spec.dataset;
    std::error_code error;
    try {
      folder_ = store::open_dataset(root, spec.dataset, spec.revision);
      path_ = folder_.path();
    } catch (const Error& absent) {
      // A folder of files that are no tables (line-aligned text): the spec must name each.
      const bool usable = !root.empty() && !spec.files.empty() &&
                          absent.kind() == ErrorKind::not_found &&
                          std::filesystem::is_directory(plain, error);
      if (!usable) throw;
      path_ = plain;
    }
  }
  revision_ = folder_.revision().empty() ? spec.revision : folder_.revision();
}

std::filesystem::path TaskData::named_file(const std::string& relative) const {
  if (!folder_.path().empty()) return folder_.file(relative);
  const auto clean = std::filesystem::path(relative).lexically_normal();
  std::error_code error;
  if (clean.is_absolute() || clean.empty() || *clean.begin() == "..") {
    throw_error(ErrorKind::usage, spec_.where, "the file {} leads out of the dataset's folder",
                quote(relative));
  }
  if (!std::filesystem::exists(path_ / clean, error)) {
    throw_error(ErrorKind::not_found, (path_ / clean).string(),
                "no such file; it is named in files of task {}", spec_.name);
  }
  return path_ / clean;
}

// Several subsets in a file whose name does not tell them apart: a column does.
TaskData::Files TaskData::named_rows(const std::string& pattern, const Slice& slice) const {
  const bool shared = spec_.subsets.size() > 1 && pattern.find("{subset}") == std::string::npos;
  return {{named_file(fill(pattern, slice))}, shared};
}

TaskData::Files TaskData::search(std::string_view role, const Slice& slice) const {
  const auto named = spec_.files.find(std::string(role));
  const std::string& subset = slice.subset.name;
  if (role == "rows" || role == "train") {
    const std::string& split = role == "train" ? spec_.train_split : slice.split;
    if (named != spec_.files.end()) return named_rows(named->second, slice);
    if (const auto rows = spec_.files.find("rows"); rows != spec_.files.end()) {
      return named_rows(rows->second, {split, slice.subset});
    }
    if (has_config(folder_, subset)) return {folder_.find(subset, split)};
    return {folder_.find("default", split), subset != "default"};
  }
  if (named != spec_.files.end()) return {{named_file(fill(named->second, slice))}};
  std::vector<std::string> configs;
  if (subset != "default") configs.push_back(fmt::format("{}-{}", subset, role));
  configs.emplace_back(role);
  if (role == "queries") configs.emplace_back("query");
  if (role == "qrels") configs.push_back(subset);
  for (const auto& config : configs) {
    auto paths = folder_.find(config, slice.split, /*only_split_is_enough=*/role != "qrels");
    if (!paths.empty()) return {std::move(paths)};
  }
  return {};
}

TaskData::Files TaskData::find(std::string_view role, const Slice& slice) const {
  auto found = search(role, slice);
  read_.insert(found.paths.begin(), found.paths.end());
  return found;
}

TaskData::FileHashes TaskData::hashes() const {
  FileHashes out;
  for (const auto& path : read_) {
    check_interrupted();
    out[path.lexically_relative(path_).generic_string()] = hash_of(path);
  }
  return out;
}

bool TaskData::holds(const FileHashes& hashes) const {
  return std::all_of(hashes.begin(), hashes.end(), [&](const auto& file) {
    check_interrupted();
    std::error_code error;
    const auto path = path_ / file.first;
    return std::filesystem::is_regular_file(path, error) && hash_of(path) == file.second;
  });
}

TaskData::Files TaskData::files(std::string_view role, const Slice& slice) const {
  auto found = find(role, slice);
  if (!found.paths.empty()) return found;
  std::vector<std::string> there;
  for (const auto& config : folder_.configs()) {
    there.push_back(fmt::format("{} ({})", config, fmt::join(folder_.splits(config), ", ")));
  }
  throw_error(ErrorKind::not_found, path_.string(),
              "no file for the {} of split \"{}\", subset \"{}\" of task {}; the folder has {}; "
              "name the file with files.{} = \"...\" in a task file",
              role, slice.split, slice.subset.name, spec_.name,
              there.empty() ? "no data files" : fmt::format("{}", fmt::join(there, ", ")), role);
}

void TaskData::each_row(std::string_view role, const Slice& slice,
                        std::span<const std::string> columns, const OnRow& on_row) const {
  constexpr size_t kMostLanguages = 24;  // named in a message
  const Files found = files(role, slice);
  const std::string language = column(spec_, "lang", "lang|language");
  std::vector<std::string> wanted(columns.begin(), columns.end());
  if (found.by_language) wanted.push_back(language);
  std::vector<store::Value> values(wanted.size());
  std::set<std::string, std::less<>> languages;
  uint64_t rows = 0, kept = 0;
  std::string scratch;
  for (const auto& path : found.paths) {
    const auto reader = store::open_rows(path, wanted);
    while (reader->next(values)) {
      if (++rows % 4096 == 0) check_interrupted();
      if (found.by_language) {
        const auto of_row = store::as_text(values.back(), *reader, language, scratch);
        if (of_row != slice.subset.name) {
          if (languages.size() < kMostLanguages && !languages.contains(of_row)) {
            languages.emplace(of_row);
          }
          continue;
        }
      }
      ++kept;
      on_row(std::span<const store::Value>(values).first(columns.size()), *reader);
    }
  }
  if (kept == 0) throw_no_rows(spec_, slice, found.paths.front(), languages);
}

std::string text_of(const store::Value& value, const store::RowReader& reader,
                    std::string_view column) {
  std::string scratch;
  return std::string(store::as_text(value, reader, column, scratch));
}

std::vector<std::string> texts_of(const store::Value& value, const store::RowReader& reader,
                                  std::string_view column) {
  std::vector<std::string> out;
  if (value.kind != store::Value::Kind::list) {
    out.push_back(text_of(value, reader, column));
    return out;
  }
  for (const auto& item : value.list) out.push_back(text_of(item, reader, column));
  return out;
}

std::vector<std::string> read_texts(const TaskData& data, std::string_view role, const Slice& slice,
                                    const std::string& column) {
  std::vector<std::string> out;
  const std::string columns[] = {column};
  data.each_row(role, slice, columns, [&](auto values, const auto& reader) {
    out.push_back(text_of(values[0], reader, column));
  });
  return out;
}

std::optional<std::string> mapped_label(const TaskSpec& spec, std::string label) {
  if (spec.label_map.empty()) return label;
  const auto it = spec.label_map.find(label);
  if (it == spec.label_map.end()) return std::nullopt;
  return std::to_string(it->second);
}

}  // namespace akin::eval
