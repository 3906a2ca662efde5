// akin info: what a model folder is, without running it.
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/load.h"
#include "cli/terminal.h"
#include "model/classification_head.h"

namespace akin::cli {
namespace {

struct InfoOptions {
  std::vector<std::string> models;
  std::string model, pooling;
  Precision dtype = Precision::f32;
  bool list = false;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+models=MODEL", models, "model folders or names, instead of --model");
    v("model=MODEL", model,
      "model folder, name of a model that akin ships, or ORG/NAME[@REVISION] in the Hugging Face "
      "cache");
    v("pooling=MODE", pooling, "pooling for a folder that names none");
    v("dtype=TYPE", dtype, "precision that the fingerprint is for");
    v("list", list, "only list the models that akin ships");
  }
};

constexpr CommandInfo kInfo = {
    "info", "what a model is: family, size, pooling, prompts, limits, fingerprint",
    "Reads a model folder and says how akin understands it, configuration keys that it ignores "
    "included. Two models with "
    "the same fingerprint give the same vectors.",
    "akin info static-en-64\nakin info ./bge-small-en --json\nakin info --list"};

nlohmann::ordered_json describe(const model::Model& model, Precision precision) {
  const auto info = model::encoder_info(model, precision);
  const auto& arch = model.arch;
  nlohmann::ordered_json out = {{"name", info.name},
                                {"folder", model.folder.string()},
                                {"family", info.family},
                                {"parameters", info.parameters},
                                {"dims", info.dim},
                                {"matryoshka_dims", info.matryoshka_dims},
                                {"max_tokens", info.max_tokens},
                                {"pooling", info.pooling},
                                {"normalizes", info.normalizes},
                                {"similarity", info.similarity},
                                {"prompts", info.prompts},
                                {"default_prompt", info.default_prompt_name},
                                {"tasks", info.tasks}};
  if (arch.kind == ModelKind::transformer) {
    out["layers"] = arch.layers;
    out["hidden"] = arch.hidden;
    out["heads"] = arch.heads;
  }
  if (model.tokenizer) {
    out["tokenizer"] = {{"model", model.tokenizer->model_type()},
                        {"vocabulary", model.tokenizer->vocab_size()},
                        {"source", model.tokenizer->source()}};
  }
  out["precision"] = precision_name(precision);
  out["fingerprint"] = info.fingerprint;
  out["ignored_keys"] = model.ignored_keys;
  return out;
}

// A folder with a head over the encoder has scores for labels, and no vectors.
nlohmann::ordered_json describe_classifier(const std::filesystem::path& folder,
                                           Precision precision) {
  auto model = model::load_classifier_body(folder);
  const auto head = model::load_classification_head(folder, model);
  model::add_head(head, model);
  const auto& labels = head.labels;
  nlohmann::ordered_json out = describe(model, precision);
  for (const char* of_vectors : {"dims", "matryoshka_dims", "pooling", "normalizes", "similarity",
                                 "prompts", "default_prompt", "tasks"}) {
    out.erase(of_vectors);
  }
  out["kind"] = labels.size() == 1 ? "reranker" : "classifier";
  out["labels"] = labels;
  return out;
}

std::string value_words(const nlohmann::ordered_json& value) {
  if (value.is_string())
    return value.get<std::string>().empty() ? "none" : value.get<std::string>();
  if (value.is_number_unsigned()) return thousands(value.get<uint64_t>());
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  std::vector<std::string> parts;
  for (const auto& [key, item] : value.items()) {
    const std::string words = item.is_string() ? item.get<std::string>() : item.dump();
    parts.push_back(value.is_object()
                        ? fmt::format("{}={}", key, item.is_string() ? quote(words) : words)
                        : words);
  }
  return parts.empty() ? "none" : fmt::format("{}", fmt::join(parts, ", "));
}

void print_table(const nlohmann::ordered_json& facts, Context& context) {
  for (const auto& [key, value] : facts.items()) {
    std::string label = key;
    std::replace(label.begin(), label.end(), '_', ' ');
    std::string words = value_words(value);
    if (key == "max_tokens" && value == 0) words = "no limit";
    context.print("{}  {}\n", bold(fit(label, 16), context.color()), printable(words));
  }
}

void list_models(Context& context) {
  for (const auto& [name, folder] : shipped_models()) {
    if (context.json()) {
      context.print_json({{"name", name}, {"folder", folder.string()}});
    } else {
      context.print("{}\t{}\n", name, folder.string());
    }
  }
}

int run(InfoOptions& options, Context& context) {
  if (options.list) {
    list_models(context);
    return 0;
  }
  auto models = options.models;
  if (models.empty()) models.push_back(options.model);
  for (size_t i = 0; i < models.size(); ++i) {
    ModelOptions load;
    load.model = models[i];
    load.pooling = options.pooling;
    const auto folder = resolve_model_folder(load.model);
    const auto facts = model::is_classifier_folder(folder) && load.pooling.empty()
                           ? describe_classifier(folder, options.dtype)
                           : describe(load_model(load), options.dtype);
    if (context.json()) {
      context.print_json(facts);
      continue;
    }
    if (i > 0) context.write("\n");
    print_table(facts, context);
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_info_command() {
  return std::make_unique<CommandOf<InfoOptions>>(kInfo, run);
}

}  // namespace akin::cli
