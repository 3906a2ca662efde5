#include "train/consolidate.h"

#include "base/error.h"
#include "base/file.h"
#include "train/fisher.h"
#include "train/open_model.h"

namespace akin::train {
namespace {

namespace fs = std::filesystem;

Importance estimate(const Recipe& recipe, const std::vector<FisherSource>& from,
                    nn::TextModel& model, const ProgressSink& progress) {
  const EwcTable& table = recipe.ewc;
  std::vector<data::MixtureSource> sources;
  nlohmann::json names = nlohmann::json::array();
  for (const FisherSource& one : from) {
    sources.push_back(one.source);
    sources.back().batch = std::min<size_t>(table.candidates, one.source.store->size());
    names.push_back(one.source.name);
  }
  data::Mixture mixture(sources, {recipe.mixture.alpha, recipe.mixture.cap, recipe.train.seed});
  FisherEstimate fisher(model, table.labels, recipe.train.seed);
  while (fisher.queries() < table.estimate) {
    check_interrupted();
    const data::DrawnBatch drawn = mixture.next();
    const FisherSource& one = from[drawn.source];
    data::TrainBatch batch = data::collate(drawn, mixture.sources()[drawn.source],
                                           *model.description().tokenizer, one.collate);
    choose_adapters(batch, one.tasks);
    fisher.add(batch, one.temperature);
    if (progress)
      progress({"estimating what matters", fisher.queries(), table.estimate, "queries"});
  }
  Importance out = fisher.finish();
  normalize(out, table.clip);
  out.about["stages"] = {
      {{"sources", names},
       {"queries", fisher.queries()},
       {"candidates", table.candidates},
       {"labels", table.labels == FisherLabels::sampled ? "sampled" : "empirical"},
       {"clip", table.clip},
       {"model", model.description().fingerprint}}};
  return out;
}

std::map<std::string, at::Tensor> values_of(nn::TextModel& model) {
  std::map<std::string, at::Tensor> out;
  for (const nn::Parameter& parameter : model.parameters()) {
    if (parameter.trained)
      out.emplace(lasting_name(parameter.name, model.description().arch),
                  parameter.value.detach().to(at::kCPU, at::kFloat));
  }
  return out;
}

std::shared_ptr<nn::TextModel> open_finished(Recipe recipe, const fs::path& model) {
  recipe.model.open = model.string();
  recipe.model.pooling.clear();
  recipe.model.position.clear();  // it has been done
  return open_model(recipe);
}

}  // namespace

std::unique_ptr<Ewc> hold_weights(const Recipe& recipe, const Sources& sources,
                                  nn::TextModel& model, const fs::path& out, uint64_t step,
                                  ThreadPool& pool, const ProgressSink& progress) {
  const EwcTable& table = recipe.ewc;
  const fs::path kept = out / "ewc.safetensors";
  if (table.from.empty() && sources.old.empty()) {
    if (table.estimate != 0 && sources.fisher.empty()) {
      throw_error(ErrorKind::usage, "ewc.estimate",
                  "is {}, but what matters is estimated on pairs that belong together, and no "
                  "source is one of such pairs; leave it out, or add a source",
                  table.estimate);
    }
    if (table.lambda == 0) return nullptr;
    throw_error(ErrorKind::usage, "ewc",
                "lambda is {}, but nothing says what to hold; give from = the fisher.safetensors "
                "of an earlier run, or a source of earlier data with old = true",
                table.lambda);
  }
  if (table.lambda == 0 && table.estimate == 0) return nullptr;  // nobody would read it
  std::error_code ignored;
  if (!fs::exists(kept, ignored)) {
    if (step > 0) {
      throw_error(ErrorKind::usage, out.string(),
                  "ewc.safetensors is gone, which this run began with; start again");
    }
    if (!sources.old.empty() && table.estimate == 0) {
      throw_error(ErrorKind::usage, "ewc.estimate",
                  "is 0, but there are old sources; say how many queries to read of them");
    }
    Importance held;
    if (!table.from.empty()) held = read_importance(table.from);
    if (!sources.old.empty()) {
      const Importance fresh = estimate(recipe, sources.old, model, progress);
      held = table.from.empty() ? fresh : combine(held, fresh, table.keep, table.decay);
    }
    write_importance(kept, held);
  }
  return std::make_unique<Ewc>(read_importance(kept), model.parameters(), model.description().arch,
                               table.lambda, pool);
}

void leave_importance(const Recipe& recipe, const Sources& sources, const fs::path& model,
                      const fs::path& out, const Ewc* held, const ProgressSink& progress) {
  if (recipe.ewc.estimate == 0) return;
  if (sources.fisher.empty()) return write_importance(out / "fisher.safetensors", held->held());
  const auto finished = open_finished(recipe, model);
  Importance fresh = estimate(recipe, sources.fisher, *finished, progress);
  if (held != nullptr) fresh = combine(held->held(), fresh, recipe.ewc.keep, recipe.ewc.decay);
  write_importance(out / "fisher.safetensors", fresh);
}

std::vector<MovementRow> report_movement(const Recipe& recipe, const fs::path& model,
                                         const fs::path& out, const Ewc* held) {
  if (recipe.model.open.empty()) return {};
  const auto start = open_model(recipe, out);
  const auto finished = open_finished(recipe, model);
  const auto rows = movement(values_of(*start), values_of(*finished),
                             held == nullptr ? nullptr : &held->held(), recipe.ewc.lambda);
  write_file(out / "movement.json", movement_json(rows).dump(2) + "\n");
  return rows;
}

}  // namespace akin::train
