// akin fetch: downloads a model into the Hugging Face cache, where every tool finds it.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "cli/command.h"
#include "cli/load.h"
#include "cli/terminal.h"
#include "eval/benchmarks.h"
#include "eval/task_spec.h"
#include "store/hub_fetch.h"

namespace akin::cli {
namespace {

struct FetchCommandOptions {
  std::vector<std::string> repositories, include;
  std::string revision = "main", benchmark;
  bool dataset = false, dry_run = false;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+repositories=NAME", repositories, "repositories: ORG/NAME, or ORG/NAME@REVISION");
    v("revision=NAME", revision, "branch, tag or commit, where the name has no @");
    v("dataset", dataset, "the repositories are datasets: all their files of rows");
    v("include=GLOB", include, "of datasets: only files that match, such as en/*");
    v("benchmark=NAME", benchmark,
      "the datasets of a benchmark's tasks: \"MTEB(eng, v1)\", \"MTEB(eng, v2)\" or \"MTEB(cmn, "
      "v1)\"");
    v("dry-run", dry_run, "list the size in bytes and the name of each file, download nothing");
  }
};

constexpr CommandInfo kInfo = {
    "fetch", "download models and datasets into the Hugging Face cache",
    "Gets the files that a model needs, or those of a dataset that hold "
    "rows, and no others, continues what "
    "an earlier run began, and checks sizes and checksums. "
    "HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE "
    "have their usual meaning: offline it opens no connection and only looks "
    "whether the cache has it all. Prints the folder of the "
    "snapshot. No other verb opens a connection.",
    "akin fetch BAAI/bge-small-en-v1.5\n"
    "HF_ENDPOINT=https://hf-mirror.com akin fetch moka-ai/m3e-base\n"
    "akin fetch --dry-run --json intfloat/multilingual-e5-small\n"
    "akin fetch --dataset mteb/scifact\n"
    "akin fetch --benchmark \"MTEB(cmn, v1)\" --dry-run"};

struct Wanted {
  std::string name, revision;
};

// One dataset may serve several tasks.
void add_datasets(const eval::TaskSpec& task, std::vector<Wanted>& out) {
  for (const auto& part : task.subtasks) add_datasets(eval::builtin_task(part), out);
  const auto same = [&](const Wanted& other) {
    return other.name == task.dataset && other.revision == task.revision;
  };
  if (task.dataset.empty() || std::any_of(out.begin(), out.end(), same)) return;
  out.push_back({task.dataset, task.revision});
}

std::vector<Wanted> wanted(const FetchCommandOptions& options) {
  std::vector<Wanted> out;
  for (const auto& name : options.repositories) {
    const size_t at = name.find('@');
    out.push_back(
        {name.substr(0, at), at == std::string::npos ? options.revision : name.substr(at + 1)});
  }
  if (!options.benchmark.empty()) {
    if (!out.empty()) {
      throw_error(ErrorKind::usage, "--benchmark", "names its datasets itself; leave out {}",
                  out[0].name);
    }
    for (const auto& task : eval::benchmark_tasks(options.benchmark)) add_datasets(task, out);
  }
  if (out.empty()) {
    throw_error(ErrorKind::usage, "akin fetch", "name a repository: akin fetch ORG/NAME");
  }
  return out;
}

void print(const std::string& name, const store::FetchReport& report,
           const store::FetchOptions& fetch, Context& context) {
  nlohmann::ordered_json sizes = nlohmann::ordered_json::array();  // null where the hub is silent
  for (const int64_t size : report.sizes) {
    if (size < 0) {
      sizes.push_back(nullptr);
    } else {
      sizes.push_back(size);
    }
  }
  if (context.json()) {
    context.print_json({{fetch.kind == store::RepoKind::model ? "model" : "dataset", name},
                        {"folder", report.folder.string()},
                        {"commit", report.commit},
                        {"files", report.files},
                        {"sizes", sizes},
                        {"reused", report.reused},
                        {"bytes_downloaded", report.bytes_downloaded},
                        {"bytes_total", report.bytes_total}});
  } else if (fetch.dry_run) {
    for (size_t i = 0; i < report.files.size(); ++i) {
      const int64_t size = report.sizes[i];
      context.print("{}\t{}\n", size < 0 ? "?" : std::to_string(size), printable(report.files[i]));
    }
  } else {
    context.print("{}\n", report.folder.string());
  }
  context.flush();
}

store::FetchReport fetch_one(const std::string& name, const store::HubEnv& env,
                             const store::FetchOptions& options) {
  try {
    return store::fetch_repo(name, env, options);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::interrupted) throw;
    throw Error(
        ErrorKind::interrupted,
        "interrupted; what was downloaded is kept, and the same command goes on from there");
  }
}

int run(FetchCommandOptions& options, Context& context) {
  const bool datasets = options.dataset || !options.benchmark.empty();
  if (!datasets && !options.include.empty()) {
    throw_error(ErrorKind::usage, "--include", "is for datasets; give --dataset");
  }
  const auto env = store::hub_env();
  for (const auto& [name, revision] : wanted(options)) {
    store::FetchOptions fetch;
    fetch.kind = datasets ? store::RepoKind::dataset : store::RepoKind::model;
    fetch.include = options.include;
    fetch.revision = revision;
    fetch.dry_run = options.dry_run;
    fetch.progress = [&](const Progress& progress) { context.progress(progress); };
    const Stopwatch watch;
    const auto report = fetch_one(name, env, fetch);
    context.end_progress();
    print(name, report, fetch, context);
    if (options.dry_run) {
      context.say(fmt::format("{}: {} files, {}", name, report.files.size(),
                              size_words(report.bytes_total)));
      continue;
    }
    context.say(fmt::format("{}: {} files, {} there already, {} downloaded in {:.1f} s", name,
                            report.files.size(), report.reused, size_words(report.bytes_downloaded),
                            watch.seconds()));
  }
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_fetch_command() {
  return std::make_unique<CommandOf<FetchCommandOptions>>(kInfo, run);
}

}  // namespace akin::cli
