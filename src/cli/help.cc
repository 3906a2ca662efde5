#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "cli/registry.h"
#include "cli/terminal.h"

namespace akin::cli {
namespace {

constexpr std::string_view kTagline =
    "text embeddings as one native program: from a model folder and text to vectors";

// "--threads=N" as shown: "--threads N", "--[no-]normalize".
std::string flag_words(const OptionField& field) {
  std::string out = field.negatable ? "--[no-]" + field.name : field.flag();
  if (!field.is_switch()) out += " " + field.value;
  return out;
}

std::string notes(const OptionField& field) {
  std::string out;
  if (!field.choices.empty()) out += fmt::format(" One of {}.", fmt::join(field.choices, ", "));
  if (field.many && !field.positional) out += " Repeatable.";
  if (!field.default_text.empty() && field.default_text != "0") {
    out += fmt::format(" Default {}.", field.default_text);
  }
  return out;
}

std::string sentence(const OptionField& field) {
  std::string out = field.help;
  if (!out.empty() && out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 32);
  if (!out.ends_with('.')) out += '.';
  return out + notes(field);
}

std::string wrap(std::string_view text, size_t indent, size_t columns) {
  std::string out;
  size_t used = indent;
  while (!text.empty()) {
    const size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (used > indent && used + 1 + display_width(word) > columns) {
      out += '\n';
      out.append(indent, ' ');
      used = indent;
    } else if (used > indent) {
      out += ' ';
      ++used;
    }
    out += word;
    used += display_width(word);
  }
  return out;
}

// How the environment says no, for a verb that has such a flag.
std::string negative_example(std::span<const OptionField> fields) {
  for (const auto& field : fields) {
    if (field.negatable) return fmt::format(", --no-{} is {}=0", field.name, field.environment());
  }
  return {};
}

void append_option(std::string& out, const OptionField& field) {
  const std::string words =
      field.positional ? field.value + (field.many ? "..." : "") : flag_words(field);
  out += "  " + words;
  if (words.size() > 22) {
    out += '\n';
    out.append(26, ' ');
  } else {
    out.append(24 - words.size(), ' ');
  }
  out += wrap(sentence(field), 26, 100) + "\n";
}

std::string escape_roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || (c == '-')) out += '\\';
    if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
    out += c;
  }
  return out;
}

std::string escape_markdown(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '*' || c == '_') out += '\\';
    out += c;
  }
  return out;
}

std::vector<std::string_view> lines(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

}  // namespace

std::vector<OptionField> all_fields(Command& command) {
  static CommonOptions common;  // only described, never set
  auto fields = command.fields();
  for (auto& field : describe_options(common)) fields.push_back(std::move(field));
  return fields;
}

std::string usage_line(const Command& command, std::span<const OptionField> fields) {
  std::string out = fmt::format("akin {} [options]", command.info().name);
  for (const auto& field : fields) {
    if (field.positional) out += fmt::format(" [{}{}]", field.value, field.many ? "..." : "");
  }
  return out;
}

std::string help_text(Command& command) {
  const auto fields = all_fields(command);
  std::string out = fmt::format("{}: {}\n\nUsage: {}\n\n", command.info().name,
                                command.info().summary, usage_line(command, fields));
  for (const auto& paragraph : lines(command.info().description)) {
    out += wrap(paragraph, 0, 100) + "\n";
  }
  out += "\nOptions:\n";
  for (const auto& field : fields) {
    if (field.positional) append_option(out, field);
  }
  for (const auto& field : fields) {
    if (!field.positional) append_option(out, field);
  }
  out += "\nExamples:\n";
  for (const auto& example : lines(command.info().examples)) out += fmt::format("  {}\n", example);
  for (const auto& field : fields) {
    if (field.positional || field.is_switch()) continue;
    out +=
        fmt::format("\nEvery flag may also come from the environment: {} is {}={}{}.\n",
                    flag_words(field), field.environment(), field.value, negative_example(fields));
    break;
  }
  return out;
}

