// akin embed: texts in, vectors out, in blocks of bounded memory; the next block is read and the
// last one written while the engine works on this one.
#include <fmt/format.h>

#include <algorithm>
#include <future>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/load.h"
#include "cli/terminal.h"
#include "core/late_chunking.h"
#include "store/vectors_file.h"

namespace akin::cli {
namespace {

enum class OutFormat : uint8_t { automatic, npy, jsonl, raw };
enum class OutType : uint8_t { automatic, f32, f16, int8, binary };
std::span<const std::string_view> choices(OutFormat) {
  static constexpr std::string_view kWords[] = {"auto", "npy", "jsonl", "raw"};
  return kWords;
}
std::span<const std::string_view> choices(OutType) {
  static constexpr std::string_view kWords[] = {"auto", "f32", "f16", "int8", "binary"};
  return kWords;
}

struct EmbedOptions {
  std::vector<std::string> inputs;
  std::vector<std::string> text;
  std::string out = "-";
  OutFormat format = OutFormat::automatic;
  OutType output_dtype = OutType::automatic;
  bool with_text = false;
  bool tokens = false;
  bool late_chunking = false;
  std::optional<size_t> chunk_tokens;
  Side as = Side::none;
  ModelOptions model;
  EncodeFlags encode;
  InputOptions input;
  size_t block = 8192;
  bool dry_run = false;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+inputs=FILE", inputs,
      "text files, JSONL, TSV or CSV, also .gz and .zst; folders, in which each .txt and .md file "
      "is one text and no other file is read; or - for stdin");
    v("text=TEXT...", text, "a literal text, instead of files");
    v("out=FILE", out,
      "where vectors go; the name says the form: .npy, .jsonl, .f32, .f16, .i8, .bin; - is JSONL "
      "on stdout");
    v("format=FORMAT", format, "form of the output, where the name does not say it");
    v("output-dtype=TYPE", output_dtype,
      "numbers of the output: int8 is round(127 x), binary is one sign bit a dimension");
    v("with-text", with_text, "JSONL output: the text, too");
    v("tokens", tokens,
      "one vector per token with its byte range, as JSONL: all numbers of it, in f32, not scaled");
    v("late-chunking", late_chunking,
      "one vector per chunk of each text, all of which the model has read, as JSONL: its id is "
      "that "
      "of the text (or its row) and the chunk's bytes, id:BEGIN-END");
    v("chunk-tokens=N", chunk_tokens,
      "late chunking: longest chunk; it ends with a sentence where one does; 256 unless told");
    v("as=SIDE", as,
      "which side of a search the texts are: picks the model's own prompt and adapter");
    model.fields(v);
    encode.fields(v);
    input.fields(v);
    v("block=N", block, "texts held in memory at a time");
    v("dry-run", dry_run, "read the model and print the resolved configuration, embed nothing");
  }
};

constexpr CommandInfo kInfo = {
    "embed",
    "turn texts into vectors",
    "Reads texts, one a row, and writes one vector a text, in the same order. The vectors are the "
    "ones of the model's "
    "reference implementation, whatever the batch, the order and the number of threads.\n"
    "With --out FILE, FILE.config.json beside it records the whole resolved configuration and the "
    "model's fingerprint. "
    "The file appears only when it is complete.",
    "akin embed --model static-en-64 --text \"hello world\"\n"
    "akin embed --model ./bge-small-en corpus.jsonl.gz --field title,body --as document --out "
    "corpus.npy\n"
    "akin embed --model ./long-model manuals/ --late-chunking --chunk-tokens 128 --with-text --out "
    "chunks.jsonl\n"
    "zcat lines.gz | akin embed --model ./m3e-base --dtype int8 --out lines.f16 -",
};

constexpr size_t kChunkTokens = 256;
constexpr size_t kBlockBytes = size_t{32} << 20;  // of text, besides --block

struct Block {
  std::vector<std::string> texts, ids;
  std::vector<uint64_t> lines;
  std::vector<std::pair<size_t, std::string>>
      files;  // index of the first text of each file, its name
  std::string place(size_t i) const {
    const auto after = std::upper_bound(
        files.begin(), files.end(), i, [](size_t at, const auto& file) { return at < file.first; });
    return fmt::format("{}:{}", std::prev(after)->second, lines.at(i));
  }
};

