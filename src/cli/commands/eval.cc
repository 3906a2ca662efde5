// akin eval: scores of a model on benchmark tasks, as the mteb package computes them.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "cli/calibrate.h"
#include "cli/command.h"
#include "cli/eval_table.h"
#include "cli/load.h"
#include "cli/terminal.h"
#include "engine/cpu_encoder.h"
#include "eval/benchmarks.h"
#include "eval/embedding_cache.h"
#include "eval/report_html.h"
#include "eval/runner.h"
#include "eval/task_data.h"
#include "eval/task_file.h"
#include "store/dataset_card.h"

namespace akin::cli {
namespace {

namespace fs = std::filesystem;

struct EvalOptions {
  ModelOptions model;
  std::string model_name;
  std::vector<std::string> tasks;
  std::string benchmark, tasks_file, data;
  std::vector<std::string> set;
  std::optional<std::string> out;
  std::vector<size_t> dims;
  std::vector<Precision> dtype;
  bool resume = true, no_cache = false;
  std::string cache, report, calibrate;
  eval::ThresholdGoal goal = eval::ThresholdGoal::f1;
  double target = 0.9;
  bool list = false, dry_run = false;
  template <typename Visitor>
  void fields(Visitor& v) {
    model.model_field(v);
    v("model-name=NAME", model_name,
      "name of the model in the results, such as BAAI/bge-small-zh-v1.5; default: its own");
    v("tasks=NAME", tasks, "tasks to run: of the task file, or built in (see --list)");
    v("benchmark=NAME", benchmark,
      "all tasks of a benchmark: \"MTEB(eng, v1)\", \"MTEB(eng, v2)\" or \"MTEB(cmn, v1)\"");
    v("tasks-file=FILE", tasks_file,
      "TOML file that declares tasks on datasets of your own (docs/eval.md); without --tasks, all "
      "of it");
    v("data=DIR", data,
      "folder with the datasets, each in its folder NAME, ORG/NAME or ORG__NAME; without it the "
      "Hugging Face cache is searched");
    v("set=NAME=VALUE...", set, "change a setting of every task, such as allow_unknown_ids=true");
    v("out=DIR", out,
      "folder of the results, default akin-eval; what is there already is not computed again; with "
      "--calibrate, a file for akin similarity --calibrated, none by default");
    v("dims=N", dims,
      "score the first N numbers of each vector; several lengths in one pass (256,128), 0 = all");
    v("dtype=TYPE", dtype, "precisions side by side: f32, int8 or both (f32,int8); default f32");
    v("threads=N", model.threads, "threads to use; 0 = every CPU this process may run on");
    v("[no-]resume", resume, "use results that are on file");
    v("cache=DIR", cache, "folder of the embedding cache; default: cache below --out");
    v("no-cache", no_cache, "neither read nor write an embedding cache");
    v("report=FILE", report, "write one HTML page: scores beside published ones, and charts");
    v("calibrate=FILE", calibrate,
      "instead of tasks: fit score -> probability on labelled pairs (columns sentence1, sentence2 "
      "and label, which is 0 or 1), and print a threshold");
    v("goal=NAME", goal,
      "what the threshold of --calibrate is to have: the best f1 or accuracy, "
      "or at least --target of precision or recall");
    v("target=X", target, "precision or recall that --goal asks for");
    v("list", list, "list the tasks chosen, or all that are built in, and stop");
    v("dry-run", dry_run, "say which tasks would run and where their data is, embed nothing");
  }
};

constexpr CommandInfo kInfo = {
    "eval", "scores of a model on benchmark tasks, as mteb computes them",
    "Runs evaluation tasks with the protocol of mteb 2.20 and writes result files in its form, "
    "which its own tools can read: OUT/results/MODEL/REVISION/TASK.json. Other lengths of vector "
    "and precisions go below experiments/. A run that was stopped goes on where it was: finished "
    "tasks are read from their files, and vectors from the embedding cache.\n"
    "Datasets are read from --data or the Hugging Face cache (akin fetch --dataset fills it). A "
    "task whose "
    "data is missing or broken is named at the end, with what to do, and the exit code is 1; the "
    "others are run all the same.",
    "akin eval --model static-en-64 --tasks STSBenchmark,SciFact --data ./datasets\n"
    "akin eval --model ./bge-small-zh-v1.5 --benchmark \"MTEB(cmn, v1)\" --report report.html\n"
    "akin eval --model static-en-64 --tasks-file tasks.toml --data ./datasets --dims 64,32,16\n"
    "akin eval --model static-en-64 --calibrate pairs.tsv --goal precision --target 0.95 --out "
    "calibration.json"};

void apply_settings(const std::vector<std::string>& settings, std::vector<eval::TaskSpec>& tasks) {
  for (const auto& setting : settings) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos) {
      throw_error(ErrorKind::usage, "--set", "{} is not NAME=VALUE", quote(setting));
    }
    for (auto& task : tasks) {
      eval::set_setting(task, std::string_view(setting).substr(0, equals),
                        std::string_view(setting).substr(equals + 1), "--set");
    }
  }
}

