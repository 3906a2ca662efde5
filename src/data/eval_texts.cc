// See eval_texts.h.
#include "data/eval_texts.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "data/bad_rows.h"
#include "store/rows.h"
#include "store/text_source.h"
#include "text/utf8.h"

namespace akin::data {
namespace fs = std::filesystem;
namespace {

using store::Value;
using Sink = std::function<void(std::string_view, const std::string&)>;

constexpr std::string_view kTextColumns[] = {
    "text",       "title",    "query",     "positive",  "negative",  "negatives",  "pos",
    "neg",        "s1",       "s2",        "sentence1", "sentence2", "sentences",  "sentence",
    "text1",      "text2",    "text_pos",  "text_neg",  "anchor",    "entailment", "premise",
    "hypothesis", "document", "documents", "question",  "answer",    "captions",   "abstract",
    "body",       "content",  "en",        "zh"};

bool is_text_file(const fs::path& path) {
  fs::path name = path.filename();
  if (name.extension() == ".gz" || name.extension() == ".zst") name = name.stem();
  return name.extension() == ".txt";
}
bool is_data_file(const fs::path& path) {
  fs::path name = path.filename();
  if (name.string().starts_with("qrels") || path.parent_path().filename() == "qrels") return false;
  if (name.extension() == ".gz" || name.extension() == ".zst") name = name.stem();
  constexpr std::string_view kEndings[] = {".jsonl", ".ndjson", ".json",   ".csv",
                                           ".tsv",   ".tab",    ".parquet"};
  return std::find(std::begin(kEndings), std::end(kEndings), name.extension().string()) !=
         std::end(kEndings);
}

std::vector<fs::path> list_files(const std::string& path) {
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> out;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file() && is_data_file(entry.path())) out.push_back(entry.path());
  }
  if (out.empty()) throw_error(ErrorKind::not_found, path, "no data file in the folder");
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> choose_columns(const fs::path& file,
                                        std::span<const std::string> columns) {
  if (!columns.empty()) return {columns.begin(), columns.end()};
  const auto there = store::list_columns(file);
  std::vector<std::string> out;
  for (const auto name : kTextColumns) {
    if (std::find(there.begin(), there.end(), name) != there.end()) out.emplace_back(name);
  }
  if (out.empty()) {
    throw_error(ErrorKind::bad_format, file.string(),
                "no column of a name known for texts; the columns are: {}. Name those that hold "
                "texts: --eval-columns COLUMN",
                fmt::join(there, ", "));
  }
  return out;
}

// NOLINTNEXTLINE(misc-no-recursion): lists are as deep as the row reader allows
void each_text(const Value& value, const store::RowReader& rows, const std::string& column,
               const Sink& f) {
  if (value.kind == Value::Kind::list) {
    for (const Value& item : value.list) each_text(item, rows, column, f);
    return;
  }
  std::string text;
  if (read_text(value, rows, column, text) && !text.empty()) f(text, rows.where());
}

void each_line(const fs::path& file, const Sink& f) {
  store::TextSourceOptions options;
  options.format = store::TextFormat::lines;
  const auto lines = store::open_text_source(file, options);
  store::TextRow row;
  std::string repaired;
  while (lines->next(row)) {
    if (row.values.empty() || row.values[0].empty()) continue;
    repaired.clear();
    text::repair_utf8(row.values[0], repaired);
    f(repaired, fmt::format("{}:{}", file.string(), row.line));
  }
}

}  // namespace

void each_eval_text(std::span<const std::string> paths, std::span<const std::string> columns,
                    const Sink& f) {
  for (const auto& path : paths) {
    for (const auto& file : list_files(path)) {
      check_interrupted();
      if (is_text_file(file)) {
        each_line(file, f);
        continue;
      }
      const auto chosen = choose_columns(file, columns);
      const auto rows = store::open_rows(file, chosen);
      std::vector<Value> values(chosen.size());
      while (rows->next(values)) {
        for (size_t i = 0; i < values.size(); ++i) each_text(values[i], *rows, chosen[i], f);
      }
    }
  }
}

}  // namespace akin::data
