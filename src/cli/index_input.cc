#include "cli/index_input.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/scratch_folder.h"
#include "store/byte_stream.h"
#include "store/lines.h"
#include "store/row_source.h"
#include "store/rows.h"

namespace akin::cli {

namespace dom = simdjson::dom;
namespace fs = std::filesystem;

class IndexInput::Source {
 public:
  virtual ~Source() = default;
  // False at the end. Errors: bad_format, a bad row; the next call goes on behind it.
  virtual bool next(IndexDocument& out) = 0;
  virtual uint64_t bad_rows() const { return 0; }  // skipped below
  virtual uint64_t bytes_read() const = 0;
};

namespace {

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Which of the fields there are holds the text, when nobody said.
std::string choose_text(const std::vector<std::string>& there, const std::string& id_field,
                        const std::string& where) {
  for (const auto name : store::kTextFields) {
    if (contains(there, name)) return std::string(name);
  }
  std::vector<std::string> left = there;
  std::erase(left, id_field);
  if (left.size() == 1) return left.front();
  throw_error(ErrorKind::bad_format, where, "no field named {}; there are: {}. Name one by --field",
              fmt::join(store::kTextFields, ", "),
              left.empty() ? std::string("none") : fmt::format("{}", fmt::join(left, ", ")));
}

void append_text(std::string_view part, std::string& text) {
  if (!text.empty() && !part.empty()) text += ' ';
  text += part;
}

// Plain lines, folders, stdin: text and place, nothing else.
class PlainSource final : public IndexInput::Source {
 public:
  PlainSource(const std::string& file, const IndexInputOptions& options, const Context& context)
      : file_(file), reader_({file}, options.input, context) {}
  bool next(IndexDocument& out) override {
    if (!reader_.next(row_)) return false;
    // A file's name within a folder: two folders may have the same.
    if (!row_.id.empty()) row_.id = (fs::path(file_) / row_.id).string();
    out.document = {std::move(row_.id), std::move(row_.text), {}};
    out.line = row_.line;
    return true;
  }
  uint64_t bad_rows() const override { return reader_.bad_rows(); }
  uint64_t bytes_read() const override { return reader_.bytes_read(); }

 private:
  const std::string file_;
  InputReader reader_;
  InputText row_;
};

class JsonlSource final : public IndexInput::Source {
 public:
  JsonlSource(const std::string& file, const IndexInputOptions& options)
      : options_(options),
        name_(file == "-" ? "stdin" : file),
        text_fields_(options.input.field),
        lines_(store::open_byte_stream(file), uint64_t{64} << 20) {}

  bool next(IndexDocument& out) override {
    using Result = store::LineReader::Result;
    while (true) {
      std::string_view line;
      const Result result = lines_.next(line);
      if (result == Result::end) return false;
      out.line = lines_.line_number();
      where_ = fmt::format("{}:{}", name_, out.line);
      if (result == Result::too_long)
        throw_error(ErrorKind::bad_format, where_, "longer than 64 MB");
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      read(line, out.document);
      return true;
    }
  }
  uint64_t bytes_read() const override { return lines_.stream().bytes_read(); }

 private:
  void read(std::string_view line, index::Document& out) {
    dom::element element;
    // The line reader keeps LineReader::kPaddingBytes readable behind every line.
    const auto error = parse_json(parser_, line, true, element);
    if (error) {
      throw_error(ErrorKind::bad_format, where_, "not valid JSON: {}",
                  simdjson::error_message(error));
    }
    out = {};
    std::string_view plain;
    if (element.get(plain) == simdjson::SUCCESS && options_.input.id_field.empty()) {
      out.text = plain;
      return;
    }
    dom::object object;
    if (element.get(object) != simdjson::SUCCESS) {
      throw_error(ErrorKind::bad_format, where_, "expected one JSON object a line");
    }
    if (text_fields_.empty()) {
      std::vector<std::string> there;
      for (const auto field : object) there.emplace_back(field.key);
      text_fields_ = {choose_text(there, options_.input.id_field, where_)};
    }
    for (const auto& name : text_fields_) {
      dom::element value;
      if (object.at_key(name).get(value) != simdjson::SUCCESS) {
        throw_error(ErrorKind::bad_format, where_, "field {} is missing", quote(name));
      }
      append_text(as_words(value, name), out.text);
    }
    read_id(object, out);
    if (options_.keep_metadata) read_metadata(object, out);
  }

  std::string_view as_words(dom::element value, const std::string& name) const {
    std::string_view text;
    if (value.is_null()) return {};
    if (value.get(text) != simdjson::SUCCESS) {
      throw_error(ErrorKind::bad_format, where_, "field {} is not a string", quote(name));
    }
    return text;
  }