// Those of the task file, with the settings of --set.
std::vector<eval::TaskSpec> declared_tasks(const EvalOptions& options) {
  std::vector<eval::TaskSpec> out;
  if (!options.tasks_file.empty()) out = eval::read_task_file(options.tasks_file);
  apply_settings(options.set, out);
  return out;
}

std::vector<eval::TaskSpec> choose_tasks(const EvalOptions& options,
                                         const std::vector<eval::TaskSpec>& file) {
  std::vector<eval::TaskSpec> out;
  if (!options.benchmark.empty()) out = eval::benchmark_tasks(options.benchmark);
  if (options.tasks.empty()) out.insert(out.end(), file.begin(), file.end());
  for (const auto& name : options.tasks) {
    const auto own =
        std::find_if(file.begin(), file.end(), [&](const auto& task) { return task.name == name; });
    out.push_back(own == file.end() ? eval::builtin_task(name) : *own);
  }
  if (out.empty() && options.list) {
    for (const auto name : eval::builtin_task_names()) out.push_back(eval::builtin_task(name));
  }
  if (out.empty()) {
    throw_error(ErrorKind::usage, "--tasks",
                "nothing to run; give --tasks, --benchmark or --tasks-file (--list shows what is "
                "built in)");
  }
  std::set<std::string> names;
  std::erase_if(out, [&](const auto& task) { return !names.insert(task.name).second; });
  apply_settings(options.set, out);
  for (auto& task : out) {
    if (task.main_score.empty()) {
      task.main_score = eval::make_task(task.type)->default_main_score();
    }
  }
  return out;
}

// The encoders of one run, one for each precision, and their caches.
struct Models {
  std::vector<std::unique_ptr<Encoder>> encoders;
  std::vector<std::unique_ptr<eval::EmbeddingCache>> caches;
  std::vector<std::unique_ptr<eval::CachedEncoder>> cached;
  std::vector<eval::RunModel> models;
  std::string name, revision;
  std::vector<std::string> training_datasets;
};

fs::path out_folder(const EvalOptions& options) { return options.out.value_or("akin-eval"); }

fs::path cache_folder(const EvalOptions& options) {
  return options.cache.empty() ? out_folder(options) / "cache" : fs::path(options.cache);
}

constexpr uint64_t kMostCard = uint64_t{1} << 24;

Models load_models(const EvalOptions& options) {
  Models out;
  std::vector<Precision> dtypes = options.dtype;
  if (dtypes.empty()) dtypes = {Precision::f32};
  const fs::path cache = cache_folder(options);
  for (const auto dtype : dtypes) {
    ModelOptions model = options.model;
    model.dtype = dtype;
    out.encoders.push_back(load_encoder(model));
    Encoder& encoder = *out.encoders.back();
    const EncoderInfo& info = encoder.info();
    eval::EmbeddingCache* store = nullptr;
    if (!options.no_cache && !options.dry_run) {
      out.caches.push_back(
          std::make_unique<eval::EmbeddingCache>(cache, info.fingerprint, info.dim));
      store = out.caches.back().get();
    }
    out.cached.push_back(std::make_unique<eval::CachedEncoder>(encoder, store));
    out.models.push_back({out.cached.back().get(), std::string(precision_name(dtype))});
  }
  out.name = options.model_name;
  const fs::path folder = resolve_model_folder(options.model.model);
  const bool snapshot = folder.parent_path().filename() == "snapshots";
  if (out.name.empty()) {
    out.name = out.encoders[0]->info().name;
    if (snapshot) out.name = options.model.model.substr(0, options.model.model.find('@'));
  }
  const fs::path card = folder / "README.md";
  std::error_code ignored;
  if (fs::is_regular_file(card, ignored) && fs::file_size(card, ignored) <= kMostCard) {
    out.training_datasets = store::read_card_datasets(read_file(card));
  }
  if (snapshot) out.revision = folder.filename().string();
  return out;
}

eval::RunOptions run_options(const EvalOptions& options, const Models& models) {
  eval::RunOptions out;
  out.data = options.data;
  out.out = out_folder(options);
  out.model_name = models.name;
  out.revision = models.revision;
  out.training_datasets = models.training_datasets;
  out.resume = options.resume;
  out.dims = options.dims;
  for (auto& dims : out.dims) {
    if (dims == 0) dims = models.encoders[0]->info().dim;
  }
  return out;
}

