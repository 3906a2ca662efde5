// The one options idea: a plain struct with defaults in its declaration and one visitor over its
// fields, from which come flags, environment names, --help, docs, completion, man page and the JSON
// record of a run. Not a command-line parser (see cli/parse). Follows the idea of a
// ForEach(visitor) over arguments, as gemma.cpp has it.
//
//   struct BenchOptions {
//     std::string model;
//     size_t threads = 0;
//     template <typename Visitor>
//     void fields(Visitor& v) {
//       v("model=MODEL", model, "model folder or repository id");
//       v("threads=N", threads, "threads; 0 = all this process may use");
//     }
//   };
//
// A field's name: "model=MODEL" takes a value, shown as MODEL; "json" alone is a switch;
// "[no-]normalize" can be turned off; "+inputs=FILE" is positional. A vector takes its flag any
// number of times, and commas split its values unless the name ends in "..." ("text=TEXT..."). An
// enum needs choices(E) found by argument-dependent lookup.
#pragma once

#include <charconv>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"

namespace akin {

// One field of an options struct, without its type. Borrows the struct: it must outlive the field.
struct OptionField {
  std::string name;   // "max-tokens", as on the command line
  std::string value;  // "N"; empty for a switch
  std::string help;
  bool positional = false;
  bool negatable = false;  // --no-<name> exists
  bool many = false;
  std::vector<std::string_view> choices;
  std::string default_text;  // what --help shows; empty for none
  // Takes the values given, in order; a switch takes "true" or "false". Errors: usage naming the
  // flag.
  std::function<void(std::span<const std::string>)> set;
  std::function<nlohmann::ordered_json()> get;

  bool is_switch() const { return value.empty(); }
  std::string flag() const { return "--" + name; }
  std::string environment() const;  // "AKIN_MAX_TOKENS"; empty for a positional field
};

namespace options_detail {

template <typename T>
inline constexpr bool kIsVector = false;
template <typename T>
inline constexpr bool kIsVector<std::vector<T>> = true;
template <typename T>
inline constexpr bool kIsOptional = false;
template <typename T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <typename T>
struct Plain {  // what an optional holds, else T itself
  using Type = T;
};
template <typename T>
struct Plain<std::optional<T>> {
  using Type = T;
};

bool parse_bool(std::string_view flag, std::string_view text);
int64_t parse_int(std::string_view flag, std::string_view text, int64_t least);
double parse_double(std::string_view flag, std::string_view text);
size_t parse_choice(std::string_view flag, std::string_view text,
                    std::span<const std::string_view> choices);
std::vector<std::string> split_commas(std::span<const std::string> values);
OptionField parse_name(std::string_view name, std::string_view help, bool* split);

template <typename T>
void read(const std::string& flag, std::string_view text, T& out) {
  if constexpr (std::is_same_v<T, bool>) {
    out = parse_bool(flag, text);
  } else if constexpr (std::is_enum_v<T>) {
    out = static_cast<T>(parse_choice(flag, text, choices(T{})));
  } else if constexpr (std::is_integral_v<T>) {
    out = static_cast<T>(parse_int(flag, text, std::is_unsigned_v<T> ? 0 : INT64_MIN));
  } else if constexpr (std::is_floating_point_v<T>) {
    out = static_cast<T>(parse_double(flag, text));
  } else if constexpr (kIsOptional<T>) {
    read(flag, text, out.emplace());
  } else {
    out = std::string(text);
  }
}

template <typename T>
nlohmann::ordered_json show(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return choices(T{})[static_cast<size_t>(value)];
  } else if constexpr (kIsOptional<T>) {
    return value ? show(*value) : nlohmann::ordered_json(nullptr);
  } else {
    return value;
  }
}

}  // namespace options_detail

// The visitor: collects the fields of a struct. `T t; auto fields = describe_options(t);`
class OptionCollector {
 public:
  template <typename T>
  void operator()(std::string_view name, T& member, std::string_view help) {
    using namespace options_detail;  // NOLINT(google-build-using-namespace): one function's scope
    bool split = true;
    OptionField field = parse_name(name, help, &split);
    const std::string flag = field.positional ? field.value : field.flag();
    field.get = [&member] { return show(member); };
    if constexpr (kIsVector<T>) {
      field.many = true;
      field.set = [&member, flag, split](std::span<const std::string> values) {
        member.clear();
        if (!split) {
          for (const auto& text : values) read(flag, text, member.emplace_back());
        } else {
          for (const auto& text : split_commas(values)) read(flag, text, member.emplace_back());
        }
      };
    } else {
      field.set = [&member, flag](std::span<const std::string> values) {
        if (!values.empty()) read(flag, values.back(), member);
      };
      using Value = typename Plain<T>::Type;
      if constexpr (std::is_enum_v<Value>) {
        for (const auto choice : choices(Value{})) field.choices.push_back(choice);
      }
      finish_default(field);
    }
    fields_.push_back(std::move(field));
  }
  std::vector<OptionField> take() { return std::move(fields_); }

 private:
  static void finish_default(OptionField& field);
  std::vector<OptionField> fields_;
};

template <typename Options>
std::vector<OptionField> describe_options(Options& options) {
  OptionCollector collector;
  options.fields(collector);
  return collector.take();
}

// Every field with its value now: the record that a run leaves beside its output.
nlohmann::ordered_json options_record(std::span<const OptionField> fields);

}  // namespace akin