  void read_id(dom::object object, index::Document& out) const {
    if (options_.input.id_field.empty()) return;
    dom::element value;
    std::string_view text;
    int64_t number = 0;
    if (object.at_key(options_.input.id_field).get(value) == simdjson::SUCCESS) {
      if (value.get(text) == simdjson::SUCCESS && !text.empty()) {
        out.id = text;
        return;
      }
      if (value.get(number) == simdjson::SUCCESS) {
        out.id = std::to_string(number);
        return;
      }
    }
    throw_error(ErrorKind::bad_format, where_,
                "field {} is missing or empty, or neither a string nor an integer",
                quote(options_.input.id_field));
  }

  void read_metadata(dom::object object, index::Document& out) const {
    for (const auto field : object) {
      const bool taken = options_.metadata.empty() ? field.key != options_.input.id_field &&
                                                         !contains(text_fields_, field.key)
                                                   : contains(options_.metadata, field.key);
      if (!taken) continue;
      out.metadata += out.metadata.empty() ? '{' : ',';
      out.metadata += nlohmann::json(field.key).dump();
      out.metadata += ':';
      out.metadata += simdjson::minify(field.value);
    }
    if (!out.metadata.empty()) out.metadata += '}';
  }

  const IndexInputOptions& options_;
  const std::string name_;
  std::string where_;
  std::vector<std::string> text_fields_;
  store::LineReader lines_;
  dom::parser parser_;
};

// Columns. Cells of CSV and TSV that are JSON numbers, true or false become such.
class ColumnSource final : public IndexInput::Source {
 public:
  ColumnSource(const std::string& named, const IndexInputOptions& options) : options_(options) {
    const std::string file = readable_twice(named);
    store::RowOptions rows;
    const auto format = options.input.input_format;
    if (format == store::TextFormat::csv) rows.format = store::RowFormat::csv;
    if (format == store::TextFormat::tsv) rows.format = store::RowFormat::tsv;
    const auto there = store::list_columns(file, rows);
    columns_ = options.input.field;
    if (columns_.empty()) columns_ = {choose_text(there, options.input.id_field, file)};
    text_columns_ = columns_.size();
    if (!options.input.id_field.empty()) columns_.push_back(options.input.id_field);
    for (const auto& name : options.metadata.empty() ? there : options.metadata) {
      const bool used = contains(columns_, name);
      if (options.keep_metadata && (!used || !options.metadata.empty())) columns_.push_back(name);
    }
    rows_ = store::open_rows(file, columns_, rows);
    values_.resize(columns_.size());
  }

  bool next(IndexDocument& out) override {
    if (!rows_->next(values_)) return false;
    out.line = rows_->row();
    out.document = {};
    std::string scratch;
    size_t at = 0;
    for (; at < text_columns_; ++at) {
      if (values_[at].is_null()) continue;
      append_text(store::as_text(values_[at], *rows_, columns_[at], scratch), out.document.text);
    }
    if (!options_.input.id_field.empty()) {
      out.document.id = store::as_text(values_[at], *rows_, columns_[at], scratch);
      if (out.document.id.empty()) {
        throw_error(ErrorKind::bad_format, rows_->where(), "field {} is empty",
                    quote(columns_[at]));
      }
      ++at;
    }
    nlohmann::ordered_json metadata;
    for (; at < columns_.size(); ++at) place(metadata, columns_[at], to_json(values_[at]));
    if (!metadata.is_null()) {
      out.document.metadata =
          metadata.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    }
    return true;
  }
  uint64_t bytes_read() const override { return rows_->bytes_read(); }

 private:
  // The header is looked at before the rows are: what comes through a pipe is written down first.
  std::string readable_twice(const std::string& file) {
    std::error_code error;
    if (file != "-" && fs::is_regular_file(file, error)) return file;
    scratch_.emplace(fs::temp_directory_path() / "akin-index-input");
    const fs::path copy = scratch_->path() / "stdin";
    const auto in = store::open_byte_stream(file);
    AtomicFile out(copy);
    std::vector<char> buffer(1 << 20);
    while (const size_t n = in->read(buffer.data(), buffer.size())) {
      check_interrupted();
      out.write(buffer.data(), n);
    }
    out.commit();
    return copy.string();
  }

  // The column a.b is b of the object a.
  static void place(nlohmann::ordered_json& to, std::string_view name,
                    nlohmann::ordered_json value) {
    if (value.is_null()) return;
    const size_t dot = name.find('.');
    auto& here = to[std::string(name.substr(0, dot))];
    if (dot == std::string_view::npos || !(here.is_null() || here.is_object())) {
      here = std::move(value);
    } else {
      place(here, name.substr(dot + 1), std::move(value));
    }
  }