Block read_block(InputReader& reader, size_t limit) {
  Block block;
  InputText row;
  size_t bytes = 0;
  while (block.texts.size() < limit && bytes < kBlockBytes) {
    check_interrupted();
    if (!reader.next(row)) break;
    if (block.files.empty() || block.files.back().second != reader.file()) {
      block.files.emplace_back(block.texts.size(), reader.file());
    }
    bytes += row.text.size();
    block.texts.push_back(std::move(row.text));
    block.ids.push_back(std::move(row.id));
    block.lines.push_back(row.line);
  }
  return block;
}

// What the ending of a file's name says of its form.
struct KnownEnding {
  std::string_view ending;
  store::VectorFormat format;
  OutType type;
};

const KnownEnding* known_ending(const std::string& out) {
  using store::VectorFormat;
  static constexpr KnownEnding kKnown[] = {
      {".npy", VectorFormat::npy, OutType::f32}, {".jsonl", VectorFormat::jsonl, OutType::f32},
      {".f32", VectorFormat::raw, OutType::f32}, {".f16", VectorFormat::raw, OutType::f16},
      {".i8", VectorFormat::raw, OutType::int8}, {".bin", VectorFormat::raw, OutType::binary},
  };
  const auto ending = std::filesystem::path(out).extension().string();
  const auto* known = std::find_if(std::begin(kKnown), std::end(kKnown),
                                   [&](const KnownEnding& k) { return k.ending == ending; });
  return known == std::end(kKnown) ? nullptr : known;
}

store::VectorFormat output_format(const EmbedOptions& options, const KnownEnding* known) {
  using store::VectorFormat;
  if (options.format != OutFormat::automatic) {
    static constexpr VectorFormat kFormats[] = {VectorFormat::npy, VectorFormat::npy,
                                                VectorFormat::jsonl, VectorFormat::raw};
    const VectorFormat format = kFormats[static_cast<size_t>(options.format)];
    if (known != nullptr && known->format != format) {
      throw_error(ErrorKind::usage, "--format", "{} contradicts the ending of --out {}; drop one",
                  choices(options.format)[static_cast<size_t>(options.format)], quote(options.out));
    }
    return format;
  }
  if (options.out == "-") return VectorFormat::jsonl;
  if (known == nullptr) {
    throw_error(ErrorKind::usage, "--out",
                "{} does not say its form; end it in .npy, .jsonl, .f32, .f16, .i8 or .bin, or "
                "add --format",
                quote(options.out));
  }
  return known->format;
}

store::VectorWriterOptions writer_options(const EmbedOptions& options) {
  const KnownEnding* known = known_ending(options.out);
  store::VectorWriterOptions out;
  out.format = output_format(options, known);
  OutType type = options.output_dtype;
  if (known != nullptr && known->format == store::VectorFormat::raw) {
    if (type != OutType::automatic && type != known->type) {
      throw_error(ErrorKind::usage, "--output-dtype",
                  "{} contradicts the ending of --out {}; drop one",
                  choices(type)[static_cast<size_t>(type)], quote(options.out));
    }
    type = known->type;
  }
  out.dtype = type == OutType::automatic
                  ? store::VectorDType::f32
                  : static_cast<store::VectorDType>(static_cast<int>(type) - 1);
  out.with_text = options.with_text;
  return out;
}

