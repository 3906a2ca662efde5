#include "eval/run_results.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/error.h"
#include "base/file.h"
#include "eval/published.h"

namespace akin::eval {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kMeta = "model_meta.json", kSettings = "run_settings.jsonl",
                           kExperiments = "experiments", kPublished = "published:";
constexpr int kMaxDepth = 5;  // <root>/results/<model>/<revision>/experiments/<experiment>
constexpr size_t kMaxRuns = 10000;

bool is_task_file(const fs::directory_entry& entry) {
  return entry.is_regular_file() && entry.path().extension() == ".json" &&
         entry.path().filename() != kMeta &&
         !entry.path().filename().string().ends_with(".config.json");
}

bool is_run(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (is_task_file(entry)) return true;
  }
  return false;
}

void find_runs(const fs::path& folder, int depth, std::vector<fs::path>& out) {
  if (out.size() >= kMaxRuns) return;
  if (is_run(folder)) out.push_back(folder);
  if (depth == 0) return;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_directory() && entry.path().filename() != "items") {
      find_runs(entry.path(), depth - 1, out);
    }
  }
}

// run_settings.jsonl: one object a line, each for a task ("task"); what all tasks agree on belongs
// to the run, the rest is kept under the task's name.
Json read_settings(const fs::path& path) {
  Json common = Json::object(), tasks = Json::object();
  bool first = true;
  const std::string bytes = read_file(path, uint64_t{1} << 26);
  size_t begin = 0, number = 0;
  while (begin < bytes.size()) {
    const size_t end = std::min(bytes.find('\n', begin), bytes.size());
    const std::string line = bytes.substr(begin, end - begin);
    begin = end + 1;
    const std::string where = fmt::format("{}:{}", path.string(), ++number);
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    Json object = store::parse_python_json(line, where);
    if (!object.is_object()) throw_error(ErrorKind::bad_format, where, "expected an object");
    std::string task;
    if (const auto name = object.find("task"); name != object.end() && name->is_string()) {
      task = name->get<std::string>();
    }
    object.erase("task");
    if (first) {
      common = object;
      first = false;
    }
    for (auto it = common.begin(); it != common.end();) {
      const auto other = object.find(it.key());
      it = other == object.end() || *other != *it ? common.erase(it) : std::next(it);
    }
    if (!task.empty() && tasks.size() < 2000) tasks[task] = std::move(object);
  }
  for (auto& [task, settings] : tasks.items()) {
    for (const auto& [key, value] : common.items()) settings.erase(key);
  }
  if (!tasks.empty()) common["tasks"] = std::move(tasks);
  return common;
}

void name_from_folder(RunResults& run) {
  fs::path folder = fs::absolute(run.folder).lexically_normal();
  if (folder.filename().empty()) folder = folder.parent_path();
  if (folder.parent_path().filename() == kExperiments) {
    run.experiment = folder.filename().string();
    folder = folder.parent_path().parent_path();
  }
  run.revision = folder.filename().string();
  run.model = store::model_name_of_folder(folder.parent_path().filename().string());
}

RunResults read_run(const fs::path& folder) {
  RunResults run;
  run.folder = folder;
  name_from_folder(run);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (is_task_file(entry)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) run.tasks.push_back(store::read_task_result(file));
  // An experiment's folder need not repeat what the revision's folder says of the model.
  auto meta = folder / kMeta;
  if (!fs::exists(meta) && !run.experiment.empty()) {
    meta = folder.parent_path().parent_path() / kMeta;
  }
  if (fs::exists(meta)) {
    auto read = store::read_model_meta(meta);
    if (!read.name.empty()) run.model = read.name;
    if (!read.revision.empty()) run.revision = read.revision;
    run.meta = std::move(read.all);
  }
  if (fs::exists(folder / kSettings)) run.config = read_settings(folder / kSettings);
  collect_facts(run);
  return run;
}

double number(const Json& object, std::string_view key) {
  if (!object.is_object()) return 0;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return 0;
  const double value = found->get<double>();
  return std::isfinite(value) && value > 0 && value < 0x1p53 ? value : 0;
}

