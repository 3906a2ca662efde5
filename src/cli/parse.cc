#include "cli/parse.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/error.h"

namespace akin::cli {
namespace {

std::string known_flag_near(std::span<const OptionField> fields, const std::string& word) {
  std::vector<std::string> flags = {"--help"};
  for (const auto& field : fields) {
    if (field.positional) continue;
    flags.push_back(field.flag());
    if (field.negatable) flags.push_back("--no-" + field.name);
  }
  const std::vector<std::string_view> views(flags.begin(), flags.end());
  return std::string(nearest(word, views.data(), views.size()));
}

// Where the options end: at the first "--" that is not the value of a flag. CLI11 knows "--", but
// leaves it among the words that nobody took.
size_t end_of_options(std::span<const OptionField> fields, const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--") return i;
    for (const auto& field : fields) {
      if (!field.positional && !field.is_switch() && words[i] == field.flag()) {
        ++i;  // its value, whatever it looks like
        break;
      }
    }
  }
  return words.size();
}

// Gives the words behind "--" to the command's positional field, after `before`, those it has.
void take_rest(const std::string& where, std::span<const OptionField> fields,
               std::vector<std::string> before, std::span<const std::string> rest) {
  const auto field =
      std::find_if(fields.begin(), fields.end(), [](const OptionField& f) { return f.positional; });
  before.insert(before.end(), rest.begin(), rest.end());
  if (field == fields.end() || (!field->many && before.size() > 1)) {
    throw_error(ErrorKind::usage, where, "one argument too many: {}", quote(before.back()));
  }
  field->set(before);
}

void declare(CLI::App& app, const OptionField& field, std::vector<std::string>& positionals) {
  if (field.is_switch()) {
    const std::string spec = field.negatable ? field.flag() + ",!--no-" + field.name : field.flag();
    app.add_flag_function(spec,
                          [&field](int64_t count) {
                            const std::string value = count > 0 ? "true" : "false";
                            field.set(std::span(&value, 1));
                          })
        ->envname(field.environment());
    return;
  }
  const auto set = [&field, &positionals](const std::vector<std::string>& values) {
    if (field.positional) positionals = values;
    field.set(values);
  };
  auto* option = app.add_option_function<std::vector<std::string>>(
      field.positional ? field.name : field.flag(), set);
  if (field.positional) {
    if (!field.many) option->expected(0, 1);
    return;
  }
  option->expected(1)->allow_extra_args(false)->envname(field.environment());
  option->multi_option_policy(field.many ? CLI::MultiOptionPolicy::TakeAll
                                         : CLI::MultiOptionPolicy::TakeLast);
}

}  // namespace

bool parse_options(const std::string& verb, std::span<const OptionField> fields,
                   const std::vector<std::string>& words) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  bool help = false;
  app.add_flag("-h,--help", help);
  std::vector<std::string> positionals;
  for (const auto& field : fields) declare(app, field, positionals);
  const std::string where = "akin " + verb;
  const size_t end = end_of_options(fields, words);
  try {
    const auto first = words.rend() - static_cast<std::ptrdiff_t>(end);
    app.parse(std::vector<std::string>(first, words.rend()));
  } catch (const CLI::ParseError& error) {
    throw_error(ErrorKind::usage, where, "{}; see akin {} --help", error.what(), verb);
  }
  if (help) return false;
  if (end + 1 < words.size())
    take_rest(where, fields, positionals, std::span(words).subspan(end + 1));
  for (const auto& word : app.remaining()) {
    if (!word.starts_with("-") || word == "-") {
      throw_error(ErrorKind::usage, where, "one argument too many: {}; see akin {} --help",
                  quote(word), verb);
    }
    const std::string flag = word.substr(0, word.find('='));
    const std::string near = known_flag_near(fields, flag);
    throw_error(ErrorKind::usage, where, "unknown flag {}; {}", quote(flag),
                near.empty() ? fmt::format("see akin {} --help", verb)
                             : fmt::format("did you mean {}?", near));
  }
  return true;
}

}  // namespace akin::cli
