// Reading JSON from outside (simdjson), with errors that name the file and the key. Writing goes
// through nlohmann::ordered_json.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace akin {

// simdjson's parse, but for integers beyond 64 bits: it refuses a whole document for one of them
// (such as 10^30, which transformers writes as model_max_length), here they are doubles. `padded`:
// SIMDJSON_PADDING bytes behind `text` may be read. Cost: a second parse where there is one.
simdjson::error_code parse_json(simdjson::dom::parser& parser, std::string_view text, bool padded,
                                simdjson::dom::element& root);

// What parse_json found wrong, for a message: simdjson's words, and what Python's writers do that
// no JSON reader takes.
std::string json_problem(simdjson::error_code error, std::string_view text);

// A parsed document that owns its bytes. Values borrowed from it live as long as it does.
class JsonDocument {
 public:
  // Errors: bad_format (syntax, depth, invalid UTF-8) naming `where`.
  static JsonDocument parse(std::string_view text, std::string where);
  static JsonDocument load(const std::filesystem::path& path,
                           uint64_t max_bytes = uint64_t{1} << 30);
  simdjson::dom::element root() const { return root_; }
  const std::string& where() const { return where_; }

 private:
  std::unique_ptr<simdjson::dom::parser> parser_;
  simdjson::dom::element root_;
  std::string where_;
};

// A value with its place ("tokenizer.json: model.vocab"), for typed reads with good errors.
class JsonValue {
 public:
  JsonValue(simdjson::dom::element element, std::string where)
      : element_(element), where_(std::move(where)) {}
  explicit JsonValue(const JsonDocument& document) : JsonValue(document.root(), document.where()) {}

  simdjson::dom::element element() const { return element_; }
  const std::string& where() const { return where_; }
  bool is_null() const { return element_.is_null(); }
  bool is_object() const { return element_.is_object(); }
  bool is_array() const { return element_.is_array(); }
  bool is_string() const { return element_.is_string(); }
  bool is_bool() const { return element_.is_bool(); }
  bool is_number() const { return element_.is_number(); }

  // Exact types; Errors: bad_format "expected a string, got null". An integer is also read from an
  // integral double (512.0).
  std::string_view as_string() const;
  bool as_bool() const;
  int64_t as_int() const;
  double as_double() const;
  simdjson::dom::array as_array() const;
  simdjson::dom::object as_object() const;
  std::vector<JsonValue> items() const;  // of an array
  std::vector<std::pair<std::string_view, JsonValue>> fields()
      const;  // of an object, in file order

  // A member of an object. find(): empty when absent or null. at(): Errors bad_format when absent.
  std::optional<JsonValue> find(std::string_view key) const;
  JsonValue at(std::string_view key) const;

  // get("hidden_size", 768): the member, or the fallback when it is absent or null; a wrong type is
  // an error.
  std::string get(std::string_view key, std::string_view fallback) const;
  std::string get(std::string_view key, const char* fallback) const {
    return get(key, std::string_view(fallback));
  }
  bool get(std::string_view key, bool fallback) const;
  int64_t get(std::string_view key, int64_t fallback) const;
  int64_t get(std::string_view key, int fallback) const { return get(key, int64_t{fallback}); }
  double get(std::string_view key, double fallback) const;

  [[noreturn]] void fail(std::string_view expected) const;

 private:
  simdjson::dom::element element_;
  std::string where_;
};

}  // namespace akin