// Flags that would do nothing are refused, so that nobody relies on them.
void check_flags(const EmbedOptions& options, const store::VectorWriterOptions& form) {
  const auto refuse = [](const char* flag, std::string_view why) {
    throw_error(ErrorKind::usage, flag, "{}", why);
  };
  if (options.chunk_tokens && !options.late_chunking)
    refuse("--chunk-tokens", "is for --late-chunking; add it, or drop this flag");
  if (form.format != store::VectorFormat::jsonl) {
    constexpr std::string_view kOnlyNumbers =
        "cannot be held by .npy and raw outputs, which are numbers only; write .jsonl";
    if (options.with_text) refuse("--with-text", kOnlyNumbers);
    if (!options.input.id_field.empty()) refuse("--id-field", kOnlyNumbers);
    if (options.tokens)
      refuse("--tokens", "is JSONL, as texts differ in their number of tokens; write .jsonl");
    if (options.late_chunking) {
      refuse("--late-chunking",
             "names its chunks, which .npy and raw outputs cannot hold; write .jsonl");
    }
  }
  if (options.late_chunking && options.encode.truncate == Truncate::middle) {
    refuse("--truncate",
           "middle leaves two ends that are no neighbours, and a chunk over both "
           "would hold what was cut; pass right or left");
  }
  if (!options.tokens) return;
  if (options.late_chunking) refuse("--late-chunking", "and --tokens are two outputs; give one");
  if (options.encode.dims != 0)
    refuse("--dims", "is of vectors of texts; --tokens writes all numbers of a token's");
  if (options.output_dtype != OutType::automatic && options.output_dtype != OutType::f32)
    refuse("--output-dtype", "is of vectors of texts; --tokens writes f32");
}

struct Totals {
  uint64_t texts = 0, tokens = 0, truncated = 0, chunked = 0, invalid_utf8 = 0;
  uint64_t documents = 0;  // with late chunking, whose texts are chunks
  uint64_t zero = 0;       // vectors of texts in which the model knows no token
  std::string first_truncated, first_zero;
};

void add_report(Totals& totals, const EncodeReport& report, const Block& block) {
  if (totals.truncated == 0 && !report.truncated.empty()) {
    totals.first_truncated = block.place(report.truncated.front());
  }
  totals.texts += report.texts;
  totals.tokens += report.tokens;
  totals.truncated += report.truncated.size();
  totals.chunked += report.chunked;
  totals.invalid_utf8 += report.invalid_utf8;
}

void add_zeros(Totals& totals, MatView<const float> vectors, const Block& block) {
  for (size_t i = 0; i < vectors.rows(); ++i) {
    const float* row = vectors.row(i);
    if (std::any_of(row, row + vectors.cols(), [](float x) { return x != 0; })) continue;
    if (totals.zero++ == 0) totals.first_zero = block.place(i);
  }
}

nlohmann::ordered_json facts(const Encoder& encoder, const EncodeOptions& options,
                             const Totals& totals, uint64_t bad_rows) {
  const auto& info = encoder.info();
  return {{"model",
           {{"name", info.name},
            {"fingerprint", info.fingerprint},
            {"dims", resolve_dims(info, options)},
            {"prompt", resolve_prompt(info, options)},
            {"task", options.task},
            {"precision", precision_name(info.precision)}}},
          {"result",
           {{"texts", totals.texts},
            {"tokens", totals.tokens},
            {"truncated", totals.truncated},
            {"chunked", totals.chunked},
            {"zero", totals.zero},
            {"invalid_utf8", totals.invalid_utf8},
            {"bad_rows", bad_rows}}}};
}

// Where the blocks come from: literal texts once, or the reader.
class Source {
 public:
  Source(const EmbedOptions& options, const Context& context)
      : limit_(std::max<size_t>(1, options.block)) {
    if (options.text.empty()) {
      reader_ = std::make_unique<InputReader>(options.inputs, options.input, context);
      return;
    }
    if (!options.inputs.empty()) {
      throw_error(ErrorKind::usage, "--text", "goes without input files; got {} too",
                  quote(options.inputs[0]));
    }
    literal_.texts = options.text;
    literal_.ids.resize(options.text.size());
    literal_.files.emplace_back(0, "--text");
    for (size_t i = 0; i < options.text.size(); ++i) literal_.lines.push_back(i + 1);
  }
  Block next() {
    if (reader_) return read_block(*reader_, limit_);
    return std::exchange(literal_, {});
  }
  const InputReader* reader() const { return reader_.get(); }

 private:
  size_t limit_;
  std::unique_ptr<InputReader> reader_;
  Block literal_;
};

struct Output {
  Block block;
  Mat<float> vectors;
};

