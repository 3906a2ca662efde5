#include "cli/pair_reader.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"

namespace akin::cli {
namespace {

constexpr std::pair<std::string_view, std::string_view> kKnownPairs[] = {
    {"sentence1", "sentence2"}, {"s1", "s2"},           {"text1", "text2"}, {"a", "b"},
    {"query", "positive"},      {"query", "document"},  {"query", "pos"},   {"text", "text_pos"},
    {"question", "answer"},     {"anchor", "positive"}, {"en", "zh"}};

std::vector<std::string_view> split_tabs(std::string_view line) {
  std::vector<std::string_view> out;
  while (true) {
    const size_t tab = line.find('\t');
    out.push_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return out;
    line.remove_prefix(tab + 1);
  }
}

// The store's reading of a name: by the ending below .gz or .zst.
store::TextFormat format_of(const std::string& file, store::TextFormat asked) {
  if (asked != store::TextFormat::automatic) return asked;
  std::filesystem::path path(file);
  if (path.extension() == ".gz" || path.extension() == ".zst") path = path.stem();
  const auto ending = path.extension().string();
  if (ending == ".jsonl" || ending == ".json" || ending == ".ndjson")
    return store::TextFormat::jsonl;
  if (ending == ".csv") return store::TextFormat::csv;
  return store::TextFormat::tsv;
}

std::unique_ptr<store::TextSource> open_lines(const std::string& file,
                                              const InputOptions& options) {
  store::TextSourceOptions lines;
  lines.format = store::TextFormat::lines;
  lines.skip_bad_rows = options.skip_bad_rows;
  return store::open_text_source(file, lines);
}

std::vector<std::string> json_keys(std::string_view line, const std::string& file) {
  const auto document = JsonDocument::parse(line, file + ":1");
  std::vector<std::string> keys;
  for (const auto& [key, value] : JsonValue(document).fields()) {
    if (value.is_string()) keys.emplace_back(key);
  }
  return keys;
}

std::vector<std::string> csv_names(std::string_view line) {
  std::vector<std::string> out(1);
  for (const char c : line) {
    if (c == ',') {
      out.emplace_back();
    } else if (c != '"') {
      out.back() += c;
    }
  }
  return out;
}

}  // namespace

PairReader::PairReader(std::string file, const InputOptions& options)
    : file_(std::move(file)), options_(options) {
  const auto format = format_of(file_, options.input_format);
  if (!options.field.empty() && options.field.size() != 2) {
    throw_error(ErrorKind::usage, "--field", "names {} columns, a pair has two: --field a,b",
                options.field.size());
  }
  if (options_.field.empty() &&
      (format == store::TextFormat::tsv || format == store::TextFormat::lines)) {
    tabbed_ = true;
    source_ = open_lines(file_, options_);
    row_waits_ = source_->next(row_);
    if (row_waits_) choose_columns(row_.values.at(0), store::TextFormat::tsv);
    return;
  }
  if (options_.field.empty()) {
    if (file_ == "-")
      throw_error(ErrorKind::usage, "--field", "is needed to read pairs from stdin: --field a,b");
    const auto lines = open_lines(file_, options_);
    if (lines->next(row_)) choose_columns(row_.values.at(0), format);
  }
  store::TextSourceOptions named;
  named.format = format;
  named.fields = options_.field;
  named.id_field = options_.id_field;
  named.skip_bad_rows = options_.skip_bad_rows;
  source_ = store::open_text_source(file_, named);
}

void PairReader::choose_columns(std::string_view first_line, store::TextFormat format) {
  std::vector<std::string> names;
  if (format == store::TextFormat::jsonl) {
    names = json_keys(first_line, file_);
  } else if (format == store::TextFormat::csv) {
    names = csv_names(first_line);
  } else {
    for (const auto name : split_tabs(first_line)) names.emplace_back(name);
  }
  for (const auto& [a, b] : kKnownPairs) {
    const auto at_a = std::find(names.begin(), names.end(), a),
               at_b = std::find(names.begin(), names.end(), b);
    if (at_a == names.end() || at_b == names.end()) continue;
    if (!tabbed_) {
      options_.field = {std::string(a), std::string(b)};
      return;
    }
    column_a_ = static_cast<size_t>(at_a - names.begin());
    column_b_ = static_cast<size_t>(at_b - names.begin());
    row_waits_ = false;  // the row was a header
    return;
  }
  if (!tabbed_) {
    throw_error(ErrorKind::usage, "--field", "say which two of its columns to compare ({} has {})",
                file_, fmt::join(names, ", "));
  }
}

bool PairReader::next_tabbed(TextPair& pair) {
  while (true) {
    if (!row_waits_ && !source_->next(row_)) return false;
    row_waits_ = false;
    if (row_.values.at(0).empty()) continue;
    const auto cells = split_tabs(row_.values[0]);
    if (cells.size() > std::max(column_a_, column_b_)) {
      pair.a = cells[column_a_];
      pair.b = cells[column_b_];
      pair.id.clear();
      return true;
    }
    if (!options_.skip_bad_rows) {
      throw_error(ErrorKind::bad_format, fmt::format("{}:{}", file_, row_.line),
                  "the row has no two tab-separated texts: {}", quote(row_.values[0]));
    }
  }
}

bool PairReader::next(TextPair& pair) {
  if (tabbed_) return next_tabbed(pair);
  if (!source_->next(row_)) return false;
  pair.a = std::move(row_.values.at(0));
  pair.b = std::move(row_.values.at(1));
  pair.id = std::move(row_.id);
  return true;
}

}  // namespace akin::cli
