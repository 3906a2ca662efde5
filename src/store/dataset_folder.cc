// See dataset_folder.h. Reads the part of YAML that dataset cards use for `configs:`
// (dataset_card.cc), else goes by names as the `datasets` package does.
#include "store/dataset_folder.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "store/dataset_card.h"

namespace akin::store {
namespace fs = std::filesystem;
namespace {

constexpr int kMaxDepth = 6;
constexpr size_t kMaxFiles = 200'000;
constexpr uint64_t kMaxCardBytes = uint64_t{16} << 20;

// Words for a split, and the one each stands for.
constexpr std::pair<std::string_view, std::string_view> kSplitWords[] = {
    {"train", "train"},      {"training", "train"}, {"validation", "validation"},
    {"valid", "validation"}, {"val", "validation"}, {"dev", "validation"},
    {"test", "test"},        {"testing", "test"},   {"eval", "test"},
    {"evaluation", "test"}};

std::string_view split_word(std::string_view name) {
  for (const auto& [word, split] : kSplitWords) {
    if (word == name) return split;
  }
  return {};
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// "test.jsonl.gz" -> "test"; empty when it is no data file.
std::string stem_of(const std::string& filename) {
  fs::path name = filename;
  const std::string outer = lower(name.extension().string());
  if (outer == ".gz" || outer == ".zst") name = name.stem();
  constexpr std::array<std::string_view, 7> kData = {".jsonl", ".json", ".ndjson", ".csv",
                                                     ".tsv",   ".tab",  ".parquet"};
  const std::string extension = lower(name.extension().string());
  if (std::find(kData.begin(), kData.end(), extension) == kData.end()) return {};
  return name.stem().string();
}

// Files that hub repositories have beside their data.
bool is_metadata(const std::string& filename) {
  return filename == "dataset_infos.json" || filename == "dataset_info.json" ||
         filename == "dataset_dict.json" || filename == "state.json" ||
         filename == "metadata.json" || filename.starts_with('.');
}

}  // namespace

bool is_data_file(std::string_view path) {
  const std::string filename(path.substr(path.rfind('/') + 1));
  return !is_metadata(filename) && !stem_of(filename).empty();
}

namespace {

// Relative paths of all data files, sorted. Links to folders are followed only at the root itself.
std::vector<std::string> data_files(const fs::path& root) {
  std::vector<std::string> out;
  std::error_code error;
  fs::recursive_directory_iterator it(root, fs::directory_options::skip_permission_denied, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    check_interrupted();
    const std::string filename = it->path().filename().string();
    std::error_code ignored;
    if (it->is_directory(ignored)) {
      if (filename.starts_with('.') || it.depth() + 1 >= kMaxDepth || it->is_symlink(ignored)) {
        it.disable_recursion_pending();
      }
      continue;
    }
    if (!is_data_file(filename)) continue;
    out.push_back(it->path().lexically_relative(root).generic_string());
    if (out.size() > kMaxFiles) {
      throw_error(ErrorKind::usage, root.string(),
                  "more than {} data files; this looks like a folder of data sets, name one of "
                  "them",
                  kMaxFiles);
    }
  }
  if (error) {
    throw_error(ErrorKind::io, root.string(), "cannot list the folder: {}", error.message());
  }
  std::sort(out.begin(), out.end());
  return out;
}

// "test-00000-of-00002" -> "test".
std::string_view without_shard(std::string_view stem) {
  const size_t of = stem.rfind("-of-");
  if (of == std::string_view::npos || of == 0) return stem;
  const size_t dash = stem.rfind('-', of - 1);
  const auto digits = [](std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  };
  // Also "-00000-of-00001-0123456789abcdef", which older writers add.
  std::string_view last = stem.substr(of + 4);
  last = last.substr(0, last.find('-'));
  if (dash == std::string_view::npos || dash == 0 || !digits(last) ||
      !digits(stem.substr(dash + 1, of - dash - 1))) {
    return stem;
  }
  return stem.substr(0, dash);
}

struct Place {
  std::string config, split;
};

// "corpus" -> config "corpus"; "qrels_test" -> config "qrels", split "test"; "en_test", "test_en"
// likewise; "test" -> config of the folder.
std::optional<Place> split_at_word(std::string_view name) {
  for (const char separator : {'_', '-', '.'}) {
    const size_t last = name.rfind(separator);
    if (last != std::string_view::npos && last > 0) {
      const std::string tail = lower(name.substr(last + 1));
      if (!split_word(tail).empty()) return Place{std::string(name.substr(0, last)), tail};
    }
    const size_t first = name.find(separator);
    if (first != std::string_view::npos && first + 1 < name.size()) {
      const std::string head = lower(name.substr(0, first));
      if (!split_word(head).empty()) return Place{std::string(name.substr(first + 1)), head};
    }
  }
  return {};
}

// By the names on its way. `folder` has no "data" at its front.
Place place_of(std::string_view relative) {
  const size_t slash = relative.rfind('/');
  std::string folder(slash == std::string_view::npos ? "" : relative.substr(0, slash));
  const std::string full_stem =
      stem_of(std::string(slash == std::string_view::npos ? relative : relative.substr(slash + 1)));
  const std::string stem(without_shard(full_stem));
  if (folder == "data") folder.clear();
  if (folder.starts_with("data/")) folder.erase(0, 5);
  // train/0000.parquet, en/test/part-0.jsonl: the folder names the split.
  const size_t inner = folder.rfind('/');
  const std::string last = inner == std::string::npos ? folder : folder.substr(inner + 1);
  if (!split_word(lower(stem)).empty()) return {folder.empty() ? "default" : folder, lower(stem)};
  if (!split_word(lower(last)).empty()) {
    const std::string config = inner == std::string::npos ? "" : folder.substr(0, inner);
    return {config.empty() ? "default" : config, lower(last)};
  }
  // Shards without a name of their own belong to their folder.
  const bool shard =
      stem.starts_with("part-") || stem.find_first_not_of("0123456789") == std::string::npos;
  if (!folder.empty()) return {folder, shard ? last : stem};
  if (const auto place = split_at_word(stem)) return *place;
  return {stem, stem};
}

// Names decide which split a file is of, and two forms of one split (test.jsonl and test.jsonl.gz,
// test.csv and data/test-00000-of-00001.parquet) are most often the same rows twice.
void check_one_form(const DatasetFolder::Files& files, const fs::path& root) {
  std::map<std::string, const fs::path*> whole, shards;  // by place and stem
  const auto clash = [&](const fs::path& a, const fs::path& b) {
    throw_error(
        ErrorKind::bad_format, root.string(),
        "{} and {} are both the rows of one split; remove one of them, or name the file in a "
        "task file (files.rows = \"...\")",
        a.lexically_relative(root).generic_string(), b.lexically_relative(root).generic_string());
  };
  for (const auto& file : files) {
    std::string folder = file.parent_path().lexically_relative(root).generic_string();
    if (folder == "." || folder == "data") folder.clear();
    if (folder.starts_with("data/")) folder.erase(0, 5);
    const std::string stem = stem_of(file.filename().string());
    const std::string shared = fmt::format("{}/{}", folder, without_shard(stem));
    const bool is_shard = without_shard(stem) != stem;
    auto& own = is_shard ? shards : whole;
    const auto [same, fresh] =
        own.try_emplace(is_shard ? fmt::format("{}/{}", folder, stem) : shared, &file);
    if (!fresh) clash(*same->second, file);
    if (is_shard) shards.try_emplace(shared, &file);
  }
  for (const auto& [place, file] : whole) {
    if (const auto found = shards.find(place); found != shards.end()) clash(*file, *found->second);
  }
}

}  // namespace

DatasetFolder read_dataset_folder(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw_error(ErrorKind::not_found, folder.string(), "no such folder");
  }
  DatasetFolder out;
  out.path_ = folder;
  const std::vector<std::string> files = data_files(folder);
  if (files.empty()) {
    throw_error(ErrorKind::not_found, folder.string(),
                "the folder holds no data files (.jsonl, .json, .csv, .tsv, .parquet, also .gz or "
                ".zst); get the data set again");
  }
  std::vector<CardFiles> card;
  const fs::path readme = folder / "README.md";
  if (fs::exists(readme, ignored)) {
    card = read_card_files(read_file(readme, kMaxCardBytes), readme.string());
  }
  for (const CardFiles& entry : card) {
    for (const std::string& file : files) {
      if (!matches_glob(entry.pattern, file)) continue;
      auto& list = out.files_[entry.config][entry.split];
      if (std::find(list.begin(), list.end(), folder / file) == list.end()) {
        list.push_back(folder / file);
      }
    }
  }
  // A card may describe files that were not fetched; then names decide.
  if (!out.files_.empty()) return out;
  out.by_name_ = true;
  for (const std::string& file : files) {
    const Place place = place_of(file);
    out.files_[place.config][place.split].push_back(folder / file);
  }
  return out;
}

std::vector<std::string> DatasetFolder::configs() const {
  std::vector<std::string> out;
  for (const auto& [config, splits] : files_) out.push_back(config);
  return out;
}

std::vector<std::string> DatasetFolder::splits(std::string_view config) const {
  std::vector<std::string> out;
  const auto found = files_.find(config);
  if (found == files_.end()) return out;
  for (const auto& [split, files] : found->second) out.push_back(split);
  return out;
}

DatasetFolder::Files DatasetFolder::find(std::string_view config, std::string_view split,
                                         bool only_split_is_enough) const {
  const auto found = files_.find(config);
  if (found == files_.end()) return {};
  const auto& splits = found->second;
  auto match = splits.find(std::string(split));
  const std::string_view meaning = split_word(split);
  if (match == splits.end() && !meaning.empty()) {
    match = std::find_if(splits.begin(), splits.end(),
                         [&](const auto& other) { return split_word(other.first) == meaning; });
  }
  if (match == splits.end() && only_split_is_enough && splits.size() == 1) match = splits.begin();
  if (match == splits.end()) return {};
  if (by_name_) check_one_form(match->second, path_);
  return match->second;
}

DatasetFolder::Files DatasetFolder::files(std::string_view config, std::string_view split,
                                          bool only_split_is_enough) const {
  Files out = find(config, split, only_split_is_enough);
  if (!out.empty()) return out;
  if (!files_.contains(config)) {
    throw_error(ErrorKind::not_found, path_.string(),
                "the data set has no config {}; it has: {}. Get the missing files, or name another "
                "config",
                quote(config), list_some(configs()));
  }
  throw_error(ErrorKind::not_found, path_.string(),
              "config {} has no split {}; it has: {}. Get the missing files, or name another split",
              quote(config), quote(split), list_some(splits(config)));
}

fs::path DatasetFolder::file(std::string_view relative) const {
  const fs::path normal = fs::path(relative).lexically_normal();
  if (relative.empty() || normal.is_absolute() || *normal.begin() == "..") {
    throw_error(ErrorKind::usage, path_.string(), "{} leads out of the data set's folder",
                quote(relative));
  }
  fs::path out = path_ / normal;
  std::error_code ignored;
  if (!fs::exists(out, ignored)) {
    throw_error(ErrorKind::not_found, out.string(),
                "no such file in the data set; it has configs: {}. Get it, or name another",
                list_some(configs()));
  }
  return out;
}

namespace {

// The snapshot in the hub cache; empty, with what was looked for added to `tried`.
fs::path find_snapshot(const HubEnv& env, std::string_view name, std::string_view revision,
                       std::vector<std::string>& tried) {
  const fs::path repo = repo_folder(env, name, RepoKind::dataset), snapshots = repo / "snapshots";
  std::error_code ignored;
  std::string wanted(revision);
  if (wanted.empty()) wanted = "main";
  const fs::path reference = repo / "refs" / wanted;
  std::string commit = wanted;
  if (fs::is_regular_file(reference, ignored)) {
    commit = read_file(reference, 4096);
    while (!commit.empty() && (commit.back() == '\n' || commit.back() == '\r')) commit.pop_back();
  }
  // What a foreign file names must not lead elsewhere.
  if (is_commit_hash(commit) || commit == wanted) {
    if (fs::is_directory(snapshots / commit, ignored)) return snapshots / commit;
  }
  if (revision.empty()) {
    std::vector<fs::path> there;
    for (fs::directory_iterator it(snapshots, ignored), end; !ignored && it != end;
         it.increment(ignored)) {
      there.push_back(it->path());
    }
    if (there.size() == 1) return there[0];
  }
  tried.push_back((snapshots / (commit.empty() ? "*" : commit)).string());
  return {};
}

}  // namespace

DatasetFolder open_dataset(const fs::path& root, std::string_view name, std::string_view revision,
                           const HubEnv& env) {
  if (!is_repo_id(name)) {
    throw_error(ErrorKind::usage, name, "not the name of a data set; expected \"org/name\"");
  }
  if (!revision.empty()) check_revision(revision);
  std::vector<std::string> tried;
  std::error_code ignored;
  if (!root.empty()) {
    const size_t slash = name.find('/');
    const std::string last(slash == std::string_view::npos ? name : name.substr(slash + 1));
    std::vector<std::string> names = {last, std::string(name)};
    if (slash != std::string_view::npos) {
      names.push_back(std::string(name.substr(0, slash)) + "__" + last);
      names.push_back(std::string(name.substr(0, slash)) + "--" + last);
    }
    const size_t written = names.size();
    for (size_t i = 0; i < written; ++i) names.push_back(lower(names[i]));
    std::set<std::string> seen;
    for (const std::string& candidate : names) {
      if (!seen.insert(candidate).second) continue;
      if (fs::is_directory(root / candidate, ignored)) return read_dataset_folder(root / candidate);
      tried.push_back((root / candidate).string());
    }
  }
  const fs::path snapshot = find_snapshot(env, name, revision, tried);
  if (!snapshot.empty()) {
    DatasetFolder out = read_dataset_folder(snapshot);
    out.revision_ = snapshot.filename().string();
    return out;
  }
  throw_error(ErrorKind::not_found, name,
              "the data set was not found; looked for: {}. Put its folder there, or get it with: "
              "akin fetch --dataset {}{}",
              list_some(tried), name,
              revision.empty() ? std::string() : fmt::format("@{}", revision));
}

}  // namespace akin::store
