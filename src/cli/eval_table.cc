#include "cli/eval_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "cli/terminal.h"

namespace akin::cli {
namespace {

using eval::TaskRun;

struct Column {
  std::string experiment, title;
};

std::vector<Column> columns_of(std::span<const TaskRun> runs, size_t full_dims) {
  std::vector<Column> out;
  for (const auto& run : runs) {
    const auto same = [&](const Column& column) { return column.experiment == run.experiment; };
    if (std::any_of(out.begin(), out.end(), same)) continue;
    out.push_back({run.experiment,
                   run.dims == full_dims ? run.dtype : fmt::format("{} {}d", run.dtype, run.dims)});
  }
  return out;
}

// Means over the tasks of a column; those of the tasks that have a score. None, none.
struct Means {
  double sum = 0;
  size_t tasks = 0;
  std::map<std::string, std::pair<double, size_t>> types;
  void add(const TaskRun& run) {
    if (!run.score) return;
    sum += *run.score;
    ++tasks;
    auto& type = types[run.type];
    type.first += *run.score;
    ++type.second;
  }
  double by_task() const { return sum / static_cast<double>(tasks); }
  double by_type() const {
    double total = 0;
    for (const auto& [name, type] : types) total += type.first / static_cast<double>(type.second);
    return total / static_cast<double>(types.size());
  }
};

std::string cell(const TaskRun* run) {
  return run == nullptr || !run->score ? "-" : fmt::format("{:.2f}", 100 * *run->score);
}

std::string interval_cell(const TaskRun& run) {
  if (!run.score || !run.interval) return "";
  return fmt::format("{:.1f} to {:.1f}", 100 * run.interval->low, 100 * run.interval->high);
}

std::string row_text(const std::vector<std::string>& cells, const std::vector<size_t>& widths,
                     size_t left) {
  std::string out;
  for (size_t i = 0; i < cells.size(); ++i) {
    const size_t width = display_width(cells[i]);
    const std::string pad(widths[i] > width ? widths[i] - width : 0, ' ');
    if (i > 0) out += "  ";
    out += i < left ? cells[i] + pad : pad + cells[i];
  }
  out.erase(out.find_last_not_of(' ') + 1);
  return out + "\n";
}

std::string render(const std::vector<std::vector<std::string>>& rows, size_t left) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(row[i]));
    }
  }
  std::string out;
  for (const auto& row : rows) out += row_text(row, widths, left);
  return out;
}

nlohmann::ordered_json number_or_null(const std::optional<double>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

}  // namespace

std::string eval_table(std::span<const TaskRun> runs, size_t full_dims) {
  const auto columns = columns_of(runs, full_dims);
  std::vector<std::vector<std::string>> rows = {{"task", "type", "score"}};
  for (const auto& column : columns) rows[0].push_back(column.title);
  if (columns.size() == 1) rows[0].emplace_back("95 %");
  std::vector<std::string> order;
  std::map<std::string, std::map<std::string, const TaskRun*>> by_task;
  std::map<std::string, Means> means;
  for (const auto& run : runs) {
    auto& row = by_task[run.task];
    if (row.empty()) order.push_back(run.task);
    if (!row.emplace(run.experiment, &run).second) continue;
    means[run.experiment].add(run);
  }
  for (const auto& task : order) {
    const auto& row = by_task[task];
    const TaskRun& first = *row.begin()->second;
    auto& cells = rows.emplace_back(std::vector{task, first.type, first.main_score});
    for (const auto& column : columns) {
      const auto it = row.find(column.experiment);
      cells.push_back(cell(it == row.end() ? nullptr : it->second));
    }
    if (columns.size() == 1) cells.push_back(interval_cell(first));
  }
  if (order.size() > 1) {
    std::vector<std::string> by_task_row = {"mean over tasks", "", ""};
    std::vector<std::string> by_type_row = {"mean over types", "", ""};
    for (const auto& column : columns) {
      const Means& mean = means[column.experiment];
      const std::string note =
          mean.tasks == order.size() ? "" : fmt::format(" ({} of {})", mean.tasks, order.size());
      const bool none = mean.tasks == 0;
      by_task_row.push_back(none ? "-" : fmt::format("{:.2f}{}", 100 * mean.by_task(), note));
      by_type_row.push_back(none ? "-" : fmt::format("{:.2f}{}", 100 * mean.by_type(), note));
    }
    rows.push_back(std::move(by_task_row));
    rows.push_back(std::move(by_type_row));
  }
  return render(rows, 3);
}

std::string result_words(const TaskRun& run) {
  if (!run.score) return run.error;
  std::string out = fmt::format("{} {:.2f}", run.main_score, 100 * *run.score);
  if (run.interval) {
    out += fmt::format(" ({:.1f} to {:.1f})", 100 * run.interval->low, 100 * run.interval->high);
  }
  return out + (run.resumed ? ", on file" : fmt::format(" in {:.1f} s", run.seconds));
}

nlohmann::ordered_json eval_json(std::span<const TaskRun> runs) {
  auto out = nlohmann::ordered_json::array();
  for (const auto& run : runs) {
    nlohmann::ordered_json row = {
        {"task", run.task},   {"type", run.type}, {"main_score", run.main_score},
        {"dtype", run.dtype}, {"dims", run.dims}, {"score", number_or_null(run.score)}};
    if (run.interval) row["interval"] = {run.interval->low, run.interval->high};
    row["resumed"] = run.resumed;
    row["seconds"] = run.seconds;
    row["file"] = run.path.string();
    if (!run.error.empty()) row["error"] = run.error;
    out.push_back(std::move(row));
  }
  return out;
}

std::string task_list(std::span<const eval::TaskSpec> tasks) {
  std::vector<std::vector<std::string>> rows = {{"task", "type", "score", "splits", "dataset"}};
  for (const auto& task : tasks) {
    rows.push_back({task.name, task.type, task.main_score,
                    fmt::format("{}", fmt::join(task.splits, ",")),
                    task.dataset.empty()
                        ? fmt::format("{}", task.subtasks.empty()
                                                ? "(generated)"
                                                : fmt::format("({} tasks)", task.subtasks.size()))
                        : task.dataset});
  }
  return render(rows, 5);
}

nlohmann::ordered_json task_list_json(std::span<const eval::TaskSpec> tasks) {
  auto out = nlohmann::ordered_json::array();
  for (const auto& task : tasks) {
    out.push_back({{"task", task.name},
                   {"type", task.type},
                   {"main_score", task.main_score},
                   {"splits", task.splits},
                   {"dataset", task.dataset},
                   {"revision", task.revision}});
  }
  return out;
}

}  // namespace akin::cli
