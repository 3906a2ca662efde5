// akin merge: one model folder out of several, their weights averaged.
#include "model/merge.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/error.h"
#include "cli/command.h"
#include "cli/load.h"
#include "cli/terminal.h"

namespace akin::cli {
namespace {

namespace fs = std::filesystem;

using model::choices;

struct MergeFlags {
  std::vector<std::string> models;
  std::string out;
  model::MergeMethod method = model::MergeMethod::linear;
  std::vector<double> weights;
  std::vector<std::string> layer_weights;
  bool dry_run = false;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+models=MODEL", models,
      "two or more: model folders, names of models that akin ships, or ORG/NAME[@REVISION] in the "
      "Hugging Face cache");
    v("out=DIR", out, "the folder to write");
    v("method=NAME", method,
      "linear: the weighted mean; slerp: along the great circle between two models");
    v("weights=X", weights,
      "how much of each model, in their order, scaled to sum to 1; all alike when left out");
    v("layer-weights=PREFIX=X:Y", layer_weights,
      "other weights for a part of the model, such as layer.0=0.9:0.1, embed=1:0, dense.0=0:1");
    v("dry-run", dry_run, "say what would be read and written, write nothing");
  }
};

constexpr CommandInfo kInfo = {
    "merge", "average the weights of several models",
    "For models of one architecture and tokenizer, such as a model and what it was fine-tuned to: "
    "the mean keeps more of the old skill than the new model alone, and several fine-tuned models "
    "often are better together than each. Everything but the weights (tokenizer, prompts, pooling, "
    "limits) is the first model's. Models that cannot be averaged are refused, with what differs.\n"
    "Score the result: akin eval --model DIR.",
    "akin merge ./base ./tuned --weights 0.3,0.7 --out ./merged\n"
    "akin merge ./base ./tuned --method slerp --layer-weights embed=1:0 --out ./merged\n"
    "akin merge ./run1/model ./run2/model ./run3/model --out ./soup"};

model::LayerWeights parse_layer(const std::string& text) {
  model::LayerWeights out;
  const size_t equals = text.find('=');
  out.prefix = text.substr(0, equals);
  std::string_view rest =
      equals == std::string::npos ? std::string_view() : std::string_view(text).substr(equals + 1);
  while (!rest.empty() && !out.prefix.empty()) {
    const size_t colon = rest.find(':');
    out.weights.push_back(options_detail::parse_double("--layer-weights", rest.substr(0, colon)));
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
  }
  if (out.weights.empty()) {
    throw_error(ErrorKind::usage, "--layer-weights",
                "{} is not PREFIX=X:Y, such as layer.0=0.9:0.1", quote(text));
  }
  return out;
}

// "run1/model" of "a/b/run1/model": the last name alone says little where runs put their models.
std::string model_words(const std::string& model) {
  const fs::path path = fs::path(model).lexically_normal();
  const fs::path folder = path.has_filename() ? path : path.parent_path();
  const std::string name = folder.filename().string();
  const std::string above = folder.parent_path().filename().string();
  return name == "model" && !above.empty() ? above + "/" + name : name;
}

// What the card says of the merge.
std::string card_text(const MergeFlags& flags) {
  std::string out = "## Merged\n\nThe weights are averaged with `akin merge`";
  out += fmt::format(" ({}):\n\n", choices(flags.method)[static_cast<size_t>(flags.method)]);
  for (size_t i = 0; i < flags.models.size(); ++i) {
    out +=
        fmt::format("- {}{}\n", model_words(flags.models[i]),
                    i < flags.weights.size() ? fmt::format(", weight {}", flags.weights[i]) : "");
  }
  for (const auto& layer : flags.layer_weights) out += fmt::format("- {}\n", layer);
  return out;
}

int run(MergeFlags& flags, Context& context) {
  if (flags.out.empty()) throw_error(ErrorKind::usage, "--out", "is needed: the folder to write");
  std::vector<fs::path> folders;
  for (const auto& model : flags.models) folders.push_back(resolve_model_folder(model));
  model::MergeOptions options;
  options.method = flags.method;
  options.weights = flags.weights;
  for (const auto& text : flags.layer_weights) options.layers.push_back(parse_layer(text));
  if (flags.dry_run) {
    auto record = context.record();
    for (const auto& folder : folders) record["reads"].push_back(folder.string());
    context.print_json(record);
    return 0;
  }
  const Stopwatch watch;
  const auto report = model::merge_folders(folders, flags.out, options, card_text(flags));
  for (const auto& remark : report.remarks) context.warn("akin: warning: " + remark);
  context.write_record(fs::path(flags.out) / "akin_merge",
                       {{"tensors", report.tensors}, {"parameters", report.parameters}});
  if (context.json()) {
    context.print_json({{"folder", flags.out},
                        {"tensors", report.tensors},
                        {"parameters", report.parameters},
                        {"moved", report.moved}});
  }
  context.say(fmt::format(
      "wrote {}: {} parameters of {} models in {:.1f} s; {:.2f} % from the first model", flags.out,
      thousands(report.parameters), folders.size(), watch.seconds(), 100 * report.moved));
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_merge_command() {
  return std::make_unique<CommandOf<MergeFlags>>(kInfo, run);
}

}  // namespace akin::cli
