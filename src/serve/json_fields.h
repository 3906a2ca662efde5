// Typed reading of request bodies: every field checked, every refusal names the field, what was
// got and what was expected. Unknown fields are not looked at. Not a JSON parser (simdjson is) and
// not for files (base/json.h).
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace akin::serve {

using JsonElement = simdjson::dom::element;

// Errors: bad_format at `path`: "expected an integer, got the string \"12\"".
[[noreturn]] void wrong_type(std::string_view path, JsonElement got, std::string_view expected);

// `expected` is what a list of this field holds, for the error: "a list of strings".
simdjson::dom::array as_list(JsonElement element, std::string_view path, std::string_view expected);
std::string as_text(JsonElement element, std::string_view path);
// A whole number in [low, high]; 12.0 is one, too.
int64_t as_whole(JsonElement element, std::string_view path, int64_t low, int64_t high);
std::vector<int32_t> as_ids(JsonElement element, std::string_view path);  // a list of token ids
std::vector<std::string> as_texts(JsonElement element, std::string_view path);  // a list of strings

// One object of a body and its place in it ("" for the whole, "parameters", "instances[2]").
// Borrows from the parser. A member that is null counts as absent.
class BodyObject {
 public:
  // Errors: bad_format unless an object.
  BodyObject(JsonElement element, std::string path);

  std::string path(std::string_view key) const;  // "parameters.truncate"
  bool has(std::string_view key) const { return find(key).has_value(); }
  std::optional<JsonElement> find(std::string_view key) const;
  // Errors: usage "is required".
  JsonElement need(std::string_view key) const;

  std::string text(std::string_view key, std::string_view fallback = {}) const;
  std::optional<bool> flag(std::string_view key) const;
  bool flag(std::string_view key, bool fallback) const { return flag(key).value_or(fallback); }
  std::optional<size_t> count(std::string_view key, size_t low, size_t high) const;
  // One of `words`; Errors: usage naming them.
  std::string choice(std::string_view key, std::initializer_list<std::string_view> words,
                     std::string_view fallback) const;
  std::optional<BodyObject> object(std::string_view key) const;

 private:
  simdjson::dom::object object_;
  std::string path_;
};

// A body as it came: parsed, its depth limited. Errors of the constructor: bad_format.
class Body {
 public:
  explicit Body(std::string_view bytes);
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;
  JsonElement root() const { return root_; }
  BodyObject object() const { return {root_, ""}; }

 private:
  simdjson::dom::parser parser_;
  JsonElement root_;
};

// What embedding APIs take: a string, a list of strings, a list of token ids, or a list of those.
struct Inputs {
  std::vector<std::string> texts;
  std::vector<std::vector<int32_t>> ids;
  bool single = false;  // not a list of inputs
  size_t size() const { return texts.size() + ids.size(); }
};
// `objects`: the input or its items may also be {"text": ...}. Errors: usage for an empty text or
// list.
Inputs read_inputs(JsonElement element, std::string_view path, bool objects = false);

}  // namespace akin::serve
