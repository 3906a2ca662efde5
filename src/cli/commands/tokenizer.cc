// akin tokenizer train: a new vocabulary from texts, as a folder with a tokenizer.json.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/load.h"
#include "cli/terminal.h"
#include "store/rows.h"
#include "text/train_unigram.h"
#include "text/train_wordpiece.h"

namespace akin::text {

inline std::span<const std::string_view> choices(VocabType) {
  static constexpr std::string_view kWords[] = {"unigram", "wordpiece"};
  return kWords;
}

}  // namespace akin::text

namespace akin::cli {
namespace {

namespace fs = std::filesystem;

struct TokenizerOptions {
  std::vector<std::string> inputs;
  text::VocabRecipe recipe;
  std::string out;
  size_t vocab_size = 24000;
  std::optional<double> coverage;
  size_t limit_alphabet = 0;
  uint64_t min_frequency = 2;
  size_t max_piece_chars = 16;
  size_t max_piece_ideographs = 8;
  size_t seed_pieces = 1000000;
  size_t max_words = 8000000;
  size_t threads = 0;
  std::vector<std::string> field;
  store::TextFormat input_format = store::TextFormat::automatic;
  bool skip_bad_rows = false, force = false;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+inputs=FILE", inputs,
      "train, then files: text, JSONL, JSON, TSV, CSV (also .gz and .zst), Parquet, folders of "
      ".txt "
      "and .md, or - for stdin");
    v("out=FOLDER", out, "where tokenizer.json and tokenizer_config.json go");
    v("force", force, "write in place of a tokenizer that is there");
    v("type=TYPE", recipe.type, "the kind of vocabulary");
    v("vocab-size=N", vocab_size, "tokens in all, the special ones too");
    v("field=NAME", field,
      "JSON keys, or columns, with texts: each that a file has counts, lists of texts too; default "
      "the one that akin embed would read");
    v("input-format=FORMAT", input_format,
      "what the input files hold, without --field; auto goes by file name");
    v("skip-bad-rows", skip_bad_rows,
      "count rows that cannot be read and go on, instead of stopping at the first");
    v("lowercase", recipe.lowercase, "fold capitals");
    v("strip-accents", recipe.strip_accents,
      "drop accents, as BERT's uncased vocabularies do beside folding capitals");
    v("coverage=SHARE", coverage,
      "share of the characters of the texts that become tokens, the rest is unknown; default "
      "0.9995 for unigram, 1 for wordpiece");
    v("limit-alphabet=N", limit_alphabet, "most different characters; 0 = no limit");
    v("min-frequency=N", min_frequency,
      "how often a candidate, or a pair to be merged, must occur");
    v("max-piece-chars=N", max_piece_chars, "characters that a token may have");
    v("max-piece-ideographs=N", max_piece_ideographs,
      "unigram: characters that a token of ideographs or kana may have");
    v("special-tokens=TOKEN", recipe.special_tokens,
      "more special tokens, beside [PAD] [UNK] [CLS] [SEP] [MASK]");
    v("max-length=N", recipe.max_length, "tokens that the model will read at most");
    v("seed-pieces=N", seed_pieces, "unigram: candidates to begin with");
    v("max-words=N", max_words,
      "different words kept in memory; past that the rarest are let go, and counted");
    v("threads=N", threads, "threads; 0 = all this process may use");
  }
};

constexpr CommandInfo kInfo = {
    "tokenizer", "train a vocabulary from texts",
    "akin tokenizer train writes a folder with tokenizer.json, which akin, Hugging Face tokenizers "
    "and transformers read. Texts become [CLS] ... [SEP], as BERT has it.\n"
    "unigram: a unigram language model (Kudo 2018). Texts are normalized by NFKC; a word has a "
    "mark in front wherever it begins, ideographs and signs have none; a token never mixes "
    "scripts, numbers, letters and signs. Runs of ideographs are not cut, so Chinese words become "
    "tokens.\n"
    "wordpiece: BERT's pipeline, each ideograph a word; merges of the most frequent pair.\n"
    "The same texts in the same order give the same files, for any number of threads.",
    "akin tokenizer train --type unigram --vocab-size 24000 --lowercase --out vocab corpus.txt "
    "wiki.jsonl.gz\n"
    "akin tokenizer train --type wordpiece --vocab-size 30000 --field query,pos,neg --out vocab "
    "pairs/*.jsonl.gz"};

// Texts of the inputs, one after another.
class CorpusReader {
 public:
  CorpusReader(const TokenizerOptions& options, Context& context)
      : options_(options), context_(context) {}

  void read(text::WordCounter& words) {
    std::vector<std::string> plain;
    for (const auto& input : options_.inputs) {
      if (options_.field.empty() || is_plain(input)) {
        plain.push_back(input);
      } else {
        read_rows(input, words);
      }
    }
    if (!plain.empty() || options_.inputs.empty()) read_plain(std::move(plain), words);
    context_.end_progress();
  }
  uint64_t bad_rows() const { return bad_rows_; }

