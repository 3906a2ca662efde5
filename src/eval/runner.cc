#include "eval/runner.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <set>

#include "base/error.h"
#include "base/leftovers.h"
#include "eval/benchmarks.h"
#include "eval/item_interval.h"
#include "eval/task_data.h"
#include "store/item_scores.h"

namespace akin::eval {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kMtebVersion = "2.20.0";  // whose protocol this is

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// The mean of main_score over splits and subsets; empty when one of them is no number.
std::optional<double> mean_score(const store::TaskResult& result) {
  double sum = 0;
  size_t count = 0;
  for (const auto& split : result.scores) {
    for (const auto& entry : split.entries) {
      const auto score = store::main_score(entry);
      if (!score) return std::nullopt;
      sum += store::python_round(*score, 6);  // as it is on file
      ++count;
    }
  }
  return count == 0 ? std::nullopt : std::optional<double>(sum / static_cast<double>(count));
}

// A finished entry: the metrics, then what every entry ends in.
Json finish_entry(Json metrics, const TaskSpec& spec, const SubsetSpec& subset) {
  const auto main = metrics.find(spec.main_score);
  if (main == metrics.end() || !main->is_number()) {
    std::vector<std::string> known;
    for (const auto& [name, value] : metrics.items()) {
      if (value.is_number()) known.push_back(name);
    }
    throw_error(ErrorKind::usage, spec.where,
                "main_score {} is not a score of {} tasks; they have {}", quote(spec.main_score),
                spec.type, fmt::join(known, ", "));
  }
  const double value = main->get<double>();
  metrics["main_score"] = value;
  metrics["hf_subset"] = subset.name;
  metrics["languages"] = subset.languages;
  metrics["mteb_version"] = kMtebVersion;
  return metrics;
}

void add_counts(CachedEncoder::Counts& to, const CachedEncoder::Counts& from) {
  to.texts += from.texts;
  to.encoded += from.encoded;
  to.cached += from.cached;
  to.truncated += from.truncated;
  to.tokens += from.tokens;
  to.seconds += from.seconds;
}

// Errors that stop the whole run, not one task.
bool ends_run(ErrorKind kind) {
  return kind == ErrorKind::interrupted || kind == ErrorKind::internal || kind == ErrorKind::device;
}

// The means of every number that all of the entries have.
Json mean_metrics(const std::vector<Json>& entries) {
  Json out = Json::object();
  for (const auto& [name, value] : entries.at(0).items()) {
    double sum = 0;
    bool all = name != "main_score";
    for (const auto& entry : entries) {
      const auto found = entry.find(name);
      all = all && found != entry.end() && found->is_number();
      if (all) sum += found->get<double>();
    }
    if (all) out[name] = sum / static_cast<double>(entries.size());
  }
  return out;
}

// What a score that is no number means, for the message.
std::string no_score(const TaskSpec& spec, const store::TaskResult& result) {
  for (const auto& split : result.scores) {
    for (const auto& entry : split.entries) {
      if (store::main_score(entry)) continue;
      return fmt::format(
          "{} of split \"{}\", subset \"{}\" is not a number: all similarities or all of the "
          "dataset's scores are equal; no result is written",
          spec.main_score, split.split, store::subset_name(entry));
    }
  }
  return "no split was scored";
}

}  // namespace

// One length of vector of one task, and its result.
struct Runner::Variant {
  size_t dims = 0;
  std::string experiment;
  fs::path folder;
  store::TaskResult result;
  std::vector<store::ItemScores> items;
  Json data;  // TaskData::hashes(); of a mean: those of each part by its name
  bool resumed = false;
  double seconds = 0;
  std::string error;
};

Runner::Runner(std::vector<RunModel> models, RunOptions options, ThreadPool& pool)
    : models_(std::move(models)), options_(std::move(options)), pool_(pool) {
  AKIN_CHECK(!models_.empty());
  const size_t full = models_[0].encoder->dim();
  if (options_.dims.empty()) options_.dims = {full};
  std::set<size_t> seen;
  for (const size_t dims : options_.dims) {
    if (dims == 0 || dims > full) {
      throw_error(ErrorKind::usage, "--dims", "{} asked, the model's vectors have {}", dims, full);
    }
    if (!seen.insert(dims).second) {
      throw_error(ErrorKind::usage, "--dims", "{} is there twice", dims);
    }
  }
  if (options_.revision.empty()) options_.revision = models_[0].encoder->info().fingerprint;
}