Totals embed_all(const EmbedOptions& options, Encoder& encoder, EncodeOptions encode,
                 Source& source, store::VectorWriter& writer, Context& context) {
  const size_t dims = resolve_dims(encoder.info(), encode);
  const bool ids = !options.input.id_field.empty();
  Totals totals;
  std::future<void> writing;
  auto reading = std::async(std::launch::deferred, [&] { return source.next(); });
  // Bytes of input are the honest measure of a file; texts, of a pipe.
  uint64_t bytes_read = 0;
  encode.progress = [&](const Progress& step) {
    const uint64_t total = source.reader() != nullptr ? source.reader()->bytes_total() : 0;
    if (total == 0) return context.progress({"embedding", totals.texts + step.done, 0, "texts"});
    context.progress({"embedding", bytes_read / 1024, total / 1024, "kB"});
  };
  while (true) {
    auto output = std::make_shared<Output>();
    output->block = reading.get();
    if (output->block.texts.empty()) break;
    if (source.reader() != nullptr) bytes_read = source.reader()->bytes_read();
    reading = std::async(std::launch::async, [&] { return source.next(); });
    const Block& block = output->block;
    const std::vector<std::string_view> views(block.texts.begin(), block.texts.end());
    output->vectors = Mat<float>(views.size(), dims);
    try {
      add_report(totals, encoder.encode(views, encode, output->vectors.view()), block);
    } catch (const Error& error) {
      throw with_place(error, [&](size_t i) { return block.place(i); });
    }
    add_zeros(totals, output->vectors.view(), block);
    check_interrupted();
    encode.progress({"embedding", 0, 0, "texts"});
    if (writing.valid()) writing.get();
    writing = std::async(std::launch::async, [output, ids, &writer] {
      const std::vector<std::string_view> texts(output->block.texts.begin(),
                                                output->block.texts.end());
      writer.write(
          output->vectors.view(),
          ids ? std::span<const std::string>(output->block.ids) : std::span<const std::string>(),
          texts);
    });
  }
  if (writing.valid()) writing.get();
  check_interrupted();
  return totals;
}

// nlohmann prints a float as the double it becomes, with digits that mean nothing: so vectors are
// printed here.
std::string token_json(const TokenVectors& tokens, const std::string& text, const std::string& id,
                       bool with_text) {
  const auto dump = [](const nlohmann::ordered_json& value) {
    return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  };
  std::string out = "{";
  if (!id.empty()) out += "\"id\":" + dump(id) + ",";
  if (with_text) out += "\"text\":" + dump(text) + ",";
  out += fmt::format("\"ids\":[{}],\"begin\":[{}],\"end\":[{}],\"vectors\":[",
                     fmt::join(tokens.ids, ","), fmt::join(tokens.begin, ","),
                     fmt::join(tokens.end, ","));
  for (size_t t = 0; t < tokens.vectors.rows(); ++t) {
    const std::span<const float> row(tokens.vectors.row(t), tokens.vectors.cols());
    out += fmt::format("{}[{}]", t == 0 ? "" : ",", fmt::join(row, ","));
  }
  return out + "]}\n";
}

Totals embed_tokens(const EmbedOptions& options, Encoder& encoder, const EncodeOptions& encode,
                    Source& source, Context& context) {
  AtomicFile file(options.out);
  Totals totals;
  for (Block block = source.next(); !block.texts.empty(); block = source.next()) {
    for (size_t i = 0; i < block.texts.size(); ++i) {
      check_interrupted();
      TokenVectors tokens;
      try {
        tokens = encoder.encode_tokens(block.texts[i], encode);
      } catch (const Error& error) {
        throw with_place(error, [&](size_t) { return block.place(i); });
      }
      file.write(token_json(tokens, block.texts[i], block.ids[i], options.with_text));
      totals.texts += 1;
      totals.tokens += tokens.ids.size();
      context.progress({"embedding", totals.texts, 0, "texts"});
    }
  }
  file.commit();
  return totals;
}

// Late chunking is about means of token vectors, as they leave the transformer.
void check_late_chunking(const EncoderInfo& info) {
  if (info.pooling != "mean") {
    throw_error(ErrorKind::unsupported, "--late-chunking",
                "the model pools by {}; a chunk's vector is the mean of its tokens, so only models "
                "that pool by mean have them",
                info.pooling);
  }
}

