// akin tokenize: what a model's tokenizer makes of a text. Needs the tokenizer files of a folder,
// no weights.
#include <fmt/format.h>

#include "base/error.h"
#include "cli/command.h"
#include "cli/load.h"
#include "cli/terminal.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace akin::cli {
namespace {

struct TokenizeOptions {
  std::vector<std::string> texts;
  std::vector<std::string> file;
  std::string model;
  bool special = true;
  bool count = false;
  InputOptions input;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+texts=TEXT", texts, "texts; without any, or for -, rows of stdin or of --file");
    v("file=FILE", file, "read rows of these files, or of stdin for -");
    v("model=MODEL", model,
      "model folder, name of a model that akin ships, or ORG/NAME[@REVISION] in the Hugging Face "
      "cache");
    v("[no-]special", special, "add the model's special tokens, such as [CLS] and [SEP]");
    v("count", count, "print only the number of tokens of each text");
    input.fields(v);
  }
};

constexpr CommandInfo kInfo = {
    "tokenize", "texts into token ids, tokens and byte offsets",
    "Prints id, token and byte range of each token, one a line and tab-separated, with an empty "
    "line between texts; --json "
    "prints one object a text, with the id of --id-field. On a terminal tokens are shown side by "
    "side, with their ids below.",
    "akin tokenize --model static-en-64 \"unbelievably good\"\nakin tokenize --model ./m3e-base "
    "--file corpus.txt --count"};

void print_plain(const text::Tokenizer& tokenizer, const text::Encoding& encoding,
                 Context& context) {
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    context.print("{}\t{}\t{}\t{}\n", encoding.ids[i], printable(tokenizer.token(encoding.ids[i])),
                  encoding.begin[i], encoding.end[i]);
  }
  context.write("\n");
}

void print_json(const text::Tokenizer& tokenizer, const text::Encoding& encoding,
                const std::string& id, Context& context) {
  nlohmann::ordered_json line;
  if (!id.empty()) line["id"] = id;
  line["ids"] = encoding.ids;
  line["tokens"] = nlohmann::ordered_json::array();
  line["begin"] = encoding.begin;
  line["end"] = encoding.end;
  line["special"] = encoding.special;
  for (const int32_t token : encoding.ids)
    line["tokens"].push_back(std::string(tokenizer.token(token)));
  context.print_json(line);
}

// Tokens in rows as wide as the terminal, ids under them.
void print_pretty(const text::Tokenizer& tokenizer, const text::Encoding& encoding,
                  Context& context) {
  const size_t columns = terminal_columns();
  std::string tokens, ids;
  size_t used = 0;
  for (size_t i = 0; i <= encoding.ids.size(); ++i) {
    std::string token, id;
    size_t width = 0;
    if (i < encoding.ids.size()) {
      token = printable(tokenizer.token(encoding.ids[i]));
      id = std::to_string(encoding.ids[i]);
      width = std::min(columns, std::max(display_width(token), id.size()) + 1);
    }
    if (used > 0 && (i == encoding.ids.size() || used + width > columns)) {
      context.print("{}\n{}\n", tokens, dim(ids, context.color()));
      tokens.clear();
      ids.clear();
      used = 0;
    }
    if (i == encoding.ids.size()) break;
    const std::string cell = fit(token, width - 1);
    if (!context.color()) {
      tokens += cell + " ";
    } else if (encoding.special[i] != 0) {
      tokens += dim(cell, true) + " ";
    } else {
      tokens += heat_cell(cell, i % 2 == 0 ? 0.2 : 0.8) + " ";
    }
    ids += fit(id, width - 1) + " ";
    used += width;
  }
  context.print("{} tokens\n\n", thousands(encoding.ids.size()));
}

void print_text(const text::Tokenizer& tokenizer, const std::string& text, const std::string& id,
                const TokenizeOptions& options, Context& context) {
  if (options.count) {
    std::vector<int32_t> ids;
    const size_t count = tokenizer.encode(text, options.special, ids);
    if (context.json()) {
      nlohmann::ordered_json line;
      if (!id.empty()) line["id"] = id;
      line["tokens"] = count;
      return context.print_json(line);
    }
    return context.print("{}\n", count);
  }
  const auto encoding = tokenizer.encode_with_offsets(text, options.special);
  if (context.json()) return print_json(tokenizer, encoding, id, context);
  if (context.stdout_terminal()) return print_pretty(tokenizer, encoding, context);
  print_plain(tokenizer, encoding, context);
}

// Of the folder itself, else of the module folder that the whole model names.
std::unique_ptr<text::Tokenizer> load_tokenizer(const std::filesystem::path& folder) {
  try {
    return text::Tokenizer::load_folder(folder);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found) throw;
    return model::load_model(folder).tokenizer;
  }
}

int run(TokenizeOptions& options, Context& context) {
  if (options.texts == std::vector<std::string>{"-"} && options.file.empty()) options.texts.clear();
  if (!options.texts.empty() && !options.file.empty()) {
    throw_error(ErrorKind::usage, "--file", "goes without texts on the command line; got {} too",
                quote(options.texts[0]));
  }
  const bool ids = !options.input.id_field.empty();
  if (ids && (!context.json() || !options.texts.empty())) {
    throw_error(ErrorKind::usage, "--id-field", "is of rows, and only --json shows it; {}",
                context.json() ? "read rows by --file" : "add --json");
  }
  const auto tokenizer = load_tokenizer(resolve_model_folder(options.model));
  uint64_t invalid = 0;
  const auto show = [&](const std::string& text, const std::string& id) {
    invalid += text::is_valid_utf8(text) ? 0 : 1;
    print_text(*tokenizer, text, id, options, context);
  };
  for (const auto& text : options.texts) show(text, "");
  if (options.texts.empty()) {
    InputReader reader(options.file, options.input, context);
    for (InputText row; reader.next(row);) {
      check_interrupted();
      show(row.text, ids ? row.id : std::string());
    }
    if (reader.bad_rows() > 0) {
      context.warn(fmt::format("akin: warning: {} bad rows skipped", thousands(reader.bad_rows())));
    }
  }
  if (invalid > 0) {
    context.warn(fmt::format("akin: warning: {} texts with invalid UTF-8, read as U+FFFD",
                             thousands(invalid)));
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_tokenize_command() {
  return std::make_unique<CommandOf<TokenizeOptions>>(kInfo, run);
}

}  // namespace akin::cli