fs::path Runner::folder(const std::string& experiment) const {
  return store::result_folder(options_.out, options_.model_name, options_.revision, experiment);
}

std::vector<Runner::Variant> Runner::variants(const RunModel& model) const {
  std::vector<Variant> out;
  for (const size_t dims : options_.dims) {
    Variant& variant = out.emplace_back();
    variant.dims = dims;
    std::vector<std::string> parts;
    if (model.dtype != "f32") parts.push_back(model.dtype);
    if (dims != model.encoder->dim()) parts.push_back(fmt::format("dims-{}", dims));
    variant.experiment = fmt::format("{}", fmt::join(parts, "-"));
    variant.folder = folder(variant.experiment);
  }
  return out;
}

Json Runner::facts(const TaskSpec& spec, const RunModel& model, size_t dims) const {
  const EncoderInfo& info = model.encoder->info();
  Json prompts = Json::object();
  const std::pair<const char*, TextSide> sides[] = {
      {"text", TextSide::none}, {"query", TextSide::query}, {"document", TextSide::document}};
  Json adapters = Json::object();
  for (const auto& [name, side] : sides) {
    const auto choice = choose_prompt(info, spec, side);
    if (!choice.prompt.empty()) prompts[name] = choice.prompt;
    if (!choice.adapter.empty()) adapters[name] = choice.adapter;
  }
  Json out = {{"task_type", spec.type},
              {"spec", spec_hash(spec)},
              {"fingerprint", info.fingerprint},
              {"dtype", model.dtype},
              {"dims", dims},
              {"max_tokens", info.max_tokens},
              {"pooling", info.pooling},
              {"similarity", info.similarity},
              {"normalizes", info.normalizes},
              {"parameters", info.parameters}};
  if (!prompts.empty()) out["prompts"] = std::move(prompts);
  if (!adapters.empty()) out["adapters"] = std::move(adapters);
  for (const auto& name : spec.subtasks) out["parts"].push_back(spec_hash(subtask(spec, name)));
  return out;
}

bool Runner::load(const TaskSpec& spec, const RunModel& model, Variant& variant) {
  const fs::path path = variant.folder / (spec.name + ".json");
  std::error_code error;
  if (!fs::exists(path, error)) return false;
  try {
    variant.result = store::read_task_result(path);
    variant.items = store::read_item_scores(variant.folder, spec.name);
  } catch (const Error& unreadable) {
    if (unreadable.kind() != ErrorKind::bad_format) throw;
    return false;
  }
  const auto akin = variant.result.extra.find("akin");
  if (akin == variant.result.extra.end() || !akin->is_object()) return false;
  Json on_file = *akin;
  variant.data = on_file.value("data", Json());
  on_file.erase("data");
  on_file.erase("version");  // which akin wrote it changes no score
  return on_file == facts(spec, model, variant.dims) && mean_score(variant.result).has_value() &&
         same_data(spec, variant.data);
}

// Whether the dataset holds what a result on file was computed from. One that is not here any more
// contradicts nothing.
bool Runner::same_data(const TaskSpec& spec, const Json& on_file) {
  if (const auto known = held_.find(spec.name); known != held_.end() && known->second == on_file) {
    return true;  // of another precision or length
  }
  try {
    if (spec.subtasks.empty()) {
      if (spec.dataset.empty()) return true;
      const bool holds = TaskData(spec, options_.data).holds(on_file.get<TaskData::FileHashes>());
      if (holds) held_[spec.name] = on_file;
      return holds;
    }
    return std::all_of(spec.subtasks.begin(), spec.subtasks.end(), [&](const auto& name) {
      return same_data(subtask(spec, name), on_file.at(name));
    });
  } catch (const Json::exception&) {
    return false;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found) throw;
    return true;
  }
}

