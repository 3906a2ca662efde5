#include "base/json.h"

#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/file.h"

namespace akin {
namespace {

// What an error says that it got: a number itself, as it is short and often only out of range.
std::string got_words(simdjson::dom::element element) {
  switch (element.type()) {
    case simdjson::dom::element_type::ARRAY:
      return "an array";
    case simdjson::dom::element_type::OBJECT:
      return "an object";
    case simdjson::dom::element_type::STRING:
      return "a string";
    case simdjson::dom::element_type::BOOL:
      return "true or false";
    case simdjson::dom::element_type::NULL_VALUE:
      return "null";
    default:
      return simdjson::minify(element);
  }
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Whether `digits`, with a minus before them, are an integer that simdjson reads.
bool fits_64_bits(std::string_view digits, bool negative) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() && (!negative || value <= uint64_t{1} << 63);
}

// `text` with an exponent behind every integer beyond 64 bits, so that it is read as a double; the
// same text where there is none. What is no JSON stays none.
std::string with_long_integers_as_doubles(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 16 + simdjson::SIMDJSON_PADDING);
  size_t copied = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i) i += text[i] == '\\' ? 1 : 0;
    } else if (is_digit(text[i])) {
      const size_t begin = i;
      while (i < text.size() && is_digit(text[i])) ++i;
      const bool whole = i == text.size() || (text[i] != '.' && text[i] != 'e' && text[i] != 'E');
      const bool negative = begin > 0 && text[begin - 1] == '-';
      if (whole && !fits_64_bits(text.substr(begin, i - begin), negative)) {
        out.append(text, copied, i - copied).append("e0");
        copied = i;
      }
      // Digits behind a point or in an exponent are of the same number, and no integer.
      while (i < text.size() && (is_digit(text[i]) ||
                                 std::string_view(".eE+-").find(text[i]) != std::string_view::npos))
        ++i;
      --i;
    }
  }
  return out.append(text, copied);
}

}  // namespace

simdjson::error_code parse_json(simdjson::dom::parser& parser, std::string_view text, bool padded,
                                simdjson::dom::element& root) {
  const auto error = parser.parse(text.data(), text.size(), !padded).get(root);
  if (error != simdjson::NUMBER_ERROR) return error;
  const std::string again = with_long_integers_as_doubles(text);
  return parser.parse(again).get(root);
}

std::string json_problem(simdjson::error_code error, std::string_view text) {
  std::string out = fmt::format("not valid JSON: {}", simdjson::error_message(error));
  for (const std::string_view word : {"NaN", "Infinity"}) {
    if (text.find(word) == text.npos) continue;
    return out + fmt::format(" ({} is no number of JSON: write null, or leave the row out)", word);
  }
  return out;
}

JsonDocument JsonDocument::parse(std::string_view text, std::string where) {
  JsonDocument document;
  document.where_ = std::move(where);
  document.parser_ = std::make_unique<simdjson::dom::parser>();
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const auto error = parse_json(*document.parser_, text, false, document.root_);
  if (error) {
    throw_error(ErrorKind::bad_format, document.where_, "{}", json_problem(error, text));
  }
  return document;
}

JsonDocument JsonDocument::load(const std::filesystem::path& path, uint64_t max_bytes) {
  return parse(read_file(path, max_bytes), path.string());
}

void JsonValue::fail(std::string_view expected) const {
  throw_error(ErrorKind::bad_format, where_, "expected {}, got {}", expected, got_words(element_));
}

std::string_view JsonValue::as_string() const {
  if (!is_string()) fail("a string");
  return element_.get_string().value_unsafe();
}

bool JsonValue::as_bool() const {
  if (!is_bool()) fail("true or false");
  return element_.get_bool().value_unsafe();
}

int64_t JsonValue::as_int() const {
  if (element_.is_int64()) return element_.get_int64().value_unsafe();
  double d = 0;
  if (element_.get(d) == simdjson::SUCCESS && std::abs(d) < 9e15 && d == std::floor(d)) {
    return static_cast<int64_t>(d);
  }
  fail("an integer");
}

double JsonValue::as_double() const {
  double d = 0;
  if (element_.get(d) != simdjson::SUCCESS) fail("a number");
  return d;
}

simdjson::dom::array JsonValue::as_array() const {
  if (!is_array()) fail("an array");
  return element_.get_array().value_unsafe();
}

simdjson::dom::object JsonValue::as_object() const {
  if (!is_object()) fail("an object");
  return element_.get_object().value_unsafe();
}

std::vector<JsonValue> JsonValue::items() const {
  std::vector<JsonValue> out;
  for (auto element : as_array()) {
    out.emplace_back(element, where_ + "[" + std::to_string(out.size()) + "]");
  }
  return out;
}

std::vector<std::pair<std::string_view, JsonValue>> JsonValue::fields() const {
  std::vector<std::pair<std::string_view, JsonValue>> out;
  for (auto [key, element] : as_object()) {
    out.emplace_back(
        key, JsonValue(element, where_ + (where_.ends_with(": ") ? "" : ": ") + std::string(key)));
  }
  return out;
}

std::optional<JsonValue> JsonValue::find(std::string_view key) const {
  simdjson::dom::element element;
  if (as_object().at_key(key).get(element) != simdjson::SUCCESS || element.is_null()) return {};
  return JsonValue(element, where_ + ": " + std::string(key));
}

JsonValue JsonValue::at(std::string_view key) const {
  auto value = find(key);
  if (!value) throw_error(ErrorKind::bad_format, where_, "key \"{}\" is missing", key);
  return *value;
}

std::string JsonValue::get(std::string_view key, std::string_view fallback) const {
  const auto value = find(key);
  return std::string(value ? value->as_string() : fallback);
}

bool JsonValue::get(std::string_view key, bool fallback) const {
  const auto value = find(key);
  return value ? value->as_bool() : fallback;
}

int64_t JsonValue::get(std::string_view key, int64_t fallback) const {
  const auto value = find(key);
  return value ? value->as_int() : fallback;
}

double JsonValue::get(std::string_view key, double fallback) const {
  const auto value = find(key);
  return value ? value->as_double() : fallback;
}

}  // namespace akin
