// Shell completion scripts, from the same declarations as --help. They complete verbs and what a
// verb does, flags, choices, the models that come with akin, and file names, and call nothing but
// the shell.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "cli/help.h"
#include "cli/load.h"
#include "cli/registry.h"

namespace akin::cli {
namespace {

std::vector<std::string> flags_of(const OptionField& field) {
  if (field.positional) return {};
  std::vector<std::string> out = {field.flag()};
  if (field.negatable) out.push_back("--no-" + field.name);
  return out;
}

std::string shipped_names() {
  std::string out;
  for (const auto& [name, folder] : shipped_models()) out += (out.empty() ? "" : " ") + name;
  return out;
}

// Words that stand for themselves behind a verb, as files do not.
std::string words_behind(std::string_view verb) {
  if (verb == "index") return "build add delete stats compact";
  if (verb == "tokenizer") return "train";
  if (verb == "completion") return "bash zsh fish";
  if (verb == "help") return fmt::format("{}", fmt::join(command_names(), " "));
  const auto command = make_command(verb);
  const auto fields = all_fields(*command);
  const bool models = std::any_of(fields.begin(), fields.end(), [](const auto& field) {
    return field.positional && field.value == "MODEL";
  });
  return models ? shipped_names() : "";
}

// What a flag may be followed by, and whether a file name is possible, too.
struct Values {
  std::string words;
  bool files = true;
};
Values values_of(const OptionField& field) {
  if (!field.choices.empty()) return {fmt::format("{}", fmt::join(field.choices, " ")), false};
  return {field.value == "MODEL" ? shipped_names() : "", true};
}

constexpr std::string_view kFiles = " $(compgen -f -- \"$word\")";

std::string bash_script() {
  std::string out =
      "# bash completion for akin, written by: akin completion bash\n_akin() {\n  local "
      "word=${COMP_WORDS[COMP_CWORD]} "
      "previous=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]}\n  COMPREPLY=()\n";
  out += fmt::format(
      "  if ((COMP_CWORD == 1)); then\n    COMPREPLY=($(compgen -W \"{}\" -- \"$word\"))\n    "
      "return\n  fi\n",
      fmt::join(command_names(), " "));
  out += "  local flags= words=\n  case $verb in\n";
  std::string values;
  for (const auto name : command_names()) {
    const auto command = make_command(name);
    std::string flags = "--help";
    for (const auto& field : all_fields(*command)) {
      for (const auto& flag : flags_of(field)) flags += " " + flag;
      const auto [words, files] = values_of(field);
      if (!words.empty() && !field.positional) {
        values += fmt::format(
            "    \"{} {}\")\n      COMPREPLY=($(compgen -W \"{}\" -- \"$word\"){})\n      return "
            ";;\n",
            name, field.flag(), words, files ? kFiles : "");
      }
    }
    out += fmt::format("    {}) flags=\"{}\" words=\"{}\" ;;\n", name, flags, words_behind(name));
  }
  out += "  esac\n  case \"$verb $previous\" in\n" + values;
  out += fmt::format(
      "  esac\n  if [[ $word == -* ]]; then\n    COMPREPLY=($(compgen -W \"$flags\" -- "
      "\"$word\"))\n  else\n    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"){})\n  "
      "fi\n}}\ncomplete -o filenames -F _akin akin\n",
      kFiles);
  return out;
}

std::string single_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string zsh_help(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// The action of a specification of _arguments.
std::string zsh_values(std::string_view words, bool files) {
  if (words.empty()) return "_files";
  return files ? fmt::format("{{compadd {}; _files}}", words) : fmt::format("({})", words);
}

std::string zsh_script() {
  std::string out =
      "#compdef akin\n# zsh completion for akin, written by: akin completion zsh\n_akin() {\n  "
      "local -a verbs=(\n";
  for (const auto name : command_names()) {
    const std::string words = zsh_help(make_command(name)->info().summary);
    out += fmt::format("    {}\n", single_quoted(fmt::format("{}:{}", name, words)));
  }
  out +=
      "  )\n  if ((CURRENT == 2)); then\n    _describe verb verbs\n    return\n  fi\n  local "
      "verb=$words[2]\n  shift words\n  "
      "((CURRENT--))\n  case $verb in\n";
  for (const auto name : command_names()) {
    const auto command = make_command(name);
    out += fmt::format("    {}) _arguments", name);
    for (const auto& field : all_fields(*command)) {
      for (const auto& flag : flags_of(field)) {
        std::string spec =
            fmt::format("{}{}[{}]", field.many ? "*" : "", flag, zsh_help(field.help));
        if (const auto [words, files] = values_of(field); !field.is_switch()) {
          spec += fmt::format(":{}:{}", field.value, zsh_values(words, files));
        }
        out += fmt::format(" {}", single_quoted(spec));
      }
    }
    out += fmt::format(" '*:file:{}' ;;\n", zsh_values(words_behind(name), true));
  }
  return out + "  esac\n}\n_akin \"$@\"\n";
}

std::string fish_script() {
  std::string out = "# fish completion for akin, written by: akin completion fish\n";
  for (const auto name : command_names()) {
    const auto command = make_command(name);
    out += fmt::format("complete -c akin -n __fish_use_subcommand -f -a {} -d {}\n", name,
                       single_quoted(command->info().summary));
    if (const std::string words = words_behind(name); !words.empty()) {
      out += fmt::format("complete -c akin -n '__fish_seen_subcommand_from {}' -a '{}'\n", name,
                         words);
    }
    for (const auto& field : all_fields(*command)) {
      const auto [words, files] = values_of(field);
      for (const auto& flag : flags_of(field)) {
        out +=
            fmt::format("complete -c akin -n '__fish_seen_subcommand_from {}' -l {} -d {}{}\n",
                        name, flag.substr(2), single_quoted(field.help),
                        field.is_switch() ? ""
                        : words.empty()   ? std::string(" -r")
                                          : fmt::format(" {} -a '{}'", files ? "-r" : "-x", words));
      }
    }
  }
  return out;
}

}  // namespace

std::string completion_script(std::string_view shell) {
  if (shell == "bash") return bash_script();
  if (shell == "zsh") return zsh_script();
  if (shell == "fish") return fish_script();
  throw_error(ErrorKind::usage, "akin completion",
              "{} is not a shell it knows; use bash, zsh or fish", quote(shell));
}

}  // namespace akin::cli