void warn_of_dims(const EvalOptions& options, const EncoderInfo& info, Context& context) {
  const auto& declared = info.matryoshka_dims;
  for (const size_t dims : options.dims) {
    if (dims == 0 || dims >= info.dim ||
        std::find(declared.begin(), declared.end(), dims) != declared.end()) {
      continue;
    }
    context.warn(
        fmt::format("akin: warning: {} declares no Matryoshka length {}; its vectors are "
                    "cut all the same",
                    info.name, dims));
  }
}

int dry_run(const std::vector<eval::TaskSpec>& tasks, const EvalOptions& options,
            Context& context) {
  auto record = context.record();
  auto& list = record["tasks"] = nlohmann::ordered_json::array();
  int code = 0;
  for (const auto& task : tasks) {
    nlohmann::ordered_json row = {{"task", task.name}, {"type", task.type}};
    try {
      const eval::TaskData data(task, options.data);
      row["folder"] = data.folder().string();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::not_found) throw;
      row["error"] = error.what();
      code = 1;
    }
    if (!context.json()) {
      const bool found = row.contains("folder");
      const std::string folder = found ? row["folder"].get<std::string>() : "";
      context.print("{:<32}  {:<24}  {}\n", task.name, task.type,
                    !found           ? row["error"].get<std::string>()
                    : folder.empty() ? "generated"
                                     : folder);
    }
    list.push_back(std::move(row));
  }
  if (context.json()) context.print_json(record);
  return code;
}

// What the run was, and how fast: run_settings.jsonl beside the results, and the full record.
void write_settings(const eval::Runner& runner, const Models& models,
                    std::span<const eval::TaskRun> runs, size_t threads, const Context& context) {
  std::set<std::string> experiments;
  for (const auto& run : runs) {
    if (run.score) experiments.insert(run.experiment);
  }
  const auto counts = runner.counts();
  nlohmann::ordered_json facts = {{"fingerprint", models.encoders[0]->info().fingerprint},
                                  {"threads", threads}};
  const bool measured = counts.encoded > 0 && counts.seconds > 0 && models.models.size() == 1;
  if (measured) {
    facts["texts_per_second"] = static_cast<double>(counts.encoded) / counts.seconds;
    facts["tokens_per_second"] = static_cast<double>(counts.tokens) / counts.seconds;
  }
  for (const auto& experiment : experiments) {
    const fs::path path = runner.folder(experiment) / "run_settings.jsonl";
    std::error_code ignored;
    if (measured || !fs::exists(path, ignored)) write_file(path, facts.dump() + "\n");
  }
  if (!experiments.empty()) {
    context.write_record(runner.folder(*experiments.begin()) / "akin_eval", facts);
  }
}

void write_html(const std::string& path, const EvalOptions& options, const eval::Runner& runner,
                const std::vector<eval::TaskSpec>& tasks, std::span<const eval::TaskRun> runs) {
  std::set<std::string> experiments;
  for (const auto& run : runs) {
    if (run.score) experiments.insert(run.experiment);
  }
  std::vector<eval::RunResults> results;
  results.reserve(experiments.size());
  for (const auto& experiment : experiments) {
    results.push_back(eval::load_run(runner.folder(experiment).string()));
  }
  eval::ReportOptions report;
  report.title = fmt::format("Evaluation of {}", results.empty() ? "" : results[0].model);
  report.benchmark = eval::benchmark_name(options.benchmark);
  for (const auto& task : tasks) report.tasks.push_back(eval::counted_task(task));
  eval::write_report(path, results, report);
}

eval::RunEvents make_events(Context& context, std::string& label) {
  eval::RunEvents events;
  events.on_task = [&](const eval::TaskSpec& spec, size_t number, size_t count) {
    label = fmt::format("[{}/{}] {}", number, count, spec.name);
  };
  events.on_result = [&](const eval::TaskRun& run) {
    context.end_progress();
    const std::string place =
        run.experiment.empty() ? label : fmt::format("{} ({})", label, run.experiment);
    if (run.score) {
      context.say(fmt::format("{}: {}", place, result_words(run)));
    } else {
      context.warn(fmt::format("{}: error: {}", place, run.error));
    }
  };
  events.progress = [&](const Progress& progress) {
    const std::string what = fmt::format("{} {}", label, progress.what);
    context.progress({what, progress.done, progress.total, progress.unit});
  };
  return events;
}

void warn_of_damage(const Models& models, const EvalOptions& options, Context& context) {
  uint64_t damaged = 0;
  for (const auto& cache : models.caches) damaged += cache->damaged_blocks();
  if (damaged == 0) return;
  context.warn(fmt::format(
      "akin: warning: {} damaged blocks in the embedding cache {} were left out; their texts were "
      "embedded again",
      damaged, cache_folder(options).string()));
}

