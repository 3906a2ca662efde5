// See record_reader.h: one file of named columns. A folder is beir_reader.cc.
#include "data/record_reader.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "core/counters.h"
#include "data/bad_rows.h"
#include "data/label_words.h"
#include "data/layout.h"
#include "store/rows.h"
#include "store/text_source.h"
#include "text/utf8.h"

namespace akin::data {
namespace fs = std::filesystem;
namespace {

using store::Value;

class TableRecords : public RecordReader {
 public:
  TableRecords(const fs::path& path, const Layout& layout, RowShape shape,
               const ReadOptions& options)
      : shape_(shape),
        group_(!layout.group.empty()),
        bad_(options.skip_bad_rows),
        labels_(options.labels),
        task_(options.task),
        source_(options.source.empty() ? source_name(path) : options.source) {
    columns_ = {group_ ? layout.group : layout.query};
    if (!layout.positive.empty()) columns_.push_back(layout.positive);
    for (const auto& column : {layout.label, layout.scores, layout.positive_scores,
                               layout.negative_scores, layout.task, layout.source}) {
      places_.push_back(column.empty() ? SIZE_MAX : columns_.size());
      if (!column.empty()) columns_.push_back(column);
    }
    negatives_at_ = columns_.size();
    columns_.insert(columns_.end(), layout.negatives.begin(), layout.negatives.end());
    values_.resize(columns_.size());
    rows_ = store::open_rows(path, columns_);
  }

  bool next(Record& record) override {
    while (next_positive_ == positives_.size()) {
      if (!read_row()) return false;
    }
    record.query = current_.query;
    record.positive = positives_[next_positive_];
    record.negatives = current_.negatives;
    record.label = current_.label;
    record.scores.clear();
    if (!positive_scores_.empty()) {
      record.scores.push_back(positive_scores_[next_positive_]);
      record.scores.insert(record.scores.end(), current_.scores.begin(), current_.scores.end());
    } else {
      record.scores = current_.scores;
    }
    record.task = current_.task;
    record.source = current_.source;
    record.shape = shape_;
    record.row = current_.row;
    ++next_positive_;
    if (group_) current_.query = record.positive;
    return true;
  }
  uint64_t rows() const override { return row_count_; }
  uint64_t bad_rows() const override { return bad_.count(); }
  const std::vector<BadRow>& first_bad_rows() const override { return bad_.first(); }
  uint64_t dropped_rows() const override { return dropped_; }
  uint64_t bytes_read() const override { return rows_->bytes_read(); }

 private:
  enum Field : uint8_t { kLabel, kScores, kPositiveScores, kNegativeScores, kTask, kSource };
  const Value* value(Field field) const {
    const size_t at = places_[field];
    return at == SIZE_MAX || values_[at].is_null() ? nullptr : &values_[at];
  }
  std::string_view column(Field field) const { return columns_[places_[field]]; }

  // The next sound row into current_ and positives_; false at the end.
  bool read_row() {
    next_positive_ = 0;
    positives_.clear();
    ++row_count_;  // also of a row that does not parse
    try {
      if (!rows_->next(values_)) {
        --row_count_;
        return false;
      }
      take_row();
      bad_.good();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::bad_format) throw;
      positives_.clear();
      bad_.add(error.where(), error.message());
    }
    return true;
  }

  void take_row() {
    current_.row = rows_->row();
    take_texts();
    current_.negatives.clear();
    for (size_t i = negatives_at_; i < columns_.size(); ++i) {
      if (values_[i].is_null() || empty_cell(values_[i])) continue;
      read_texts(values_[i], columns_[i], current_.negatives);
    }
    current_.label.reset();
    if (const Value* label = value(kLabel); label != nullptr && !empty_cell(*label)) {
      current_.label = labels_.number(*label, *rows_, column(kLabel));
      if (!current_.label) {
        positives_.clear();
        ++dropped_;
        count_event("data.dropped_labels", 1,
                    "rows whose label is to be dropped were left out, first " + rows_->where());
        return;
      }
    }
    take_scores();
    current_.task = task_;
    current_.source = source_;
    if (const Value* task = value(kTask)) read_text(*task, *rows_, column(kTask), current_.task);
    if (const Value* source = value(kSource)) {
      read_text(*source, *rows_, column(kSource), current_.source);
    }
  }

