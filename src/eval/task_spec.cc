#include "eval/task_spec.h"

#include <charconv>
#include <cmath>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"

namespace akin::eval {
namespace {

void parse(std::string_view text, std::string_view name, std::string_view where, bool& out) {
  const bool yes = text == "true" || text == "True" || text == "1";
  if (!yes && text != "false" && text != "False" && text != "0") {
    throw_error(ErrorKind::usage, where, "{} = {} is not true or false", name, quote(text));
  }
  out = yes;
}

template <typename Number>
requires std::is_arithmetic_v<Number>
void parse(std::string_view text, std::string_view name, std::string_view where, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  bool good = error == std::errc() && end == text.data() + text.size();
  if constexpr (std::is_floating_point_v<Number>) good = good && std::isfinite(out) && out >= 0;
  if (!good) {
    throw_error(ErrorKind::usage, where, "{} = {} is not a number that it can be", name,
                quote(text));
  }
}

void parse(std::string_view text, std::string_view, std::string_view, std::string& out) {
  out = std::string(text);
}

struct Setter {
  std::string_view name, value, where;
  bool found = false;
  std::vector<std::string_view> known = {};
  template <typename T>
  void operator()(std::string_view field, T& member) {
    known.push_back(field);
    if (field != name) return;
    parse(value, name, where, member);
    found = true;
  }
};

struct Lister {
  std::vector<std::pair<std::string, std::string>> settings;  // name, text
  template <typename T>
  void operator()(std::string_view field, T& member) {
    settings.emplace_back(field, fmt::format("{}", member));
  }
};

std::vector<std::pair<std::string, std::string>> list_settings(TaskSpec spec) {
  Lister out;
  spec.settings(out);
  return std::move(out.settings);
}

struct HashVisitor {
  Hasher& hasher;
  template <typename T>
  void operator()(std::string_view field, T& member) {
    hasher.add(field);
    if constexpr (std::is_same_v<T, std::string>) {
      hasher.add(std::string_view(member));
    } else {
      hasher.add(std::string_view(fmt::format("{}", member)));
    }
  }
};

template <typename Map>
void add_map(Hasher& hasher, const Map& map) {
  hasher.add(static_cast<uint64_t>(map.size()));
  for (const auto& [key, value] : map) {
    hasher.add(std::string_view(key));
    hasher.add(std::string_view(fmt::format("{}", value)));
  }
}

void add_list(Hasher& hasher, const std::vector<std::string>& list) {
  hasher.add(static_cast<uint64_t>(list.size()));
  for (const auto& item : list) hasher.add(std::string_view(item));
}

}  // namespace

void set_setting(TaskSpec& spec, std::string_view name, std::string_view value,
                 std::string_view where) {
  Setter setter{name, value, where};
  spec.settings(setter);
  if (setter.found) return;
  throw_error(ErrorKind::usage, where, "{} is not a setting of a task; the settings are {}",
              quote(name), fmt::join(setter.known, ", "));
}

std::vector<std::string_view> setting_names() {
  TaskSpec spec;
  Setter setter{"", "", ""};
  spec.settings(setter);
  return std::move(setter.known);
}

void inherit_settings(TaskSpec& to, const TaskSpec& from) {
  const auto plain = list_settings({}), given = list_settings(from);
  for (size_t i = 0; i < given.size(); ++i) {
    if (given[i] != plain[i]) set_setting(to, given[i].first, given[i].second, from.where);
  }
}

std::vector<SubsetSpec> resolved_subsets(const TaskSpec& spec) {
  std::vector<SubsetSpec> out = spec.subsets;
  if (out.empty()) out.emplace_back();
  for (auto& subset : out) {
    if (subset.languages.empty()) subset.languages = spec.languages;
  }
  return out;
}

std::string column(const TaskSpec& spec, const std::string& word, std::string_view fallback) {
  const auto it = spec.columns.find(word);
  return it == spec.columns.end() ? std::string(fallback) : it->second;
}

std::string spec_hash(const TaskSpec& spec) {
  Hasher hasher;
  for (const auto* text : {&spec.name, &spec.type, &spec.main_score, &spec.dataset}) {
    hasher.add(std::string_view(*text));
  }
  add_list(hasher, spec.splits);
  add_list(hasher, spec.subtasks);
  for (const auto& subset : resolved_subsets(spec)) {
    hasher.add(std::string_view(subset.name));
    add_list(hasher, subset.languages);
  }
  add_map(hasher, spec.files);
  add_map(hasher, spec.columns);
  add_map(hasher, spec.label_map);
  add_map(hasher, spec.prompts);
  HashVisitor visitor{hasher};
  TaskSpec copy = spec;  // settings() takes a mutable spec
  copy.settings(visitor);
  return hasher.hex();
}

}  // namespace akin::eval