std::string word(const Json& object, std::string_view key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

void facts_from(RunFacts& facts, const Json& object, bool meta) {
  const auto fill = [&](auto& member, double value) {
    using T = std::decay_t<decltype(member)>;
    if (member == T{}) member = static_cast<T>(value);
  };
  fill(facts.dims, number(object, meta ? "embed_dim" : "dims"));
  fill(facts.max_tokens, number(object, "max_tokens"));
  fill(facts.parameters, number(object, "n_parameters"));
  fill(facts.parameters, number(object, "parameters"));
  fill(facts.texts_per_second, number(object, "texts_per_second"));
  fill(facts.tokens_per_second, number(object, "tokens_per_second"));
  if (facts.dtype.empty()) facts.dtype = word(object, "dtype");
  if (facts.fingerprint.empty()) facts.fingerprint = word(object, "fingerprint");
}

}  // namespace

const store::TaskResult* RunResults::find(std::string_view task) const {
  for (const auto& result : tasks) {
    if (result.task_name == task) return &result;
  }
  return nullptr;
}

std::string RunResults::label() const {
  if (published) return model + " (published)";
  if (!experiment.empty()) return fmt::format("{} ({})", model, experiment);
  return model;
}

void collect_facts(RunResults& run) {
  double texts = 0, tokens = 0, seconds = 0;
  for (const auto& result : run.tasks) {
    const auto akin = result.extra.find("akin");
    if (akin == result.extra.end() || !akin->is_object()) continue;
    facts_from(run.facts, *akin, false);
    if (const auto config = akin->find("config"); config != akin->end()) {
      facts_from(run.facts, *config, false);
    }
    const double spent = number(*akin, "encode_seconds");
    if (spent <= 0) continue;
    texts += number(*akin, "texts");
    tokens += number(*akin, "tokens");
    seconds += spent;
  }
  if (seconds > 0 && run.facts.texts_per_second <= 0) run.facts.texts_per_second = texts / seconds;
  if (seconds > 0 && run.facts.tokens_per_second <= 0) {
    run.facts.tokens_per_second = tokens / seconds;
  }
  facts_from(run.facts, run.config, false);
  facts_from(run.facts, run.meta, true);
}

std::vector<RunResults> load_runs(const fs::path& root) {
  if (!fs::exists(root)) {
    throw_error(ErrorKind::not_found, root.string(), "no such folder of results");
  }
  std::vector<fs::path> folders;
  find_runs(root, kMaxDepth, folders);
  if (folders.empty()) {
    throw_error(ErrorKind::not_found, root.string(),
                "no results below this folder; expected <model>/<revision>/<Task>.json, as akin "
                "eval and mteb write them");
  }
  std::vector<RunResults> out;
  out.reserve(folders.size());
  for (const auto& folder : folders) out.push_back(read_run(folder));
  std::sort(out.begin(), out.end(), [](const RunResults& a, const RunResults& b) {
    return std::tie(a.model, a.revision, a.experiment) <
           std::tie(b.model, b.revision, b.experiment);
  });
  return out;
}

RunResults load_run(const std::string& what) {
  if (what.starts_with(kPublished)) return published_run(what.substr(kPublished.size()));
  const fs::path path = what;
  if (fs::is_regular_file(path)) {
    RunResults run;
    run.folder = path.parent_path();
    name_from_folder(run);
    run.tasks.push_back(store::read_task_result(path));
    collect_facts(run);
    return run;
  }
  if (fs::is_directory(path) && is_run(path)) return read_run(path);
  if (!fs::exists(path) && !find_published_model(what).empty()) return published_run(what);
  std::vector<fs::path> folders;
  if (fs::exists(path)) find_runs(path, kMaxDepth, folders);
  // Experiments are asked for by their own folder.
  std::erase_if(folders, [](const fs::path& folder) {
    return folder.parent_path().filename() == kExperiments;
  });
  if (folders.size() > 1) {
    std::vector<std::string> names;
    for (size_t i = 0; i < std::min<size_t>(folders.size(), 8); ++i) {
      names.push_back(folders[i].string());
    }
    throw_error(ErrorKind::usage, what, "{} runs lie below this folder; name one of them: {}{}",
                folders.size(), fmt::join(names, ", "), folders.size() > 8 ? ", ..." : "");
  }
  if (folders.size() == 1) return read_run(folders[0]);
  throw_error(ErrorKind::not_found, what,
              "no results here; give a folder <model>/<revision> with <Task>.json files, one such "
              "file, or published:ORG/NAME");
}

}  // namespace akin::eval
