// akin train: from a recipe and training records to a sentence-transformers folder.
#include "cli/train/train.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "cli/load.h"
#include "cli/terminal.h"
#include "cli/train/card.h"
#include "cli/train/dev_eval.h"
#include "cli/train/explain.h"
#include "cli/train/report.h"
#include "loss/loss.h"
#include "train/recipe.h"
#include "train/session.h"
#include "train/sources.h"

namespace akin::cli {
namespace {

namespace fs = std::filesystem;

int list(Context& context) {
  if (context.json()) {
    nlohmann::ordered_json out;
    for (const auto& info : loss::loss_infos()) {
      out["losses"].push_back(
          {{"name", info.name}, {"summary", info.summary}, {"options", info.options}});
    }
    for (const auto& table : train::recipe_tables()) {
      for (const auto& field : table.fields) {
        out["keys"].push_back({{"table", table.name},
                               {"key", train::recipe_key(field.name)},
                               {"default", field.get()},
                               {"help", field.help}});
      }
    }
    context.print_json(out);
    return 0;
  }
  context.write(bold("losses", context.color()) + "\n");
  for (const auto& info : loss::loss_infos()) {
    context.print("  {}  {}\n", fit(info.name, 18), info.summary);
    if (!info.options.empty()) context.print("  {}  takes {}\n", fit("", 18), info.options);
  }
  for (const auto& table : train::recipe_tables()) {
    context.write("\n" + bold(table.name, context.color()) + "\n");
    for (const auto& field : table.fields) {
      context.print("  {}  {}{}\n", fit(train::recipe_key(field.name), 20), field.help,
                    field.default_text.empty() ? "" : fmt::format(" ({})", field.default_text));
    }
  }
  return 0;
}

// Files that a recipe names besides its sources: as they are, beside the recipe, or in the data
// folder; models also by the name of one that akin ships.
void resolve_paths(train::Recipe& recipe, const fs::path& recipe_folder, const fs::path& data) {
  const auto find = [&](std::string& path) {
    std::error_code ignored;
    for (const fs::path& folder : {fs::path(), recipe_folder, data}) {
      if (path.empty() || !fs::exists(folder / path, ignored)) continue;
      path = (folder / path).string();
      return true;
    }
    return path.empty();
  };
  const auto need = [&](std::string& path, std::string_view key) {
    if (find(path)) return;
    throw_error(ErrorKind::not_found, key,
                "{} is neither here, nor in {}, nor in {}; set it with --set {}=PATH", quote(path),
                recipe_folder.empty() ? "." : recipe_folder.string(), data.string(), key);
  };
  need(recipe.model.tokenizer, "model.tokenizer");
  need(recipe.evaluate.tasks_file, "evaluate.tasks_file");
  need(recipe.pretrain.segmenter, "pretrain.segmenter");
  for (std::string* model :
       {&recipe.model.open, &recipe.model.embeddings_from, &recipe.teacher.model}) {
    if (!find(*model)) *model = resolve_model_folder(*model).string();
  }
}

std::string precision_words(train::PrecisionChoice precision) {
  return precision == train::PrecisionChoice::bf16
             ? "products in bf16"
             : "products in f32: this CPU is not fast at bf16";
}

train::TeacherModel open_teacher(const train::Recipe& recipe, Context& context) {
  const train::TeacherTable& table = recipe.teacher;
  train::TeacherModel out;
  if (table.model.empty()) return out;
  ModelOptions options;
  options.model = table.model;
  options.pooling = table.pooling;
  options.dtype = table.dtype;
  options.max_tokens = table.max_tokens;
  options.threads = recipe.train.threads;
  out.encoder = load_encoder(options);
  EncodeFlags flags;
  flags.dims = table.dims;
  flags.normalize = false;  // vector_mse: lengths count
  auto sides =
      side_options(flags, table.query_prompt, table.document_prompt, out.encoder->info(), context);
  out.query = std::move(sides.query);
  out.document = std::move(sides.document);
  out.temperature = table.temperature;
  return out;
}

std::string duration(double seconds) {
  const auto whole = static_cast<uint64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string score_words(const train::DevScores& scores) {
  std::string out;
  if (scores.main) out += fmt::format("main {:.2f}", 100 * *scores.main);
  if (scores.general) {
    out += fmt::format("{}general {:.2f}", out.empty() ? "" : ", ", 100 * *scores.general);
  }
  std::string tasks;
  for (const auto& [name, score] : scores.tasks) {
    tasks += fmt::format("{}{} {:.2f}", tasks.empty() ? "" : ", ", name, 100 * score);
  }
  return scores.tasks.size() < 2 ? (out.empty() ? tasks : out) : fmt::format("{} ({})", out, tasks);
}

train::SessionEvents make_events(Context& context) {
  train::SessionEvents events;
  events.progress = [&](const Progress& progress) { context.progress(progress); };
  events.warn = [&](const std::string& words) {
    context.end_progress();
    context.warn("akin: warning: " + words);
  };
  events.on_step = [&](const train::StepReport& report) {
    context.end_progress();
    const bool pretraining = !report.parts.empty();
    const double speed = pretraining ? report.tokens_per_second : report.pairs_per_second;
    std::string line = fmt::format("step {:>6}/{}  loss {:.4f}  lr {:.2e}  {:>7} {}/s", report.step,
                                   report.steps, report.loss, report.learning_rate,
                                   thousands(static_cast<uint64_t>(speed + 0.5)),
                                   pretraining ? "tokens" : "pairs");
    for (const auto& [name, part] : report.parts) line += fmt::format("  {} {:.3f}", name, part);
    if (report.negatives_per_query > 0) {
      line += fmt::format("  {:.0f} negatives/query", report.negatives_per_query);
    }
    if (report.penalty > 0) line += fmt::format("  penalty {:.4f}", report.penalty);
    if (report.solved >= 0) line += fmt::format("  solved {:.0f}%", 100 * report.solved);
    if (report.waited > 0.02) line += fmt::format("  waits for data {:.0f}%", 100 * report.waited);
    context.say(line + "  " + duration(report.seconds_left) + " left");
  };
  events.on_scores = [&](const train::ScoreReport& report) {
    context.end_progress();
    context.say(fmt::format("step {:>6}  {}{}", report.step, score_words(report.scores),
                            report.best && report.step > 0 ? "  best so far" : ""));
  };
  return events;
}

nlohmann::ordered_json scores_json(const train::DevScores& scores) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  if (scores.main) out["main"] = *scores.main;
  if (scores.general) out["general"] = *scores.general;
  for (const auto& [name, score] : scores.tasks) out["tasks"][name] = score;
  return out;
}

// Records that [evaluate] eval_texts kept out.
void say_left_out(const train::SessionResult& result, Context& context) {
  uint64_t count = 0, records = 0;
  for (const auto& source : result.sources) {
    count += source.rows.left_out;
    records += source.records + source.rows.left_out;
  }
  if (count == 0) return;
  context.say(fmt::format("{} of {} records met evaluation texts and were left out",
                          thousands(count), thousands(records)));
}

void print_result(const train::SessionResult& result, Context& context) {
  if (context.json()) {
    nlohmann::ordered_json out = {
        {"model", result.model.string()},       {"steps", result.steps},
        {"resumed_at", result.resumed_at},      {"stopped_early", result.stopped_early},
        {"best_step", result.best_step},        {"seconds", result.seconds},
        {"before", scores_json(result.before)}, {"after", scores_json(result.after)}};
    for (const auto& source : result.sources) {
      out["sources"].push_back({{"name", source.name},
                                {"records", source.records},
                                {"bad_rows", source.rows.bad},
                                {"left_out", source.rows.left_out},
                                {"probability", source.probability},
                                {"epochs", source.epochs},
                                {"loss", source.loss}});
    }
    context.print_json(out);
    return;
  }
  if (result.was_done) {
    context.say(fmt::format("the run is complete already: {}", result.model.string()));
  } else {
    say_left_out(result, context);
    context.say(fmt::format("{} steps in {}{}{}", thousands(result.steps), duration(result.seconds),
                            result.stopped_early ? ", stopped early" : "",
                            result.best ? fmt::format("; best main score {:.2f} at step {}",
                                                      100 * *result.best, result.best_step)
                                        : ""));
  }
  context.print("{}\n", result.model.string());
}

}  // namespace

int run_training(const TrainOptions& options, Context& context) {
  if (options.list) return list(context);
  if (!options.explain.empty()) return explain_records(options.explain, context);
  if (options.recipe.empty()) {
    throw_error(ErrorKind::usage, "akin train",
                "no recipe; give a TOML file, or see --list and docs/train.md");
  }
  train::SessionOptions session;
  session.recipe = train::read_recipe(options.recipe, options.set);
  session.data =
      options.data.empty() ? fs::path(options.recipe).parent_path() : fs::path(options.data);
  session.resume = options.resume;
  if (options.change_rate && !options.resume) {
    throw_error(ErrorKind::usage, "--change-rate", "goes with --resume only");
  }
  session.change_rate = options.change_rate;
  const bool settled = train::settle_precision(session.recipe);
  auto record = train::recipe_record(session.recipe);
  const auto values = train::recipe_values(session.recipe);
  resolve_paths(session.recipe, fs::path(options.recipe).parent_path(), session.data);
  if (options.dry_run) {
    train::check_source_files(session.recipe, session.data);
    const DevEval check(session.recipe.evaluate, session.data, 1);
    if (context.json()) {
      context.print_json(values);
    } else {
      context.print("{}\n", values.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    }
    return 0;
  }
  if (options.out.empty()) {
    throw_error(ErrorKind::usage, "--out", "no folder for the run; give --out DIR");
  }
  session.out = options.out;
  session.teacher = open_teacher(session.recipe, context);
  session.launch = train::read_launch();
  if (session.launch.rank > 0) {  // what process 0 writes and says is enough
    train::run_session(session, {});
    return 0;
  }
  if (settled) context.say(precision_words(session.recipe.model.precision));
  DevEval evaluation(session.recipe.evaluate, session.data, session.recipe.train.threads);
  auto events = make_events(context);
  if (!evaluation.empty()) {
    evaluation.set_progress(events.progress);
    events.evaluate = [&](Encoder& encoder) {
      auto scores = evaluation(encoder);
      context.end_progress();
      return scores;
    };
  }
  events.finish = [&](const train::SessionResult& result, const fs::path& folder) {
    write_file(folder / "README.md", model_card(result, record, options.recipe));
    write_file(session.out / "report.html",
               training_report(result, record, session.out / "log.jsonl"));
    context.write_record(session.out / "akin_train", {{"recipe", record}});
  };
  const auto result = train::run_session(session, events);
  context.end_progress();
  print_result(result, context);
  return 0;
}

}  // namespace akin::cli
