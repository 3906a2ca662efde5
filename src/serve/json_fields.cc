#include "serve/json_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"

namespace akin::serve {
namespace {

using simdjson::dom::element_type;

constexpr size_t kMaxDepth = 32;  // deeper than any request that any dialect knows

std::string describe(JsonElement element) {
  switch (element.type()) {
    case element_type::ARRAY:
      return element.get_array().value_unsafe().size() == 0 ? "an empty list" : "a list";
    case element_type::OBJECT:
      return "an object";
    case element_type::STRING:
      return "the string " + quote(element.get_string().value_unsafe(), 40);
    case element_type::BOOL:
      return element.get_bool().value_unsafe() ? "true" : "false";
    case element_type::NULL_VALUE:
      return "null";
    case element_type::INT64:
      return fmt::format("{}", element.get_int64().value_unsafe());
    case element_type::UINT64:
      return fmt::format("{}", element.get_uint64().value_unsafe());
    default:
      return fmt::format("{}", element.get_double().value_unsafe());
  }
}

std::optional<int64_t> whole(JsonElement element) {
  int64_t i = 0;
  if (element.get(i) == simdjson::SUCCESS) return i;
  double d = 0;
  if (element.is_double() && element.get(d) == simdjson::SUCCESS && std::abs(d) < 9e15 &&
      d == std::floor(d)) {
    return static_cast<int64_t>(d);
  }
  return {};
}

std::string item_path(std::string_view path, size_t index) {
  return fmt::format("{}[{}]", path, index);
}

void refuse_empty(std::string_view text, std::string_view path, size_t index, bool listed) {
  if (!text.empty()) return;
  throw_error(ErrorKind::usage, path, "`{}` cannot be empty",
              listed ? item_path(path, index) : std::string(path));
}

// {"text": "..."}; anything else that such an object may hold (an image) is not for this model.
std::string text_of_object(JsonElement element, std::string_view path) {
  const BodyObject object(element, std::string(path));
  if (!object.has("text")) {
    throw_error(ErrorKind::unsupported, path,
                "an input object without \"text\"; this server embeds text only");
  }
  return object.text("text");
}

}  // namespace

void wrong_type(std::string_view path, JsonElement got, std::string_view expected) {
  throw_error(ErrorKind::bad_format, path.empty() ? "body" : path, "expected {}, got {}", expected,
              describe(got));
}

simdjson::dom::array as_list(JsonElement element, std::string_view path,
                             std::string_view expected) {
  if (!element.is_array()) wrong_type(path, element, expected);
  return element.get_array().value_unsafe();
}

std::string as_text(JsonElement element, std::string_view path) {
  if (!element.is_string()) wrong_type(path, element, "a string");
  return std::string(element.get_string().value_unsafe());
}

int64_t as_whole(JsonElement element, std::string_view path, int64_t low, int64_t high) {
  const auto value = whole(element);
  if (!value || *value < low || *value > high) {
    wrong_type(path, element, fmt::format("an integer from {} to {}", low, high));
  }
  return *value;
}

std::vector<int32_t> as_ids(JsonElement element, std::string_view path) {
  const simdjson::dom::array items = as_list(element, path, "a list of token ids");
  std::vector<int32_t> ids;
  ids.reserve(items.size());
  for (const JsonElement item : items) {
    int64_t id = -1;
    if (item.get(id) != simdjson::SUCCESS || id < 0 || id > INT32_MAX) {
      wrong_type(item_path(path, ids.size()), item, "a token id");
    }
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

std::vector<std::string> as_texts(JsonElement element, std::string_view path) {
  const simdjson::dom::array items = as_list(element, path, "a list of strings");
  std::vector<std::string> texts;
  texts.reserve(items.size());
  for (const JsonElement item : items) {
    if (!item.is_string()) wrong_type(item_path(path, texts.size()), item, "a string");
    texts.emplace_back(item.get_string().value_unsafe());
  }
  return texts;
}

BodyObject::BodyObject(JsonElement element, std::string path) : path_(std::move(path)) {
  if (element.get(object_) != simdjson::SUCCESS) wrong_type(path_, element, "an object");
}

std::string BodyObject::path(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

std::optional<JsonElement> BodyObject::find(std::string_view key) const {
  JsonElement element;
  if (object_.at_key(key).get(element) != simdjson::SUCCESS || element.is_null()) return {};
  return element;
}

JsonElement BodyObject::need(std::string_view key) const {
  const auto element = find(key);
  if (!element) throw_error(ErrorKind::usage, path(key), "`{}` is required", path(key));
  return *element;
}

std::string BodyObject::text(std::string_view key, std::string_view fallback) const {
  const auto element = find(key);
  return element ? as_text(*element, path(key)) : std::string(fallback);
}

std::optional<bool> BodyObject::flag(std::string_view key) const {
  const auto element = find(key);
  if (!element) return {};
  if (!element->is_bool()) wrong_type(path(key), *element, "true or false");
  return element->get_bool().value_unsafe();
}

std::optional<size_t> BodyObject::count(std::string_view key, size_t low, size_t high) const {
  const auto element = find(key);
  if (!element) return {};
  return static_cast<size_t>(
      as_whole(*element, path(key), static_cast<int64_t>(low), static_cast<int64_t>(high)));
}

std::string BodyObject::choice(std::string_view key, std::initializer_list<std::string_view> words,
                               std::string_view fallback) const {
  std::string word = text(key, fallback);
  if (word == fallback || std::find(words.begin(), words.end(), word) != words.end()) return word;
  throw_error(ErrorKind::usage, path(key), "expected one of {}, got {}", fmt::join(words, ", "),
              quote(word, 40));
}

std::optional<BodyObject> BodyObject::object(std::string_view key) const {
  const auto element = find(key);
  if (!element) return {};
  return BodyObject(*element, path(key));
}

Body::Body(std::string_view bytes) {
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  if (bytes.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    throw_error(ErrorKind::bad_format, "body", "empty; expected a JSON object");
  }
  auto error = parser_.allocate(bytes.size(), kMaxDepth);
  if (!error) error = parse_json(parser_, bytes, false, root_);
  if (error) {
    throw_error(ErrorKind::bad_format, "body", "not valid JSON: {}",
                simdjson::error_message(error));
  }
}

Inputs read_inputs(JsonElement element, std::string_view path, bool objects) {
  Inputs out;
  if (element.is_string()) {
    out.single = true;
    out.texts.push_back(as_text(element, path));
    refuse_empty(out.texts[0], path, 0, false);
    return out;
  }
  if (objects && element.is_object()) {
    out.single = true;
    out.texts.push_back(text_of_object(element, path));
    refuse_empty(out.texts[0], path, 0, false);
    return out;
  }
  const simdjson::dom::array items =
      as_list(element, path, "a string, a list of strings, or token ids");
  if (items.size() == 0) throw_error(ErrorKind::usage, path, "`{}` cannot be empty", path);
  const JsonElement first = items.at(0).value_unsafe();
  if (first.is_number()) {
    out.single = true;
    out.ids.push_back(as_ids(element, path));
  } else if (first.is_array()) {
    for (const JsonElement item : items) {
      const std::string at = item_path(path, out.ids.size());
      out.ids.push_back(as_ids(item, at));
      if (out.ids.back().empty()) throw_error(ErrorKind::usage, path, "`{}` cannot be empty", at);
    }
  } else {
    out.texts.reserve(items.size());
    for (const JsonElement item : items) {
      const size_t index = out.texts.size();
      if (objects && item.is_object()) {
        out.texts.push_back(text_of_object(item, item_path(path, index)));
      } else if (item.is_string()) {
        out.texts.emplace_back(item.get_string().value_unsafe());
      } else {
        wrong_type(item_path(path, index), item, "a string");
      }
      refuse_empty(out.texts.back(), path, index, true);
    }
  }
  return out;
}

}  // namespace akin::serve
