#include "base/options.h"

#include <algorithm>
#include <cmath>

namespace akin {

std::string OptionField::environment() const {
  if (positional) return {};
  std::string out = "AKIN_";
  for (const char c : name)
    out += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return out;
}

void OptionCollector::finish_default(OptionField& field) {
  const auto value = field.get();
  if (value.is_boolean()) {
    field.default_text = field.negatable && value.get<bool>() ? "on" : "";
  } else if (value.is_string()) {
    field.default_text = value.get<std::string>();
  } else if (value.is_number()) {
    field.default_text = value.dump();
  }
}

nlohmann::ordered_json options_record(std::span<const OptionField> fields) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  for (const auto& field : fields) out[field.name] = field.get();
  return out;
}

namespace options_detail {

bool parse_bool(std::string_view flag, std::string_view text) {
  for (const std::string_view yes : {"true", "1", "yes", "on"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"false", "0", "no", "off", ""}) {
    if (text == no) return false;
  }
  throw_error(ErrorKind::usage, flag, "{} is not a yes or no; use true or false", quote(text));
}

int64_t parse_int(std::string_view flag, std::string_view text, int64_t least) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least) {
    throw_error(ErrorKind::usage, flag, "{} is not a whole number{}", quote(text),
                least == 0 ? " of 0 or more" : "");
  }
  return value;
}

double parse_double(std::string_view flag, std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    throw_error(ErrorKind::usage, flag, "{} is not a number", quote(text));
  }
  return value;
}

size_t parse_choice(std::string_view flag, std::string_view text,
                    std::span<const std::string_view> choices) {
  const auto it = std::find(choices.begin(), choices.end(), text);
  if (it != choices.end()) return static_cast<size_t>(it - choices.begin());
  throw_error(ErrorKind::usage, flag, "{} is not one of {}", quote(text), fmt::join(choices, ", "));
}

std::vector<std::string> split_commas(std::span<const std::string> values) {
  std::vector<std::string> out;
  for (const auto& value : values) {
    size_t begin = 0;
    while (begin <= value.size()) {
      const size_t comma = std::min(value.find(',', begin), value.size());
      if (comma > begin) out.push_back(value.substr(begin, comma - begin));
      begin = comma + 1;
    }
  }
  return out;
}

OptionField parse_name(std::string_view name, std::string_view help, bool* split) {
  OptionField field;
  field.help = help;
  if (name.starts_with('+')) {
    field.positional = true;
    *split = false;
    name.remove_prefix(1);
  }
  if (name.starts_with("[no-]")) {
    field.negatable = true;
    name.remove_prefix(5);
  }
  if (name.ends_with("...")) {
    *split = false;
    name.remove_suffix(3);
  }
  const size_t equals = name.find('=');
  if (equals != std::string_view::npos) field.value = name.substr(equals + 1);
  field.name = name.substr(0, equals);
  AKIN_CHECK(!field.name.empty());
  return field;
}

}  // namespace options_detail
}  // namespace akin
