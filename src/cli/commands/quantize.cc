// akin quantize: a model folder with int8 weights, made ahead instead of at each load.
#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "cli/command.h"
#include "cli/load.h"
#include "cli/quantize_folder.h"
#include "cli/terminal.h"

namespace akin::cli {
namespace {

namespace fs = std::filesystem;

struct QuantizeOptions {
  std::string model;
  std::string out;
  bool force = false;
  bool dry_run = false;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("model=MODEL", model,
      "model folder, name of a model that akin ships, or ORG/NAME[@REVISION] in the Hugging Face "
      "cache");
    v("out=DIR", out, "the folder to write: new or empty");
    v("force", force,
      "replace a model folder that is there; one with other files in it is left alone");
    v("dry-run", dry_run, "say what would be written, write nothing");
  }
};

constexpr CommandInfo kInfo = {
    "quantize", "write a model folder with int8 weights",
    "The linear weights of the layers become int8 with one scale per output channel: a quarter of "
    "their size in f32. Embedding tables, norms and heads keep their type, so a model with a large "
    "vocabulary shrinks less. It loads faster. Other files of the folder are copied. Check what it "
    "costs with akin doctor and akin similarity.",
    "akin quantize --model ./bge-base-en --out ./bge-base-en-int8\nakin embed --model "
    "./bge-base-en-int8 --dtype int8 corpus.txt --out corpus.npy"};

uint64_t weight_bytes(const fs::path& folder) {
  uint64_t total = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const auto ending = it->path().extension();
    std::error_code ignored;
    if (it->is_regular_file(ignored) && (ending == ".safetensors" || ending == ".bin"))
      total += it->file_size(ignored);
  }
  return total;
}

int run(QuantizeOptions& options, Context& context) {
  if (options.out.empty()) throw_error(ErrorKind::usage, "--out", "is needed: the folder to write");
  const fs::path in = resolve_model_folder(options.model), out = options.out;
  check_quantized_folder(in, out, options.force);
  const uint64_t before = weight_bytes(in);
  if (options.dry_run) {
    auto record = context.record();
    record["reads"] = {{"folder", in.string()}, {"weight_bytes", before}};
    context.print_json(record);
    return 0;
  }
  const Stopwatch watch;
  quantize_folder(in, out, options.force);
  const uint64_t after = weight_bytes(out);
  context.write_record(out / "akin_quantize",
                       {{"weight_bytes", {{"before", before}, {"after", after}}}});
  if (context.json()) {
    context.print_json(
        {{"folder", out.string()}, {"weight_bytes_before", before}, {"weight_bytes_after", after}});
  }
  context.say(fmt::format("wrote {}: weights {} -> {} in {:.1f} s", out.string(),
                          size_words(before), size_words(after), watch.seconds()));
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_quantize_command() {
  return std::make_unique<CommandOf<QuantizeOptions>>(kInfo, run);
}

}  // namespace akin::cli