  // The query, and the positives: one that is empty for a single text, those behind the first of a
  // group.
  void take_texts() {
    if (group_) {
      read_texts(values_[0], columns_[0], positives_);
      if (positives_.size() < 2) {
        throw_error(ErrorKind::bad_format, rows_->where(),
                    "column {} has {} texts, a group needs two. Repair the row, or pass "
                    "--skip-bad-rows",
                    quote(columns_[0]), positives_.size());
      }
      current_.query = std::move(positives_.front());
      positives_.erase(positives_.begin());
      return;
    }
    if (!read_text(values_[0], *rows_, columns_[0], current_.query)) fail_empty(columns_[0]);
    if (shape_ == RowShape::single) {
      positives_.emplace_back();
      return;
    }
    read_texts(values_[1], columns_[1], positives_);
    if (positives_.empty()) fail_empty(columns_[1]);
  }

  void take_scores() {
    current_.scores.clear();
    positive_scores_.clear();
    if (value(kScores) != nullptr) {
      read_scores(kScores, current_.scores);
      check_scores(current_.scores.size(), 1 + current_.negatives.size(), kScores);
      return;
    }
    if (value(kPositiveScores) == nullptr) return;
    read_scores(kPositiveScores, positive_scores_);
    check_scores(positive_scores_.size(), positives_.size(), kPositiveScores);
    if (positive_scores_.empty() || value(kNegativeScores) == nullptr) return;
    read_scores(kNegativeScores, current_.scores);
    check_scores(current_.scores.size(), current_.negatives.size(), kNegativeScores);
  }
  void read_scores(Field field, std::vector<float>& out) const {
    for (const Value& score : store::as_list(*value(field), *rows_, column(field))) {
      out.push_back(static_cast<float>(store::as_real(score, *rows_, column(field))));
    }
  }
  // An empty list says nothing, as none does.
  void check_scores(size_t got, size_t expected, Field field) const {
    if (got == 0 || got == expected) return;
    throw_error(ErrorKind::bad_format, rows_->where(),
                "{} has {} numbers, expected {}: one for each text. Repair the row",
                quote(column(field)), got, expected);
  }

  static bool empty_cell(const Value& value) {
    return value.kind == Value::Kind::text && value.text.empty();
  }
  [[noreturn]] void fail_empty(std::string_view column) const {
    throw_error(ErrorKind::bad_format, rows_->where(),
                "column {} has no text. Repair the row, or pass --skip-bad-rows (in a recipe: "
                "skip_bad_rows)",
                quote(column));
  }
  // Appends a text, or each of a list of texts.
  void read_texts(const Value& value, std::string_view column, std::vector<std::string>& out) {
    const bool list = value.kind == Value::Kind::list;
    for (const Value& item : list ? value.list : std::span<const Value>(&value, 1)) {
      out.emplace_back();
      if (!read_text(item, *rows_, column, out.back())) out.pop_back();
    }
  }

