// JSONL rows: one JSON object (or plain string) a line, read with simdjson; blank lines are
// skipped.
#include <simdjson.h>

#include "base/error.h"
#include "base/json.h"
#include "store/row_source.h"

namespace akin::store {
namespace {

namespace dom = simdjson::dom;
static_assert(LineReader::kPaddingBytes >= simdjson::SIMDJSON_PADDING);

std::string_view trim(std::string_view line) {
  const size_t begin = line.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(" \t\r") - begin + 1);
}

class JsonlSource : public RowSource {
 public:
  JsonlSource(std::unique_ptr<ByteStream> in, std::string where, TextSourceOptions options)
      : RowSource(std::move(in), std::move(where), std::move(options)), fields_(options_.fields) {}

  bool next(TextRow& row) override {
    while (true) {
      std::string_view line;
      const LineReader::Result result = lines_.next(line);
      if (result == LineReader::Result::end) return false;
      row.line = lines_.line_number();
      if (result == LineReader::Result::too_long) {
        too_long_row(row.line);
        continue;
      }
      line = trim(line);
      if (line.empty()) continue;
      std::string problem;
      if (read_row(line, row, problem)) return true;
      bad_row(row.line, problem);
    }
  }

 private:
  // False, with `problem` said, for a bad row.
  bool read_row(std::string_view line, TextRow& row, std::string& problem) {
    dom::element element;
    // The line reader keeps LineReader::kPaddingBytes readable behind every line.
    const auto error = parse_json(parser_, line, true, element);
    if (error) {
      problem = json_problem(error, line);
      return false;
    }
    std::string_view plain;
    if (fields_.empty() && options_.id_field.empty() && element.get(plain) == simdjson::SUCCESS) {
      row.values.resize(1);
      row.values[0].assign(plain);
      return true;
    }
    dom::object object;
    if (element.get(object) != simdjson::SUCCESS) {
      problem = "expected one JSON object a line";
      return false;
    }
    return choose_field(object, problem) && read_fields(object, row, problem) &&
           read_id(object, row, problem);
  }

  // Which field holds the text when none was named: decided by the first row that has one.
  bool choose_field(dom::object object, std::string& problem) {
    if (!fields_.empty()) return true;
    for (const std::string_view name : kTextFields) {
      if (object.at_key(name).error() == simdjson::SUCCESS) {
        fields_.emplace_back(name);
        return true;
      }
    }
    std::string names;
    size_t count = 0;
    for (const auto field : object) {
      if (field.key == options_.id_field) continue;
      if (++count <= 10) names += (names.empty() ? "" : ", ") + quote(field.key);
      if (count == 1) fields_.emplace_back(field.key);
    }
    if (count == 1) return true;
    fields_.clear();
    problem = fmt::format("no field named {}; the object has: {}. Name the field to read",
                          fmt::join(kTextFields, ", "), names.empty() ? "nothing" : names);
    return false;
  }

  bool read_fields(dom::object object, TextRow& row, std::string& problem) const {
    row.values.resize(fields_.size());
    for (size_t i = 0; i < fields_.size(); ++i) {
      dom::element value;
      std::string_view text;
      if (object.at_key(fields_[i]).get(value) != simdjson::SUCCESS) {
        problem = fmt::format("field {} is missing", quote(fields_[i]));
        return false;
      }
      if (value.get(text) != simdjson::SUCCESS) {
        problem = fmt::format("field {} is not a string", quote(fields_[i]));
        return false;
      }
      row.values[i].assign(text);
    }
    return true;
  }

  bool read_id(dom::object object, TextRow& row, std::string& problem) const {
    row.id.clear();
    if (options_.id_field.empty()) return true;
    dom::element value;
    std::string_view text;
    int64_t number = 0;
    uint64_t large = 0;  // from 2^63 on
    if (object.at_key(options_.id_field).get(value) == simdjson::SUCCESS) {
      if (value.get(text) == simdjson::SUCCESS) {
        row.id.assign(text);
        return true;
      }
      if (value.get(number) == simdjson::SUCCESS) {
        row.id = std::to_string(number);
        return true;
      }
      if (value.get(large) == simdjson::SUCCESS) {
        row.id = std::to_string(large);
        return true;
      }
    }
    problem = fmt::format("field {} is missing or neither a string nor an integer of 64 bits",
                          quote(options_.id_field));
    return false;
  }

  std::vector<std::string> fields_;
  dom::parser parser_;
};

}  // namespace

std::unique_ptr<TextSource> make_jsonl_source(std::unique_ptr<ByteStream> in, std::string where,
                                              TextSourceOptions options) {
  return std::make_unique<JsonlSource>(std::move(in), std::move(where), std::move(options));
}

}  // namespace akin::store