  nlohmann::ordered_json to_json(const store::Value& value) const {
    using Kind = store::Value::Kind;
    switch (value.kind) {
      case Kind::null:
        return nullptr;
      case Kind::integer:
        return value.integer;
      case Kind::real:
        return std::isfinite(value.real) ? nlohmann::ordered_json(value.real)
                                         : nlohmann::ordered_json(nullptr);
      case Kind::list: {
        auto out = nlohmann::ordered_json::array();
        for (const auto& item : value.list) out.push_back(to_json(item));
        return out;
      }
      case Kind::text:
        break;
    }
    return typed_text(value.text);
  }

  static nlohmann::ordered_json typed_text(std::string_view text) {
    const bool maybe =
        !text.empty() && text.size() < 32 &&
        (text[0] == '-' || (text[0] >= '0' && text[0] <= '9') || text == "true" || text == "false");
    if (maybe) {
      auto value = nlohmann::ordered_json::parse(text, nullptr, false);
      if (value.is_number() || value.is_boolean()) return value;
    }
    return std::string(text);
  }

  const IndexInputOptions& options_;
  std::vector<std::string> columns_;  // of the text, then the id, then metadata
  size_t text_columns_ = 0;
  std::optional<ScratchFolder> scratch_;
  std::unique_ptr<store::RowReader> rows_;
  std::vector<store::Value> values_;
};

enum class Kind : uint8_t { plain, jsonl, columns };

Kind kind_of(const std::string& file, store::TextFormat format) {
  std::error_code error;
  if (fs::is_directory(file, error)) return Kind::plain;
  switch (format) {
    case store::TextFormat::jsonl:
      return Kind::jsonl;
    case store::TextFormat::tsv:
    case store::TextFormat::csv:
      return Kind::columns;
    case store::TextFormat::lines:
      return Kind::plain;
    case store::TextFormat::automatic:
      break;
  }
  fs::path name = fs::path(file).filename();
  if (name.extension() == ".gz" || name.extension() == ".zst") name = name.stem();
  std::string extension = name.extension().string();
  for (char& c : extension) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (extension == ".jsonl" || extension == ".ndjson" || extension == ".json") return Kind::jsonl;
  const bool columns =
      extension == ".csv" || extension == ".tsv" || extension == ".tab" || extension == ".parquet";
  return columns ? Kind::columns : Kind::plain;
}

}  // namespace

struct IndexInput::State {
  IndexInputOptions options;
  const Context& context;
  std::vector<std::string> files;
  size_t next_file = 0;
  std::unique_ptr<Source> source;
  uint64_t bad_rows = 0, empty_rows = 0, bytes_done = 0, bytes_total = 0;

  void open() {
    const std::string& file = files[next_file];
    switch (kind_of(file, options.input.input_format)) {
      case Kind::jsonl:
        source = std::make_unique<JsonlSource>(file, options);
        break;
      case Kind::columns:
        source = std::make_unique<ColumnSource>(file, options);
        break;
      case Kind::plain:
        source = std::make_unique<PlainSource>(file, options, context);
        break;
    }
    ++next_file;
  }
};

IndexInput::IndexInput(std::vector<std::string> files, const IndexInputOptions& options,
                       const Context& context)
    : state_(std::make_unique<State>(State{options, context, {}, 0, nullptr})) {
  // Checks that the inputs are there, takes stdin where there is none, and knows their sizes.
  const InputReader check(files, {}, context);
  if (files.empty()) files.emplace_back("-");
  state_->bytes_total = check.bytes_total();
  state_->files = std::move(files);
}
IndexInput::~IndexInput() = default;

bool IndexInput::next(IndexDocument& out) {
  auto& s = *state_;
  while (true) {
    if (!s.source) {
      if (s.next_file == s.files.size()) return false;
      s.open();
    }
    out.file = s.files[s.next_file - 1];
    try {
      if (s.source->next(out)) {
        if (!out.document.text.empty()) return true;
        ++s.empty_rows;
        continue;
      }
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::bad_format || !s.options.input.skip_bad_rows) throw;
      ++s.bad_rows;
      continue;
    }
    s.bad_rows += s.source->bad_rows();
    s.bytes_done += s.source->bytes_read();
    s.source.reset();
  }
}

uint64_t IndexInput::bad_rows() const { return state_->bad_rows; }
uint64_t IndexInput::empty_rows() const { return state_->empty_rows; }
uint64_t IndexInput::bytes_read() const {
  return state_->bytes_done + (state_->source ? state_->source->bytes_read() : 0);
}
uint64_t IndexInput::bytes_total() const { return state_->bytes_total; }

}  // namespace akin::cli
