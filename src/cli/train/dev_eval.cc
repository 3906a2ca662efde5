#include "cli/train/dev_eval.h"

#include <algorithm>

#include "base/error.h"
#include "eval/cached_encoder.h"
#include "eval/task.h"
#include "eval/task_data.h"
#include "eval/task_file.h"

namespace akin::cli {
namespace {

std::vector<eval::TaskSpec> choose(const std::vector<eval::TaskSpec>& all,
                                   const std::vector<std::string>& names,
                                   const std::string& where) {
  std::vector<eval::TaskSpec> out;
  for (const auto& name : names) {
    const auto it =
        std::find_if(all.begin(), all.end(), [&](const auto& task) { return task.name == name; });
    if (it == all.end()) {
      std::vector<std::string_view> known;
      for (const auto& task : all) known.push_back(task.name);
      throw_error(ErrorKind::not_found, where, "has no task {}{}", quote(name),
                  did_you_mean(name, known));
    }
    out.push_back(*it);
    if (out.back().main_score.empty()) {
      out.back().main_score = eval::make_task(it->type)->default_main_score();
    }
  }
  return out;
}

std::optional<double> mean(const std::map<std::string, double>& scores,
                           const std::vector<eval::TaskSpec>& tasks) {
  if (tasks.empty()) return std::nullopt;
  double sum = 0;
  for (const auto& task : tasks) sum += scores.at(task.name);
  return sum / static_cast<double>(tasks.size());
}

}  // namespace

DevEval::DevEval(const train::EvaluateTable& table, const std::filesystem::path& data,
                 size_t threads)
    : data_(data / table.data), pool_(threads == 0 ? usable_cpus() : threads) {
  if (table.tasks.empty() && table.general.empty()) return;
  if (table.tasks_file.empty()) {
    throw_error(ErrorKind::usage, "evaluate",
                "tasks are named, but no tasks_file that declares them");
  }
  const auto all = eval::read_task_file(table.tasks_file);
  main_ = choose(all, table.tasks, table.tasks_file);
  general_ = choose(all, table.general, table.tasks_file);
  for (const auto* tasks : {&main_, &general_}) {
    for (const auto& task : *tasks) const eval::TaskData there(task, data_);
  }
}

double DevEval::score(const eval::TaskSpec& spec, Encoder& encoder) {
  const eval::TaskData data(spec, data_);
  eval::CachedEncoder cached(encoder, nullptr);
  const std::vector<size_t> dims = {encoder.info().dim};
  eval::TaskContext context{spec, data, cached, pool_, dims, progress_};
  const auto task = eval::make_task(spec.type);
  double sum = 0;
  size_t slices = 0;
  for (const auto& split : spec.splits) {
    for (const auto& subset : eval::resolved_subsets(spec)) {
      const auto scores = task->evaluate({split, subset}, context);
      const auto found = scores.at(0).metrics.find(spec.main_score);
      if (found == scores[0].metrics.end() || !found->is_number()) {
        throw_error(ErrorKind::usage, spec.where, "task {} has no score {}", spec.name,
                    quote(spec.main_score));
      }
      sum += found->get<double>();
      ++slices;
    }
  }
  return sum / static_cast<double>(slices);
}

train::DevScores DevEval::operator()(Encoder& encoder) {
  train::DevScores out;
  for (const auto* tasks : {&main_, &general_}) {
    for (const auto& task : *tasks) {
      if (!out.tasks.contains(task.name)) out.tasks[task.name] = score(task, encoder);
    }
  }
  out.main = mean(out.tasks, main_);
  out.general = mean(out.tasks, general_);
  return out;
}

}  // namespace akin::cli
