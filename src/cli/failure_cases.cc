#include "cli/failure_cases.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/mine_inputs.h"
#include "cli/scratch_folder.h"
#include "cli/terminal.h"
#include "mine/failure_case.h"

namespace akin::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kCheckRows = 2000;

uint64_t number(const Json& object, const char* key) { return object.at(key).get<uint64_t>(); }
std::string text(const Json& object, const char* key) { return object.at(key).get<std::string>(); }

void print_samples(const Json& report, Context& context) {
  for (const auto& found : report.at("cases")) {
    for (const auto& sample : found.at("samples")) {
      context.write(bold(fmt::format("{}  {}", fit(text(found, "case"), 12),
                                     clip(text(sample, "query"), 130)),
                         context.color()) +
                    "\n");
      context.print("  {}  {}\n", fit("positive", 24), clip(text(sample, "positive"), 120));
      for (const auto& negative : sample.at("negatives")) {
        context.print("  {}  {}\n", fit(text(negative, "kind"), 24),
                      clip(text(negative, "text"), 120));
      }
    }
  }
}

void print_table(const Json& report, Context& context) {
  context.write(bold(fmt::format("{}  {:>9}  {:>9}  {:>9}  {:>10}  how they were made",
                                 fit("case", 12), "rows", "lines", "held out", "negatives"),
                     context.color()) +
                "\n");
  for (const auto& found : report.at("cases")) {
    std::vector<std::string> kinds;
    for (const auto& [kind, count] : found.at("kinds").items()) {
      kinds.push_back(fmt::format("{} {}", kind, thousands(count.get<uint64_t>())));
    }
    context.print("{}  {:>9}  {:>9}  {:>9}  {:>10}  {}\n", fit(text(found, "case"), 12),
                  thousands(number(found, "rows")), thousands(number(found, "lines")),
                  thousands(number(found, "lines_held_out")), thousands(number(found, "negatives")),
                  fmt::join(kinds, ", "));
  }
}

void warn_empty_cases(const Json& report, Context& context) {
  for (const auto& found : report.at("cases")) {
    if (number(found, "lines") + number(found, "lines_held_out") > 0) continue;
    context.warn(fmt::format("akin: warning: none of {} rows shows the case {}",
                             thousands(number(report, "rows")), text(found, "case")));
  }
}

void print_report(const Json& report, Context& context) {
  if (context.json()) {
    context.print_json(report);
  } else {
    print_table(report, context);
  }
}

int check_rows(mine::FailureOptions& options, Context& context) {
  const ScratchFolder work(fs::temp_directory_path() / "akin-mine");
  options.work = work.path().string();
  options.out = (work.path() / "out.jsonl").string();
  options.eval_set.clear();
  options.input.max_rows = kCheckRows;
  const auto report =
      mine::make_failure_cases(options, [&](const Progress& now) { context.progress(now); });
  context.end_progress();
  if (!context.json()) print_samples(report, context);
  print_report(report, context);
  warn_of_bad_rows(report, context);
  context.say(fmt::format("of the first {} rows against {} documents; nothing was written",
                          thousands(number(report, "rows")),
                          thousands(number(report, "documents"))));
  return 0;
}

}  // namespace

std::string failure_case_list() {
  std::string out;
  for (const auto& info : mine::failure_case_infos()) {
    out += fmt::format("{}{} ({})", out.empty() ? "" : "; ", info.name, info.summary);
  }
  return out;
}

int run_failure_cases(mine::FailureOptions options, const std::string& report_path, bool check,
                      Context& context) {
  if (check) return check_rows(options, context);
  const std::string beside = options.out.empty() ? options.eval_set : options.out;
  const ScratchFolder work(fs::absolute(beside).lexically_normal().string() + ".work");
  options.work = work.path().string();
  const auto report =
      mine::make_failure_cases(options, [&](const Progress& now) { context.progress(now); });
  context.end_progress();
  const std::string path = report_path.empty() ? beside + ".report.json" : report_path;
  write_file(path, report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  if (!options.out.empty()) {
    context.write_record(options.out, {{"rows", report.at("rows")},
                                       {"rows_held_out", report.at("rows_held_out")},
                                       {"documents", report.at("documents")}});
  }
  warn_of_bad_rows(report, context);
  warn_empty_cases(report, context);
  print_report(report, context);
  if (context.json()) return 0;
  std::string places = options.out;
  if (!options.eval_set.empty()) {
    places += fmt::format("{}{}/tasks.toml", places.empty() ? "" : " and ", options.eval_set);
  }
  context.say(fmt::format("{} in {:.1f} s; report in {}", places,
                          report.at("seconds").get<double>(), path));
  return 0;
}

}  // namespace akin::cli
