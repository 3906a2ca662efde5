// What most commands begin with: a model by folder or name, how to encode, and texts from files.
// Options structs that commands include in their own, and the steps that use them.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/choices.h"
#include "cli/context.h"
#include "core/encoder.h"
#include "model/model.h"
#include "store/text_source.h"

namespace akin::cli {

struct ModelOptions {
  std::string model;
  std::string pooling;
  Precision dtype = Precision::f32;
  std::string device = "cpu";
  size_t threads = 0;
  double rope_base = 0;
  size_t max_tokens = 0;  // no flag: reads no more of a text; 0 = as the folder says
  template <typename Visitor>
  void fields(Visitor& v) {
    model_field(v);
    v("dtype=TYPE", dtype, "precision of the computation: f32 is exact, int8 is the fast path");
    v("device=DEVICE", device,
      "cpu: akin's own engine; cuda, cuda:1, ...: libtorch on a GPU; torch: libtorch on the CPU, "
      "for comparison (both need a build with training)");
    v("threads=N", threads, "threads to use; 0 = every CPU this process may run on");
  }
  template <typename Visitor>
  void model_field(Visitor& v) {
    v("model=MODEL", model,
      "model folder, name of a model that akin ships, or ORG/NAME[@REVISION] in the Hugging Face "
      "cache");
    v("rope-base=X", rope_base,
      "base frequency of rotary positions in place of the model's own, such as 20000 for one that "
      "was trained with 10000; 0 = its own");
    v("pooling=MODE", pooling,
      "pooling for a folder that names none: cls, mean, max, mean_sqrt_len, weighted_mean or "
      "last_token, joined by +");
  }
};

enum class Side : uint8_t { none, query, document };
std::span<const std::string_view> choices(Side);

struct EncodeFlags {
  std::string prompt_name;
  std::optional<std::string> prompt;
  std::string task;
  size_t dims = 0;
  bool allow_any_dims = false;
  bool normalize = true;
  Truncate truncate = Truncate::error;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("prompt-name=NAME", prompt_name, "which of the model's prompts goes before each text");
    v("prompt=TEXT", prompt,
      "a literal prompt, instead of one of the model's; \"\" is none; goes without --prompt-name");
    v("task=NAME", task, "LoRA adapter of the model, such as retrieval.query");
    v("dims=N", dims, "keep the first N numbers of each vector (Matryoshka); 0 = all");
    v("allow-any-dims", allow_any_dims, "accept --dims that the model does not declare");
    v("[no-]normalize", normalize,
      "scale vectors to unit length; a model that does so itself goes on doing it");
    v("truncate=SIDE", truncate,
      "what to do with a text longer than the model reads: an error; cut its right or left end or "
      "its middle; or chunk: read it in pieces and average their vectors");
  }
};

struct InputOptions {
  store::TextFormat input_format = store::TextFormat::automatic;
  std::vector<std::string> field;
  std::string id_field;
  bool skip_bad_rows = false;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("input-format=FORMAT", input_format,
      "what the input files hold; auto goes by file name, also under .gz and .zst");
    v("field=NAME", field,
      "JSONL key, or TSV/CSV column, with the text; several are joined by a space. The first row "
      "of "
      "TSV and CSV is a header if it holds the names given, or else one of text, sentence, "
      "content, "
      "query and title; with a column's number, from 1, every row is data");
    v("id-field=NAME", id_field, "JSONL key, or TSV/CSV column, with an id to carry along");
    v("skip-bad-rows", skip_bad_rows,
      "count rows that cannot be read and go on, instead of stopping at the first");
  }
};

// The folder of --model: a path, else a shipped model, else the Hugging Face cache. Errors: usage,
// not_found.
std::filesystem::path resolve_model_folder(const std::string& model);
std::vector<std::pair<std::string, std::filesystem::path>> shipped_models();
model::LoadOptions load_options(const ModelOptions& options);
model::Model load_model(const ModelOptions& options);
std::unique_ptr<Encoder> load_encoder(const ModelOptions& options);

// What load_encoder calls for another --device than cpu. akin has none: it hands over to
// akin-train, which sets one.
using DeviceEncoderMaker = std::unique_ptr<Encoder> (*)(const ModelOptions& options);
void set_device_encoder_maker(DeviceEncoderMaker maker);

// The library's options from flags and the side of the text. Warns once when the model has prompts
// and nobody chose.
EncodeOptions encode_options(const EncodeFlags& flags, Side side, const EncoderInfo& info,
                             Context& context);

// How a model reads the two sides of pairs: longer texts are cut at the right, a prompt that is not
// given is the model's own for that side. `flags`: what else both sides share.
struct SideOptions {
  EncodeOptions query, document;
};
SideOptions side_options(EncodeFlags flags, const std::optional<std::string>& query_prompt,
                         const std::optional<std::string>& document_prompt, const EncoderInfo& info,
                         Context& context);

// One text of the input with its place.
struct InputText {
  std::string text;
  std::string id;
  uint64_t line = 0;
  bool whole_file = false;  // of a folder: the id is its path within
};

// An output that is one of the inputs would replace it. Errors: usage, naming `flag`.
void check_no_input(const std::string& flag, const std::string& out,
                    std::span<const std::string> inputs);

// Texts from files, folders (each .txt and .md file below is one text) or stdin ("-", or nothing
// when stdin is not a terminal), one after another. Not thread-safe.
class InputReader {
 public:
  // Errors: usage, when there is no input at all; not_found.
  InputReader(std::vector<std::string> files, const InputOptions& options, const Context& context);
  bool next(InputText& text);
  const std::string& file() const { return file_; }  // of the last text, also within a folder
  uint64_t bad_rows() const;
  uint64_t bytes_read() const;
  uint64_t bytes_total() const { return bytes_total_; }  // 0: unknown

 private:
  InputOptions options_;
  std::vector<std::string> files_;
  size_t next_file_ = 0;
  std::string file_, folder_;  // folder_: empty for a file
  std::unique_ptr<store::TextSource> source_;
  store::TextRow row_;
  uint64_t bad_rows_ = 0, bytes_done_ = 0, bytes_total_ = 0;
};

// An error about one text of an encode() call names it by its index in that call ("input 17"): the
// same error, naming its place in the user's files instead. `place` maps an index to words.
Error with_place(const Error& error, const std::function<std::string(size_t)>& place);

// The words of a closing line: "8,192 texts, 170,402 tokens in 3.2 s: 2,560 texts/s, 53,250
// tokens/s".
std::string speed_words(uint64_t texts, uint64_t tokens, double seconds);

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace akin::cli
