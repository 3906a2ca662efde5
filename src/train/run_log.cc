#include "train/run_log.h"

#include <cmath>

#include "base/error.h"
#include "base/file.h"

namespace akin::train {
namespace {

double rounded(double value) {  // six digits are what a curve shows
  if (value == 0 || !std::isfinite(value)) return value;
  const double scale = std::pow(10.0, 5 - std::floor(std::log10(std::fabs(value))));
  return std::round(value * scale) / scale;
}

std::string lines_up_to(const std::filesystem::path& path, uint64_t step,
                        std::optional<uint64_t> evaluated_at) {
  std::string out;
  std::error_code ignored;
  if (step == 0 || !std::filesystem::exists(path, ignored)) return out;
  std::ifstream file(path);
  for (std::string text; std::getline(file, text);) {
    const auto value = nlohmann::json::parse(text, nullptr, false);
    if (!value.is_object() || !value.contains("step") || !value["step"].is_number_unsigned())
      continue;
    const auto at = value["step"].get<uint64_t>();
    const bool kept = value.contains("scores") ? evaluated_at && at <= *evaluated_at : at <= step;
    if (kept) out += text + "\n";
  }
  return out;
}

}  // namespace

RunLog::RunLog(const std::filesystem::path& folder, uint64_t resumed_at,
               std::optional<uint64_t> evaluated_at)
    : path_(folder / "log.jsonl"), events_(folder) {
  write_file(path_, lines_up_to(path_, resumed_at, evaluated_at));
  file_.open(path_, std::ios::app);
  if (!file_) throw_error(ErrorKind::io, path_.string(), "cannot be written");
}

void RunLog::line(const nlohmann::ordered_json& value) {
  file_ << value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n"
        << std::flush;
  if (!file_) throw_error(ErrorKind::io, path_.string(), "cannot be written; is the disk full?");
  events_.flush();
}

void RunLog::add(const StepReport& report) {
  nlohmann::ordered_json value = {{"step", report.step},
                                  {"loss", rounded(report.loss)},
                                  {"learning_rate", rounded(report.learning_rate)},
                                  {"gradient_norm", rounded(report.gradient_norm)},
                                  {"pairs_per_second", rounded(report.pairs_per_second)},
                                  {"tokens_per_second", rounded(report.tokens_per_second)},
                                  {"waited", rounded(report.waited)},
                                  {"negatives_per_query", rounded(report.negatives_per_query)}};
  if (report.penalty > 0) value["penalty"] = rounded(report.penalty);
  if (report.solved >= 0) value["solved"] = rounded(report.solved);
  if (report.query_cosine) value["query_cosine"] = rounded(*report.query_cosine);
  if (report.cut_texts > 0) value["cut_texts"] = report.cut_texts;
  for (const auto& [name, loss] : report.source_loss) value["source_loss"][name] = rounded(loss);
  for (const auto& [name, part] : report.parts) {
    value["parts"][name] = rounded(part);
    events_.scalar("parts/" + name, report.step, static_cast<float>(part));
  }
  events_.scalar("train/loss", report.step, static_cast<float>(report.loss));
  events_.scalar("train/learning_rate", report.step, static_cast<float>(report.learning_rate));
  events_.scalar("train/gradient_norm", report.step, static_cast<float>(report.gradient_norm));
  events_.scalar("train/pairs_per_second", report.step,
                 static_cast<float>(report.pairs_per_second));
  if (report.solved >= 0)
    events_.scalar("train/solved", report.step, static_cast<float>(report.solved));
  if (report.query_cosine) {
    events_.scalar("train/query_cosine", report.step, static_cast<float>(*report.query_cosine));
  }
  for (const auto& [name, loss] : report.source_loss) {
    events_.scalar("loss/" + name, report.step, static_cast<float>(loss));
  }
  line(value);
}

void RunLog::add(const ScoreReport& report) {
  nlohmann::ordered_json value = {{"step", report.step}, {"best", report.best}};
  auto& scores = value["scores"] = nlohmann::ordered_json::object();
  for (const auto& [name, score] : report.scores.tasks) {
    scores[name] = score;
    events_.scalar("dev/" + name, report.step, static_cast<float>(score));
  }
  if (report.scores.main) {
    value["main"] = *report.scores.main;
    events_.scalar("dev/main", report.step, static_cast<float>(*report.scores.main));
  }
  if (report.scores.general) {
    value["general"] = *report.scores.general;
    events_.scalar("dev/general", report.step, static_cast<float>(*report.scores.general));
  }
  line(value);
}

}  // namespace akin::train
