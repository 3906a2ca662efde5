// akin fetch: downloads a model into the Hugging Face cache, where every tool finds it.
#include <fmt/format.h>

#include "base/error.h"
#include "cli/command.h"
#include "cli/load.h"
#include "cli/terminal.h"
#include "store/hub_fetch.h"

namespace akin::cli {
namespace {

struct FetchCommandOptions {
  std::vector<std::string> models;
  std::string revision = "main";
  bool dry_run = false;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+models=MODEL", models, "repositories: ORG/NAME, or ORG/NAME@REVISION");
    v("revision=NAME", revision, "branch, tag or commit, where the name has no @");
    v("dry-run", dry_run, "list the size in bytes and the name of each file, download nothing");
  }
};

constexpr CommandInfo kInfo = {"fetch", "download a model into the Hugging Face cache",
                               "Gets the files that a model needs, and no others, continues what "
                               "an earlier run began, and checks sizes and checksums. "
                               "HF_ENDPOINT, HF_TOKEN, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE "
                               "have their usual meaning. Prints the folder of the "
                               "snapshot. No other verb opens a connection.",
                               "akin fetch BAAI/bge-small-en-v1.5\n"
                               "HF_ENDPOINT=https://hf-mirror.com akin fetch moka-ai/m3e-base\n"
                               "akin fetch --dry-run --json intfloat/multilingual-e5-small"};

void print(const std::string& model, const store::FetchReport& report, bool dry_run,
           Context& context) {
  nlohmann::ordered_json sizes = nlohmann::ordered_json::array();  // null where the hub is silent
  for (const int64_t size : report.sizes) {
    if (size < 0) {
      sizes.push_back(nullptr);
    } else {
      sizes.push_back(size);
    }
  }
  if (context.json()) {
    context.print_json({{"model", model},
                        {"folder", report.folder.string()},
                        {"commit", report.commit},
                        {"files", report.files},
                        {"sizes", sizes},
                        {"reused", report.reused},
                        {"bytes_downloaded", report.bytes_downloaded},
                        {"bytes_total", report.bytes_total}});
  } else if (dry_run) {
    for (size_t i = 0; i < report.files.size(); ++i) {
      const int64_t size = report.sizes[i];
      context.print("{}\t{}\n", size < 0 ? "?" : std::to_string(size), printable(report.files[i]));
    }
  } else {
    context.print("{}\n", report.folder.string());
  }
  context.flush();
}

store::FetchReport fetch_one(const std::string& model, const store::HubEnv& env,
                             const store::FetchOptions& options) {
  try {
    return store::fetch_model(model, env, options);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::interrupted) throw;
    throw Error(
        ErrorKind::interrupted,
        "interrupted; what was downloaded is kept, and the same command goes on from there");
  }
}

int run(FetchCommandOptions& options, Context& context) {
  if (options.models.empty())
    throw_error(ErrorKind::usage, "akin fetch", "name a repository: akin fetch ORG/NAME");
  const auto env = store::hub_env();
  for (const auto& model : options.models) {
    const size_t at = model.find('@');
    store::FetchOptions fetch;
    fetch.revision = at == std::string::npos ? options.revision : model.substr(at + 1);
    fetch.dry_run = options.dry_run;
    fetch.progress = [&](const Progress& progress) { context.progress(progress); };
    const Stopwatch watch;
    const auto report = fetch_one(model.substr(0, at), env, fetch);
    context.end_progress();
    print(model, report, options.dry_run, context);
    if (options.dry_run) {
      context.say(fmt::format("{}: {} files, {}", model, report.files.size(),
                              size_words(report.bytes_total)));
      continue;
    }
    context.say(fmt::format("{}: {} files, {} there already, {} downloaded in {:.1f} s", model,
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
