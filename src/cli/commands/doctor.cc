// akin doctor: is this model folder sound, and does it still give the vectors on record.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "cli/command.h"
#include "cli/doctor_checks.h"
#include "cli/load.h"
#include "cli/terminal.h"
#include "engine/cpu_encoder.h"
#include "model/classification_head.h"

namespace akin::cli {
namespace {

struct DoctorOptions {
  std::vector<std::string> models;
  ModelOptions model;
  bool write_probe = false;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("+models=MODEL", models, "model folders or names, instead of --model");
    model.fields(v);
    v("write-probe", write_probe,
      "record the vectors of the probe texts in the folder, as akin_probe.json");
  }
};

constexpr CommandInfo kInfo = {
    "doctor", "check a model folder: files, weights, tokenizer, pooling, vectors on record",
    "Prints one line a check: ok, warn or fail, what was found and what to do; of several models, "
    "each under its name. Exit code 1 when anything fails.",
    "akin doctor ./bge-small-en\nakin doctor static-en-64 --json\nakin doctor ./my-model "
    "--write-probe"};

void print(const std::string& model, const Findings& findings, Context& context) {
  static constexpr std::string_view kWords[] = {"ok", "warn", "fail"};
  static constexpr std::string_view kColors[] = {"\x1b[32m", "\x1b[33m", "\x1b[31m"};
  for (const auto& finding : findings) {
    const auto at = static_cast<size_t>(finding.verdict);
    if (context.json()) {
      context.print_json({{"model", model},
                          {"verdict", kWords[at]},
                          {"check", finding.check},
                          {"message", finding.message},
                          {"fix", finding.fix}});
      continue;
    }
    const std::string word = context.color()
                                 ? fmt::format("{}{:<4}\x1b[0m", kColors[at], kWords[at])
                                 : fmt::format("{:<4}", kWords[at]);
    context.print("{}  {:<10}{}{}\n", word, finding.check, printable(finding.message),
                  finding.fix.empty() ? "" : "; " + printable(finding.fix));
  }
  context.flush();
}

bool any_failed(const Findings& findings) {
  for (const auto& finding : findings) {
    if (finding.verdict == Verdict::fail) return true;
  }
  return false;
}

// One folder; false when a check failed. What cannot be opened is a finding, not an error.
bool examine(const std::string& name, const DoctorOptions& options, Context& context) {
  bool sound = true;
  const auto show = [&](const Findings& findings) {
    sound = sound && !any_failed(findings);
    print(name, findings, context);
  };
  ModelOptions load = options.model;
  load.model = name;
  const auto folder = resolve_model_folder(name);
  const bool has_scores = model::is_classifier_folder(folder) && load.pooling.empty();
  if (has_scores && options.write_probe) {
    throw_error(ErrorKind::usage, "--write-probe",
                "records vectors, and {} has scores; leave it out", quote(name));
  }
  show(check_files(folder));
  try {
    if (has_scores) {
      const auto body = model::load_classifier_body(folder);
      show(check_weights(body));
      show(check_tokenizer(body));
      show(check_classifier(folder, load.threads, load.dtype));
      return sound;
    }
    auto model = load_model(load);
    const auto names = model.weights->names();
    const bool rounded = load.dtype == Precision::int8 ||
                         std::any_of(names.begin(), names.end(), [](const std::string& name) {
                           return name.ends_with(".weight.scale");
                         });
    show(check_weights(model));
    show(check_unused(folder, model));
    show(check_tokenizer(model));
    show(check_settings(model));
    const auto tokenizer = load_model(load).tokenizer;  // the encoder keeps the other one
    const auto encoder = engine::make_cpu_encoder(
        std::move(model), {.threads = load.threads, .precision = load.dtype});
    show(check_vectors(*encoder));
    if (options.write_probe) {
      write_probe(folder, *encoder, tokenizer.get());
      context.say(fmt::format("wrote {}", (folder / kProbeFile).string()));
    }
    show(check_probe(folder, *encoder, tokenizer.get(), rounded));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::interrupted || error.kind() == ErrorKind::internal) throw;
    show({{Verdict::fail, "open", error.what(), ""}});
  }
  return sound;
}

int run(DoctorOptions& options, Context& context) {
  if (options.model.device != "cpu") {
    throw_error(ErrorKind::usage, "--device",
                "{}; the doctor looks at what akin's own engine makes of a folder, expected cpu",
                quote(options.model.device));
  }
  auto models = options.models;
  if (models.empty()) models.push_back(options.model.model);
  bool sound = true;
  for (const auto& name : models) {
    if (models.size() > 1 && !context.json()) context.print("{}\n", printable(name));
    sound = examine(name, options, context) && sound;
  }
  return sound ? 0 : 1;
}

}  // namespace

std::unique_ptr<Command> make_doctor_command() {
  return std::make_unique<CommandOf<DoctorOptions>>(kInfo, run);
}

}  // namespace akin::cli