void Runner::save(const TaskSpec& spec, const RunModel& model, Variant& variant) const {
  fs::create_directories(variant.folder);
  remove_leftovers(variant.folder / "model_meta.json");
  remove_leftovers(variant.folder / (spec.name + ".json"));
  const fs::path items_path = store::item_scores_path(variant.folder, spec.name);
  remove_leftovers(items_path);
  write_meta(model, variant);
  std::vector<store::ItemScores> items = variant.items;
  if (!items.empty()) store::write_item_scores(variant.folder, spec.name, items);
  variant.result.extra["akin"] = facts(spec, model, variant.dims);
  variant.result.extra["akin"]["version"] = AKIN_VERSION;
  if (!variant.data.empty()) variant.result.extra["akin"]["data"] = variant.data;
  store::write_task_result(variant.folder / (spec.name + ".json"), variant.result);
}

void Runner::write_meta(const RunModel& model, const Variant& variant) const {
  const fs::path path = variant.folder / "model_meta.json";
  try {
    store::read_model_meta(path);
    return;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found && error.kind() != ErrorKind::bad_format) throw;
  }
  const EncoderInfo& info = model.encoder->info();
  store::ModelMeta meta;
  meta.name = options_.model_name;
  meta.revision = options_.revision;
  meta.n_parameters = info.parameters;
  meta.max_tokens = info.max_tokens == 0 ? std::numeric_limits<double>::infinity()
                                         : static_cast<double>(info.max_tokens);
  meta.embed_dim = variant.dims;
  meta.similarity_fn_name = info.similarity;
  meta.framework = {"akin"};
  if (!options_.training_datasets.empty()) {
    meta.all["training_datasets"] = options_.training_datasets;
  }
  meta.use_instructions = !info.prompts.empty();
  store::write_model_meta(path, meta);
}

TaskRun Runner::describe(const TaskSpec& spec, const RunModel& model, const Variant& variant) {
  TaskRun out;
  out.task = spec.name;
  out.type = spec.type;
  out.main_score = spec.main_score;
  out.experiment = variant.experiment;
  out.dtype = model.dtype;
  out.dims = variant.dims;
  out.path = variant.folder / (spec.name + ".json");
  out.error = variant.error;
  if (!out.error.empty()) return out;
  out.score = mean_score(variant.result);
  if (!variant.items.empty() && variant.items.size() == variant.result.entries()) {
    out.interval = item_interval(variant.items);
  }
  out.resumed = variant.resumed;
  out.seconds = variant.seconds;
  return out;
}

void Runner::evaluate(const TaskSpec& spec, const RunModel& model,
                      std::span<Variant* const> missing, const RunEvents& events) {
  const TaskData data(spec, options_.data);
  std::vector<size_t> dims;
  for (auto* variant : missing) {
    dims.push_back(variant->dims);
    variant->result = {};
    variant->items.clear();
    variant->result.task_name = spec.name;
    variant->result.mteb_version = kMtebVersion;
    variant->result.dataset_revision = data.revision();
  }
  const auto task = make_task(spec.type);
  TaskContext context{spec, data, *model.encoder, pool_, dims, events.progress};
  for (const auto& split : spec.splits) {
    for (auto* variant : missing) variant->result.scores.push_back({split, {}});
    for (const auto& subset : resolved_subsets(spec)) {
      auto scores = task->evaluate({split, subset}, context);
      AKIN_CHECK(scores.size() == missing.size());
      for (size_t i = 0; i < missing.size(); ++i) {
        missing[i]->result.scores.back().entries.push_back(
            finish_entry(std::move(scores[i].metrics), spec, subset));
        if (!scores[i].items) continue;
        scores[i].items->split = split;
        scores[i].items->subset = subset.name;
        scores[i].items->metric = spec.main_score;
        missing[i]->items.push_back(std::move(*scores[i].items));
      }
    }
  }
  for (auto* variant : missing) variant->data = data.hashes();
}