 private:
  static bool is_plain(const fs::path& path) {
    std::error_code error;
    if (path == "-" || fs::is_directory(path, error)) return true;
    fs::path name = path.filename();
    if (name.extension() == ".gz" || name.extension() == ".zst") name = name.stem();
    return name.extension() == ".txt" || name.extension() == ".md";
  }

  void show(const std::string& file, uint64_t done, uint64_t total) {
    if (++shown_ % 1024 != 0) return;
    check_interrupted();
    context_.progress({file, done, total, "bytes"});
  }

  void read_plain(std::vector<std::string> files, text::WordCounter& words) {
    InputOptions input;
    input.input_format = options_.input_format;
    input.skip_bad_rows = options_.skip_bad_rows;
    InputReader reader(std::move(files), input, context_);
    InputText row;
    while (reader.next(row)) {
      words.add(row.text);
      show("reading", reader.bytes_read(), reader.bytes_total());
    }
    bad_rows_ += reader.bad_rows();
  }

  void read_rows(const std::string& path, text::WordCounter& words) {
    const auto there = store::list_columns(path);
    std::vector<std::string> columns;
    for (const auto& name : options_.field) {
      if (std::find(there.begin(), there.end(), name) != there.end()) columns.push_back(name);
    }
    if (columns.empty()) {
      throw_error(ErrorKind::usage, "--field", "{} has none of {}; it has {}", quote(path),
                  fmt::join(options_.field, ", "), fmt::join(there, ", "));
    }
    const auto rows = store::open_rows(path, columns);
    std::vector<store::Value> values(columns.size());
    const std::string what = "reading " + fs::path(path).filename().string();
    for (bool more = true; more;) {
      try {
        more = rows->next(values);
        if (more) {
          for (const auto& value : values) add(value, words);
        }
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::bad_format || !options_.skip_bad_rows) throw;
        ++bad_rows_;
      }
      show(what, rows->bytes_read(), rows->bytes_total());
    }
  }

  static void add(const store::Value& value, text::WordCounter& words) {
    if (value.kind == store::Value::Kind::text) words.add(value.text);
    for (const auto& item : value.list) {
      if (value.kind == store::Value::Kind::list) add(item, words);
    }
  }

  const TokenizerOptions& options_;
  Context& context_;
  uint64_t bad_rows_ = 0, shown_ = 0;
};

void check_options(TokenizerOptions& options) {
  constexpr std::string_view kAction = "train";
  if (options.inputs.empty() || options.inputs.front() != kAction) {
    throw_error(ErrorKind::usage, "tokenizer", "what to do comes first, and it is {}; got {}",
                kAction, options.inputs.empty() ? "nothing" : quote(options.inputs.front()));
  }
  options.inputs.erase(options.inputs.begin());
  if (options.out.empty()) {
    throw_error(ErrorKind::usage, "--out", "name a folder for tokenizer.json");
  }
  while (options.out.size() > 1 && options.out.ends_with('/')) options.out.pop_back();
  std::error_code error;
  if (fs::exists(options.out, error) && !fs::is_directory(options.out, error)) {
    throw_error(ErrorKind::usage, "--out", "{} is there and no folder", quote(options.out));
  }
  if (!options.force && fs::exists(fs::path(options.out) / "tokenizer.json", error)) {
    throw_error(ErrorKind::usage, "--out",
                "{} holds a tokenizer already, and models may have been trained with it; name "
                "another folder, or pass --force",
                quote(options.out));
  }
  if (options.max_words < 1000) {
    throw_error(ErrorKind::usage, "--max-words", "got {}, expected at least 1000",
                options.max_words);
  }
  constexpr size_t kMostTokens = 4000000;
  const size_t specials = text::special_tokens(options.recipe).size();
  if (options.vocab_size <= specials || options.vocab_size > kMostTokens) {
    throw_error(ErrorKind::usage, "--vocab-size", "got {}, expected {} to {}", options.vocab_size,
                specials + 1, kMostTokens);
  }
  if (options.threads == 0) options.threads = usable_cpus();
  const bool unigram = options.recipe.type == text::VocabType::unigram;
  if (!options.coverage) options.coverage = unigram ? 0.9995 : 1;
}

text::VocabTraining train(const TokenizerOptions& options,
                          const std::vector<text::CorpusWord>& words, Context& context) {
  const size_t pieces = options.vocab_size - text::special_tokens(options.recipe).size();
  const auto progress = [&](const Progress& now) { context.progress(now); };
  if (options.recipe.type == text::VocabType::wordpiece) {
    text::WordPieceTrainOptions wordpiece;
    wordpiece.vocab_size = pieces;
    wordpiece.coverage = *options.coverage;
    wordpiece.limit_alphabet = options.limit_alphabet;
    wordpiece.min_frequency = options.min_frequency;
    wordpiece.max_piece_characters = options.max_piece_chars;
    wordpiece.progress = progress;
    return text::train_wordpiece(words, wordpiece);
  }
  text::UnigramTrainOptions unigram;
  unigram.vocab_size = pieces;
  unigram.coverage = *options.coverage;
  unigram.limit_alphabet = options.limit_alphabet;
  unigram.max_piece_ideographs = options.max_piece_ideographs;
  unigram.min_frequency = options.min_frequency;
  unigram.max_piece_characters = options.max_piece_chars;
  unigram.seed_pieces = options.seed_pieces;
  unigram.threads = options.threads;
  unigram.progress = progress;
  return text::train_unigram(words, unigram);
}