Totals embed_chunks(const EmbedOptions& options, Encoder& encoder, const EncodeOptions& encode,
                    Source& source, store::VectorWriter& writer, Context& context) {
  const EncoderInfo& info = encoder.info();
  const size_t dims = resolve_dims(info, encode);
  Totals totals;
  for (Block block = source.next(); !block.texts.empty(); block = source.next()) {
    for (size_t i = 0; i < block.texts.size(); ++i) {
      check_interrupted();
      const std::string& text = block.texts[i];
      TokenVectors tokens;
      try {
        tokens = encoder.encode_tokens(text, encode);
      } catch (const Error& error) {
        throw with_place(error, [&](size_t) { return block.place(i); });
      }
      if (tokens.vectors.cols() != info.dim) {
        throw_error(ErrorKind::unsupported, "--late-chunking",
                    "the model has a Dense layer behind its pooling, so its vectors are not means "
                    "of token vectors");
      }
      const auto chunks = chunk_tokens(text, tokens, options.chunk_tokens.value_or(kChunkTokens));
      Mat<float> vectors(chunks.size(), dims);
      pool_chunks(tokens, chunks, encode.normalize, vectors.view());
      const std::string id = block.ids[i].empty() ? std::to_string(totals.documents) : block.ids[i];
      std::vector<std::string> ids;
      std::vector<std::string_view> texts;
      for (const TextChunk& chunk : chunks) {
        ids.push_back(fmt::format("{}:{}-{}", id, chunk.begin, chunk.end));
        texts.push_back(std::string_view(text).substr(chunk.begin, chunk.end - chunk.begin));
      }
      writer.write(vectors.view(), ids, texts);
      ++totals.documents;
      totals.texts += chunks.size();
      totals.tokens += tokens.ids.size();
      const std::string_view whole = text;
      if (encoder.count_tokens({&whole, 1}, encode)[0] > tokens.ids.size()) {
        if (totals.truncated++ == 0) totals.first_truncated = block.place(i);
      }
      context.progress({"embedding", totals.documents, 0, "texts"});
    }
  }
  return totals;
}

int run(EmbedOptions& options, Context& context) {
  const auto form = writer_options(options);
  check_flags(options, form);
  check_output("--out", options.out);
  check_no_input("--out", options.out, options.inputs);
  Source source(options, context);
  const auto encoder = load_encoder(options.model);
  const auto& info = encoder->info();
  auto encode = encode_options(options.encode, options.as, info, context);
  if (options.late_chunking) check_late_chunking(info);
  if (options.dry_run) {
    auto record = context.record();
    record.update(facts(*encoder, encode, {}, 0));
    record.erase("result");
    context.print_json(record);
    return 0;
  }
  const Stopwatch watch;
  Totals totals;
  if (options.tokens) {
    totals = embed_tokens(options, *encoder, encode, source, context);
  } else {
    const auto writer = store::open_vector_writer(options.out, resolve_dims(info, encode), form);
    totals = options.late_chunking
                 ? embed_chunks(options, *encoder, encode, source, *writer, context)
                 : embed_all(options, *encoder, encode, source, *writer, context);
    writer->finish();
  }
  const uint64_t bad_rows = source.reader() != nullptr ? source.reader()->bad_rows() : 0;
  if (options.out != "-")
    context.write_record(options.out, facts(*encoder, encode, totals, bad_rows));
  std::string words = options.late_chunking
                          ? fmt::format("{} documents in chunks: ", thousands(totals.documents))
                          : "";
  words += "embedded " + speed_words(totals.texts, totals.tokens, watch.seconds());
  if (totals.truncated > 0)
    words += fmt::format("; {} truncated (first: {})", thousands(totals.truncated),
                         totals.first_truncated);
  if (totals.chunked > 0) words += fmt::format("; {} read in pieces", thousands(totals.chunked));
  if (totals.zero > 0) {
    words += fmt::format("; {} zero vectors, such as of texts without a known token (first: {})",
                         thousands(totals.zero), totals.first_zero);
  }
  if (totals.invalid_utf8 > 0)
    words += fmt::format("; {} with invalid UTF-8", thousands(totals.invalid_utf8));
  if (bad_rows > 0) words += fmt::format("; {} bad rows skipped", thousands(bad_rows));
  context.say(words);
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_embed_command() {
  return std::make_unique<CommandOf<EmbedOptions>>(kInfo, run);
}

}  // namespace akin::cli