// The task of this run or declared beside it with that name, else the one that is built in: for
// that one, settings that were given to the mean hold.
TaskSpec Runner::subtask(const TaskSpec& spec, const std::string& name) const {
  const TaskSpec* own = nullptr;
  for (const auto* known : {&options_.declared, &tasks_}) {  // those of the run win
    for (const auto& task : *known) own = task.name == name ? &task : own;
  }
  const bool given = own != nullptr;
  TaskSpec part = given ? *own : builtin_task(name);
  if (!given) inherit_settings(part, spec);
  if (!part.subtasks.empty()) {
    throw_error(ErrorKind::usage, spec.where, "subtask {} has subtasks itself", quote(name));
  }
  if (part.main_score.empty()) part.main_score = make_task(part.type)->default_main_score();
  return part;
}

void Runner::average_subtasks(const TaskSpec& spec, const RunModel& model,
                              std::span<Variant* const> missing, const RunEvents& events) {
  std::vector<std::vector<Variant>> parts;
  for (const auto& name : spec.subtasks) {
    const TaskSpec part = subtask(spec, name);
    parts.push_back(run_task(part, model, events));
    for (const auto& variant : parts.back()) {
      if (!variant.error.empty()) throw_error(ErrorKind::not_found, name, "{}", variant.error);
    }
  }
  for (auto* variant : missing) {
    std::vector<Json> means;  // of each part over its splits and subsets
    variant->data = Json::object();
    for (const auto& part : parts) {
      for (const auto& other : part) {
        if (other.dims != variant->dims) continue;
        std::vector<Json> entries;
        for (const auto& split : other.result.scores) {
          entries.insert(entries.end(), split.entries.begin(), split.entries.end());
        }
        means.push_back(mean_metrics(entries));
        variant->data[other.result.task_name] = other.data;
      }
    }
    variant->result = {};
    variant->items.clear();
    variant->result.task_name = spec.name;
    variant->result.mteb_version = kMtebVersion;
    variant->result.dataset_revision = spec.revision.empty() ? "1" : spec.revision;
    variant->result.scores.push_back(
        {spec.splits.at(0),
         {finish_entry(mean_metrics(means), spec, resolved_subsets(spec).at(0))}});
  }
}

std::vector<Runner::Variant> Runner::run_task(const TaskSpec& spec, const RunModel& model,
                                              const RunEvents& events) {
  auto out = variants(model);
  try {
    std::vector<Variant*> missing;
    for (auto& variant : out) {
      variant.resumed = options_.resume && load(spec, model, variant);
      if (!variant.resumed) missing.push_back(&variant);
    }
    if (missing.empty()) return out;
    const auto start = std::chrono::steady_clock::now();
    if (spec.subtasks.empty()) {
      evaluate(spec, model, missing, events);
    } else {
      average_subtasks(spec, model, missing, events);
    }
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    for (auto* variant : missing) {
      variant->seconds = spent.count();
      variant->result.evaluation_time = spent.count();
      variant->result.date = now();
      if (mean_score(variant->result)) {
        save(spec, model, *variant);
      } else {
        variant->error = no_score(spec, variant->result);
      }
    }
  } catch (const Error& error) {
    if (ends_run(error.kind())) throw;
    for (auto& variant : out) {
      if (!variant.resumed) variant.error = error.what();
    }
  }
  add_counts(counts_, model.encoder->take_counts());
  return out;
}

std::vector<TaskRun> Runner::run(std::span<const TaskSpec> tasks, const RunEvents& events) {
  std::vector<TaskRun> out;
  tasks_.assign(tasks.begin(), tasks.end());
  for (auto& task : tasks_) {
    if (task.main_score.empty()) task.main_score = make_task(task.type)->default_main_score();
  }
  for (size_t i = 0; i < tasks_.size(); ++i) {
    const TaskSpec spec = tasks_[i];
    if (events.on_task) events.on_task(spec, i + 1, tasks_.size());
    for (const auto& model : models_) {
      check_interrupted();
      for (const auto& variant : run_task(spec, model, events)) {
        out.push_back(describe(spec, model, variant));
        if (events.on_result) events.on_result(out.back());
      }
    }
  }
  return out;
}

}  // namespace akin::eval