// Both files are whole or not there: the small one first, for the other makes it a tokenizer.
void write_folder(const TokenizerOptions& options, const text::VocabTraining& trained) {
  std::error_code error;
  fs::create_directories(options.out, error);
  if (error) throw_error(ErrorKind::io, options.out, "cannot be made: {}", error.message());
  const fs::path folder = options.out;
  write_file(folder / "tokenizer_config.json",
             text::tokenizer_config_json(options.recipe).dump(2) + "\n");
  write_file(folder / "tokenizer.json",
             text::tokenizer_json(options.recipe, trained.pieces).dump(1, ' ') + "\n");
}

double ratio(uint64_t a, uint64_t b) {
  return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
}

nlohmann::ordered_json facts(const text::CorpusCounts& corpus, const text::VocabTraining& trained,
                             size_t vocab_size, double seconds) {
  return {
      {"vocab_size", vocab_size},
      {"alphabet", trained.alphabet},
      {"distinct_characters", trained.distinct_characters},
      {"character_coverage", ratio(trained.covered_characters, trained.characters)},
      {"texts", corpus.texts},
      {"bytes", corpus.bytes},
      {"words", corpus.occurrences},
      {"distinct_words", corpus.words.size()},
      {"dropped_words", corpus.dropped_words},
      {"dropped_occurrences", corpus.dropped_occurrences},
      {"invalid_utf8", corpus.replaced},
      {"tokens", trained.tokens},
      {"tokens_per_word", ratio(trained.tokens, corpus.occurrences - corpus.dropped_occurrences)},
      {"tokens_per_character", ratio(trained.tokens, trained.characters)},
      {"candidates", trained.candidates},
      {"rounds", trained.rounds},
      {"seconds", seconds}};
}

void warn_about(const TokenizerOptions& options, const text::CorpusCounts& corpus,
                uint64_t bad_rows, size_t vocab_size, Context& context) {
  if (bad_rows > 0) {
    context.warn(fmt::format("{} rows could not be read and were skipped", thousands(bad_rows)));
  }
  if (corpus.replaced > 0) {
    context.warn(
        fmt::format("{} invalid parts of UTF-8 were read as U+FFFD", thousands(corpus.replaced)));
  }
  if (corpus.dropped_words > 0) {
    context.warn(fmt::format(
        "more than {} different words: {} rare ones ({} occurrences) were let go; --max-words",
        thousands(options.max_words), thousands(corpus.dropped_words),
        thousands(corpus.dropped_occurrences)));
  }
  if (vocab_size < options.vocab_size) {
    context.warn(fmt::format("the texts yield {} tokens, fewer than the {} of --vocab-size",
                             thousands(vocab_size), thousands(options.vocab_size)));
  }
}

int run(TokenizerOptions& options, Context& context) {
  check_options(options);
  const Stopwatch watch;
  text::WordCounter counter(text::word_cutter(options.recipe), options.max_words, options.threads);
  CorpusReader reader(options, context);
  reader.read(counter);
  const text::CorpusCounts corpus = counter.finish();
  const auto trained = train(options, corpus.words, context);
  context.end_progress();
  const size_t size = trained.pieces.size() + text::special_tokens(options.recipe).size();
  write_folder(options, trained);
  const double seconds = watch.seconds();
  const auto found = facts(corpus, trained, size, seconds);
  context.write_record(options.out, found);
  warn_about(options, corpus, reader.bad_rows(), size, context);
  if (context.json()) {
    context.print_json(found);
    return 0;
  }
  context.say(fmt::format(
      "{}: {} tokens; {} of {} characters ({:.3f}% of the text); {:.3f} tokens a word, {:.3f} a "
      "character; {:.1f} MB of text in {:.1f} s ({:.2f} MB/s)",
      options.out, thousands(size), thousands(trained.alphabet),
      thousands(trained.distinct_characters),
      100 * ratio(trained.covered_characters, trained.characters),
      found.at("tokens_per_word").get<double>(), found.at("tokens_per_character").get<double>(),
      static_cast<double>(corpus.bytes) / 1e6, seconds,
      static_cast<double>(corpus.bytes) / 1e6 / std::max(seconds, 1e-9)));
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_tokenizer_command() {
  return std::make_unique<CommandOf<TokenizerOptions>>(kInfo, run);
}

}  // namespace akin::cli
