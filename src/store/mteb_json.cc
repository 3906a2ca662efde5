// JSON as Python's json module writes and reads it: floats by repr(), NaN and Infinity as bare
// words, ASCII only. Not a general writer (nlohmann-json is). Follows CPython's documented repr of
// floats: the shortest digits that read back, exponent below 1e-4 and from 1e16 on.
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"
#include "store/mteb_result.h"

namespace akin::store {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxMembers = 8192;  // readers look keys up one by one
// Bare words are parsed as these strings. A NUL cannot begin a string that mteb writes.
constexpr std::string_view kNan = "\"\\u0000NaN\"", kInfinity = "\"\\u0000Infinity\"",
                           kMinusInfinity = "\"\\u0000-Infinity\"";

void append_float(std::string& out, double x) {
  if (std::isnan(x)) {
    out += "NaN";
    return;
  }
  if (std::isinf(x)) {
    out += x < 0 ? "-Infinity" : "Infinity";
    return;
  }
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof digits, x, std::chars_format::scientific);
  const std::string_view text(digits, static_cast<size_t>(end.ptr - digits));
  const size_t mark = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + mark + (text[mark + 1] == '+' ? 2 : 1), end.ptr, exponent);
  if (exponent < -4 || exponent >= 16) {
    out += text;  // to_chars writes two exponent digits at least, as Python does
    return;
  }
  std::string mantissa(text.substr(0, mark));
  std::string sign;
  if (mantissa[0] == '-') {
    sign = "-";
    mantissa.erase(0, 1);
  }
  if (mantissa.size() > 1) mantissa.erase(1, 1);  // the point
  if (exponent < 0) {
    mantissa = "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + mantissa;
  } else {
    const size_t whole = static_cast<size_t>(exponent) + 1;
    if (mantissa.size() < whole) mantissa.append(whole - mantissa.size(), '0');
    mantissa.insert(whole, mantissa.size() == whole ? ".0" : ".");
  }
  out += sign + mantissa;
}

void newline(std::string& out, size_t indent, size_t depth) {
  out += '\n';
  out.append(indent * depth, ' ');
}

void append(std::string& out, const Json& value, size_t indent, size_t depth) {
  if (depth > kMaxDepth) throw_error(ErrorKind::usage, "", "JSON deeper than {} levels", kMaxDepth);
  if (value.is_number_float()) {
    append_float(out, value.get<double>());
  } else if (value.is_object() && !value.empty()) {
    char separator = '{';
    for (const auto& [key, member] : value.items()) {
      out += separator;
      newline(out, indent, depth + 1);
      out += Json(key).dump(-1, ' ', true, Json::error_handler_t::replace);
      out += ": ";
      append(out, member, indent, depth + 1);
      separator = ',';
    }
    newline(out, indent, depth);
    out += '}';
  } else if (value.is_array() && !value.empty()) {
    char separator = '[';
    for (const auto& item : value) {
      out += separator;
      newline(out, indent, depth + 1);
      append(out, item, indent, depth + 1);
      separator = ',';
    }
    newline(out, indent, depth);
    out += ']';
  } else {
    out += value.dump(-1, ' ', true, Json::error_handler_t::replace);
  }
}

// The text with bare NaN and Infinity outside strings replaced; empty when there are none.
std::string without_bare_words(std::string_view text) {
  if (text.find("NaN") == text.npos && text.find("Infinity") == text.npos) return {};
  std::string out;
  out.reserve(text.size() + 64);
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const std::string_view rest = text.substr(i);
    if (in_string && c == '\\' && i + 1 < text.size()) {
      out += c;
      out += text[++i];
      continue;
    }
    if (c == '"') in_string = !in_string;
    if (!in_string && rest.starts_with("NaN")) {
      out += kNan;
      i += 2;
    } else if (!in_string && rest.starts_with("-Infinity")) {
      out += kMinusInfinity;
      i += 8;
    } else if (!in_string && rest.starts_with("Infinity")) {
      out += kInfinity;
      i += 7;
    } else {
      out += c;
    }
  }
  return out;
}

Json string_value(std::string_view text) {
  if (text.starts_with('\0')) {
    if (text.substr(1) == "NaN") return std::numeric_limits<double>::quiet_NaN();
    if (text.substr(1) == "Infinity") return std::numeric_limits<double>::infinity();
    if (text.substr(1) == "-Infinity") return -std::numeric_limits<double>::infinity();
  }
  return std::string(text);
}

Json convert(simdjson::dom::element element, const std::string& where, size_t depth);

Json convert_object(simdjson::dom::object object, const std::string& where, size_t depth) {
  Json out = Json::object();
  // As the vector that it is: its own lookup by key is linear.
  auto& members = static_cast<Json::object_t::Container&>(out.get_ref<Json::object_t&>());
  std::unordered_map<std::string_view, size_t> places;
  if (object.size() > kMaxMembers) {
    throw_error(ErrorKind::bad_format, where, "an object with more than {} members", kMaxMembers);
  }
  for (const auto field : object) {
    auto value = convert(field.value, where, depth + 1);
    const auto [place, fresh] = places.emplace(field.key, members.size());
    if (fresh) {
      members.emplace_back(std::string(field.key), std::move(value));
    } else {
      members[place->second].second = std::move(value);
    }
  }
  return out;
}

Json convert(simdjson::dom::element element, const std::string& where, size_t depth) {
  using Type = simdjson::dom::element_type;
  if (depth > kMaxDepth) {
    throw_error(ErrorKind::bad_format, where, "JSON nested deeper than {} levels", kMaxDepth);
  }
  switch (element.type()) {
    case Type::OBJECT:
      return convert_object(simdjson::dom::object(element), where, depth);
    case Type::ARRAY: {
      Json out = Json::array();
      const simdjson::dom::array items = simdjson::dom::array(element);
      for (const auto item : items) {
        out.push_back(convert(item, where, depth + 1));
      }
      return out;
    }
    case Type::STRING:
      return string_value(element.get_string().value_unsafe());
    case Type::INT64:
      return element.get_int64().value_unsafe();
    case Type::UINT64:
      return element.get_uint64().value_unsafe();
    case Type::DOUBLE:
      return element.get_double().value_unsafe();
    case Type::BOOL:
      return element.get_bool().value_unsafe();
    default:
      return nullptr;
  }
}

}  // namespace

double python_round(double x, int decimals) {
  if (!std::isfinite(x)) return x;
  char text[400];  // 309 digits before the point at most
  std::snprintf(text, sizeof text, "%.*f", decimals, x);
  return std::strtod(text, nullptr);
}

std::string python_json(const Json& value, size_t indent) {
  std::string out;
  append(out, value, indent, 0);
  return out;
}

Json parse_python_json(std::string_view json, const std::string& where) {
  const std::string replaced = without_bare_words(json);
  const auto document = JsonDocument::parse(replaced.empty() ? json : replaced, where);
  return convert(document.root(), where, 0);
}

}  // namespace akin::store
