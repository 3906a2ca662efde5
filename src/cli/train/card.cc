#include "cli/train/card.h"

#include <fmt/format.h>

#include <filesystem>

namespace akin::cli {
namespace {

std::string scores_table(const train::SessionResult& result) {
  if (result.after.tasks.empty()) return {};
  std::string out = "\n## Dev scores\n\n| task | before | after |\n|---|---|---|\n";
  for (const auto& [name, score] : result.after.tasks) {
    const auto before = result.before.tasks.find(name);
    out += fmt::format(
        "| {} | {} | {:.2f} |\n", name,
        before == result.before.tasks.end() ? "" : fmt::format("{:.2f}", 100 * before->second),
        100 * score);
  }
  if (result.best) {
    out += fmt::format("\nThe weights are those of step {}, the best mean: {:.2f}.\n",
                       result.best_step, 100 * *result.best);
  }
  return out;
}

// Tables of the recipe as TOML would have them, without what is at its default and empty.
std::string table_lines(const nlohmann::ordered_json& table) {
  std::string out;
  for (const auto& [key, value] : table.items()) {
    if (value.is_null() || value.is_object() ||
        (value.is_string() && value.get_ref<const std::string&>().empty()) ||
        (value.is_array() && value.empty())) {
      continue;
    }
    out += fmt::format("{} = {}\n", train::recipe_key(key),
                       value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  return out;
}

}  // namespace

std::string model_card(const train::SessionResult& result, const nlohmann::ordered_json& recipe,
                       const std::string& recipe_path) {
  std::string out =
      "---\nlibrary_name: sentence-transformers\npipeline_tag: sentence-similarity\ntags:\n"
      "- sentence-transformers\n- feature-extraction\n- akin\n---\n\n# Text embedding model\n\n";
  out += fmt::format("Trained with `akin train` from the recipe `{}`: {} steps.\n",
                     std::filesystem::path(recipe_path).filename().string(), result.steps);
  if (recipe.contains("pretrain") && recipe["pretrain"]["objective"] != "none") {
    out +=
        "\nThis is a pre-trained model: its vectors are a start for contrastive training, and of "
        "no "
        "use as they are.\n";
  }
  out +=
      "\n## Training data\n\n| source | records | share of batches | epochs | loss |\n"
      "|---|---|---|---|---|\n";
  for (const auto& source : result.sources) {
    out += fmt::format("| {} | {} | {:.1f} % | {:.2f} | {} |\n", source.name, source.records,
                       100 * source.probability, source.epochs, source.loss);
  }
  out += scores_table(result);
  out += "\n## Settings\n\n```toml\n";
  for (const auto& [name, table] : recipe.items()) {
    if (table.is_object()) out += fmt::format("[{}]\n{}", name, table_lines(table));
  }
  return out + "```\n";
}

}  // namespace akin::cli