  const RowShape shape_;
  const bool group_;
  BadRows bad_;
  const LabelWords labels_;
  const std::string task_, source_;
  std::vector<std::string> columns_;
  std::vector<size_t> places_;  // by Field
  size_t negatives_at_ = 0;
  std::vector<Value> values_;
  std::unique_ptr<store::RowReader> rows_;
  Record current_;
  std::vector<std::string> positives_;
  std::vector<float> positive_scores_;
  size_t next_positive_ = 0;
  uint64_t row_count_ = 0, dropped_ = 0;
};

// Makes the text valid UTF-8; a repair is counted.
template <typename Where>
void take_text(std::string_view text, const Where& where, std::string& out) {
  if (text::is_valid_utf8(text)) {
    out = text;
    return;
  }
  out.clear();
  const size_t repaired = text::repair_utf8(text, out);
  count_event("data.invalid_utf8", repaired,
              "bytes that are not UTF-8 were replaced by U+FFFD, first in " + where());
}

// Lines of a plain text file, a record each; blank lines are none.
class LineRecords : public RecordReader {
 public:
  LineRecords(const fs::path& path, const ReadOptions& options)
      : where_(path.string()),
        task_(options.task),
        source_(options.source.empty() ? source_name(path) : options.source) {
    store::TextSourceOptions lines;
    lines.format = store::TextFormat::lines;
    lines.skip_bad_rows = options.skip_bad_rows;
    lines_ = store::open_text_source(path, lines);
  }

  bool next(Record& record) override {
    do {
      if (!lines_->next(row_)) return false;
      ++rows_;
    } while (row_.values[0].find_first_not_of(" \t\v\f") == std::string::npos);
    record.clear();
    take_text(
        row_.values[0], [&] { return fmt::format("{}:{}", where_, row_.line); }, record.query);
    record.task = task_;
    record.source = source_;
    record.shape = RowShape::single;
    record.row = row_.line;
    return true;
  }
  uint64_t rows() const override { return rows_; }
  uint64_t bad_rows() const override { return lines_->bad_rows(); }
  const std::vector<BadRow>& first_bad_rows() const override { return none_; }
  uint64_t bytes_read() const override { return lines_->bytes_read(); }

 private:
  const std::string where_, task_, source_;
  std::unique_ptr<store::TextSource> lines_;
  store::TextRow row_;
  std::vector<BadRow> none_;
  uint64_t rows_ = 0;
};

bool is_plain_text(const fs::path& path) {
  fs::path name = path.filename();
  if (name.extension() == ".gz" || name.extension() == ".zst") name = name.stem();
  return name.extension() == ".txt";
}

}  // namespace

bool read_text(const Value& value, const store::RowReader& rows, std::string_view column,
               std::string& out) {
  if (value.is_null()) return false;
  std::string scratch;
  take_text(
      store::as_text(value, rows, column, scratch), [&] { return rows.where(); }, out);
  return true;
}

std::string source_name(const fs::path& path) {
  fs::path name = (path.has_filename() ? path : path.parent_path()).filename();
  if (name.extension() == ".gz" || name.extension() == ".zst") name = name.stem();
  return name.stem().string();
}

RowShape row_shape(const fs::path& path, const ReadOptions& options) {
  if (options.single && options.classes) {
    throw_error(ErrorKind::usage, "single, classes",
                "rows are either single texts or texts with their class");
  }
  if (options.single) return RowShape::single;
  if (options.classes) return RowShape::classes;
  if (!options.any_shape || fs::is_directory(path)) return RowShape::pair;
  if (!options.map.empty()) return shape_of_map(options.map);
  return is_plain_text(path) ? RowShape::single : shape_of_columns(store::list_columns(path));
}

OpenedRecords open_records(const fs::path& path, const ReadOptions& options) {
  const RowShape shape = row_shape(path, options);
  if (fs::is_directory(path)) {
    return {open_beir(path, options), fmt::format("BEIR folder, split {}", quote(options.split)),
            0};
  }
  if (shape == RowShape::single && options.map.empty() && is_plain_text(path)) {
    return {std::make_unique<LineRecords>(path, options), "lines of text", fs::file_size(path)};
  }
  const Layout layout = options.map.empty()
                            ? known_layout(store::list_columns(path), shape, path.string())
                            : mapped_layout(options.map, shape);
  return {std::make_unique<TableRecords>(path, layout, shape, options), layout.words,
          fs::file_size(path)};
}

}  // namespace akin::data