std::string overview_text() {
  std::string out = fmt::format("akin {}: {}\n\nUsage: akin VERB [options] [files]\n\nVerbs:\n",
                                AKIN_VERSION, kTagline);
  for (const auto name : command_names()) {
    out += fmt::format("  {:<12}{}\n", name, make_command(name)->info().summary);
  }
  out +=
      "\nakin VERB --help tells about one verb. Data goes to stdout, words to stderr; - is stdin;\n"
      "words behind -- are no options. Exit codes: 0 ok, 1 failure, 2 wrong usage, 130 "
      "interrupted.\n";
  return out;
}

std::string markdown_page() {
  std::string out =
      "# The akin command line\n\nWritten by `akin help --markdown` from the declarations of the "
      "program; do not edit.\n\n"
      "`akin VERB [options] [files]`. Data goes to stdout, words to stderr; `-` is stdin. Exit "
      "codes: 0 ok, 1 failure, 2 "
      "wrong usage, 130 interrupted. Words behind `--` are no options. Every flag may also come "
      "from "
      "the environment: `--threads 2` is `AKIN_THREADS=2`, `--no-normalize` is `AKIN_NORMALIZE=0`; "
      "a "
      "flag wins over the environment.\n\n| verb | what it does |\n|---|---|\n";
  for (const auto name : command_names()) {
    out += fmt::format("| [{0}](#{0}) | {1} |\n", name,
                       escape_markdown(make_command(name)->info().summary));
  }
  for (const auto name : command_names()) {
    const auto command = make_command(name);
    const auto fields = all_fields(*command);
    out += fmt::format("\n## {}\n\n`{}`\n\n", name, usage_line(*command, fields));
    for (const auto& paragraph : lines(command->info().description)) {
      out += escape_markdown(paragraph) + "\n";
    }
    out += "\n| option | meaning |\n|---|---|\n";
    for (const auto& field : fields) {
      const std::string words =
          field.positional ? field.value + (field.many ? "..." : "") : flag_words(field);
      out += fmt::format("| `{}` | {} |\n", words, escape_markdown(sentence(field)));
    }
    out += fmt::format("\n```sh\n{}\n```\n", command->info().examples);
  }
  return out;
}

std::string man_page() {
  std::string out = fmt::format(
      ".TH AKIN 1 \"\" \"akin {}\" \"User Commands\"\n.SH NAME\nakin \\- {}\n.SH SYNOPSIS\n.B "
      "akin\n.I VERB\n[options] "
      "[files]\n.SH DESCRIPTION\nData goes to stdout, words to stderr; \\- is stdin.\n",
      AKIN_VERSION, escape_roff(kTagline));
  for (const auto name : command_names()) {
    const auto command = make_command(name);
    const auto fields = all_fields(*command);
    out += fmt::format(".SH {}\n.B {}\n", escape_roff(name),
                       escape_roff(usage_line(*command, fields)));
    for (const auto& paragraph : lines(command->info().description)) {
      out += ".PP\n" + escape_roff(paragraph) + "\n";
    }
    for (const auto& field : fields) {
      const std::string words = field.positional ? field.value : flag_words(field);
      out += fmt::format(".TP\n.B {}\n{}\n", escape_roff(words), escape_roff(sentence(field)));
    }
    out += ".PP\nExamples:\n.PP\n.nf\n";
    for (const auto& example : lines(command->info().examples)) out += escape_roff(example) + "\n";
    out += ".fi\n";
  }
  out +=
      ".SH ENVIRONMENT\nEvery flag may also come from the environment: \\-\\-threads 2 is "
      "AKIN_THREADS=2, \\-\\-no\\-normalize is AKIN_NORMALIZE=0. "
      "HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE have their usual meaning.\n"
      ".SH EXIT STATUS\n0 ok, 1 failure, 2 wrong usage, 130 interrupted.\n";
  return out;
}

}  // namespace akin::cli