int run_tasks(const EvalOptions& options, const std::vector<eval::TaskSpec>& tasks,
              const std::vector<eval::TaskSpec>& declared, Context& context) {
  if (!options.report.empty()) check_output("--report", options.report);
  const Stopwatch watch;
  const Models models = load_models(options);
  warn_of_dims(options, models.encoders[0]->info(), context);
  if (options.dry_run) return dry_run(tasks, options, context);
  ThreadPool pool(options.model.threads == 0 ? usable_cpus() : options.model.threads);
  auto how = run_options(options, models);
  how.declared = declared;
  eval::Runner runner(models.models, how, pool);
  std::string label;
  std::vector<eval::TaskRun> runs;
  try {
    runs = runner.run(tasks, make_events(context, label));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::interrupted) throw;
    throw Error(ErrorKind::interrupted,
                fmt::format("interrupted; finished tasks are in {}, and the same command goes on "
                            "from there",
                            quote(out_folder(options).string())));
  }
  context.end_progress();
  write_settings(runner, models, runs, pool.size(), context);
  if (context.json()) {
    context.print_json({{"model", models.name},
                        {"folder", runner.folder("").string()},
                        {"results", eval_json(runs)}});
  } else {
    context.write(eval_table(runs, models.encoders[0]->info().dim));
  }
  const auto failed =
      std::count_if(runs.begin(), runs.end(), [](const auto& run) { return !run.score; });
  const auto counts = runner.counts();
  context.say(fmt::format(
      "{} scores{} in {:.1f} s; {} texts embedded in {:.1f} s, {} repeated or from the cache{}",
      runs.size() - static_cast<size_t>(failed),
      failed == 0 ? "" : fmt::format(", {} tasks without one,", failed), watch.seconds(),
      thousands(counts.encoded), counts.seconds, thousands(counts.cached),
      counts.truncated == 0
          ? ""
          : fmt::format(", {} cut to the model's length", thousands(counts.truncated))));
  warn_of_damage(models, options, context);
  if (!options.report.empty()) write_html(options.report, options, runner, tasks, runs);
  return failed == 0 ? 0 : 1;
}

// --calibrate is another work than scoring tasks: it takes one precision, one length, and nothing
// that is about tasks.
int run_calibrate(EvalOptions& options, Context& context) {
  const std::pair<const char*, bool> tasks_only[] = {{"--tasks", !options.tasks.empty()},
                                                     {"--benchmark", !options.benchmark.empty()},
                                                     {"--tasks-file", !options.tasks_file.empty()},
                                                     {"--data", !options.data.empty()},
                                                     {"--set", !options.set.empty()},
                                                     {"--report", !options.report.empty()},
                                                     {"--list", options.list},
                                                     {"--dry-run", options.dry_run}};
  for (const auto& [flag, given] : tasks_only) {
    if (given) throw_error(ErrorKind::usage, flag, "is for tasks, and --calibrate runs none");
  }
  if (options.dims.size() > 1) {
    throw_error(ErrorKind::usage, "--dims", "--calibrate takes one length, {} are asked for",
                options.dims.size());
  }
  if (options.dtype.size() > 1) {
    throw_error(ErrorKind::usage, "--dtype", "--calibrate takes one precision, {} are asked for",
                options.dtype.size());
  }
  if (!options.dtype.empty()) options.model.dtype = options.dtype[0];
  eval::CalibrationOptions calibration;
  calibration.goal = options.goal;
  calibration.target = options.target;
  const auto encoder = load_encoder(options.model);
  const size_t dim = encoder->info().dim;
  const size_t dims = options.dims.empty() || options.dims[0] == 0 ? dim : options.dims[0];
  if (dims > dim) {
    throw_error(ErrorKind::usage, "--dims", "{} asked, the model's vectors have {}", dims, dim);
  }
  warn_of_dims(options, encoder->info(), context);
  const std::string out = options.out.value_or("");
  if (!out.empty()) check_output("--out", out);
  run_calibration(options.calibrate, *encoder, dims, calibration, out, context);
  return 0;
}

int run(EvalOptions& options, Context& context) {
  if (!options.calibrate.empty()) return run_calibrate(options, context);
  if (options.goal != eval::ThresholdGoal::f1 || options.target != EvalOptions().target) {
    throw_error(ErrorKind::usage, "--goal", "and --target are for --calibrate, which is not given");
  }
  const auto declared = declared_tasks(options);
  const auto tasks = choose_tasks(options, declared);
  if (options.list) {
    if (context.json()) {
      context.print_json(task_list_json(tasks));
    } else {
      context.write(task_list(tasks));
    }
    return 0;
  }
  return run_tasks(options, tasks, declared, context);
}

}  // namespace

std::unique_ptr<Command> make_eval_command() {
  return std::make_unique<CommandOf<EvalOptions>>(kInfo, run);
}

}  // namespace akin::cli
