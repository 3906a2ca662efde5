// The result files that mteb wrote before 1.11: one object per split, subsets as its members or no
// subsets at all, similarity measures as nested objects, no main_score in the earliest. Not the
// forms since (mteb_result.cc). Follows what mteb's own reader makes of them, and besides takes
// "map" as the main score of old reranking files, where mteb finds none.
#include "store/mteb_old.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/error.h"

namespace akin::store {
namespace {

using Json = nlohmann::ordered_json;

// Old key of a nested object of measures, and the prefix that its members have today.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kMeasures = {
    {{"cos_sim", "cosine"},
     {"cosine", "cosine"},
     {"manhattan", "manhattan"},
     {"euclidean", "euclidean"},
     {"dot", "dot"},
     {"max", "max"},
     {"similarity", "similarity"}}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kRenamed = {
    {{"NorwegianParliament", "NorwegianParliamentClassification"},
     {"CMedQAv2", "CMedQAv2-reranking"},
     {"CMedQAv1", "CMedQAv1-reranking"},
     {"8TagsClustering", "EightTagsClustering"},
     {"PPC", "PpcPC"}}};

constexpr std::array<std::string_view, 6> kTopLevel = {"mteb_dataset_name", "mteb_version",
                                                       "dataset_revision",  "evaluation_time",
                                                       "kg_co2_emissions",  "evaluation_phases"};

bool is_measure(std::string_view key) {
  return std::any_of(kMeasures.begin(), kMeasures.end(),
                     [&](const auto& row) { return row.first == key; });
}

// max over measures of <measure>_<suffix>, for files that name no max.
Json best_of(const Json& scores, std::string_view suffix) {
  Json best = nullptr;
  for (const auto& [old, name] : kMeasures) {
    const auto found = scores.find(fmt::format("{}_{}", name, suffix));
    if (found == scores.end() || !found->is_number()) continue;
    if (best.is_null() || found->get<double>() > best.get<double>()) best = *found;
  }
  return best;
}

// What a flat old entry's main score was: the first of these metrics that it has. Retrieval files
// have "accuracy" too, classification files "f1" too, so the order tells them apart.
Json guess_main_score(const Json& scores, std::string_view task) {
  if (task == "Ocnli" || task == "Cmnli") {
    const auto found = scores.find("max_accuracy");
    return found != scores.end() ? *found : best_of(scores, "accuracy");
  }
  for (const std::string_view key : {"ndcg_at_10", "map_at_1000", "map", "v_measure", "max_ap"}) {
    if (const auto found = scores.find(key); found != scores.end()) return *found;
  }
  if (auto best = best_of(scores, "ap"); !best.is_null()) return best;
  for (const std::string_view key : {"cosine_spearman", "accuracy", "f1"}) {
    if (const auto found = scores.find(key); found != scores.end()) return *found;
  }
  return nullptr;
}

Json entry_of(Json scores, const std::string& subset, std::string_view task) {
  scores.erase("evaluation_time");
  flatten_measures(scores);
  if (!scores.contains("main_score")) scores["main_score"] = guess_main_score(scores, task);
  scores["hf_subset"] = subset;
  return scores;
}

bool has_subsets(const Json& split) {
  for (const auto& [key, value] : split.items()) {
    if (value.is_object() && !is_measure(key) && key != "v_measures") return true;
  }
  return false;
}

}  // namespace

std::string_view current_task_name(std::string_view name) {
  for (const auto& [old, current] : kRenamed) {
    if (old == name) return current;
  }
  return name;
}

void flatten_measures(Json& entry) {
  bool nested = false;
  for (const auto& [key, value] : entry.items()) nested |= value.is_object() && is_measure(key);
  if (!nested) return;
  Json flat = Json::object();
  for (auto& [key, value] : entry.items()) {
    const auto* row = std::find_if(kMeasures.begin(), kMeasures.end(),
                                   [&, name = std::string_view(key)](const auto& candidate) {
                                     return candidate.first == name;
                                   });
    if (!value.is_object() || row == kMeasures.end()) {
      flat[key] = value;
      continue;
    }
    for (const auto& [metric, score] : value.items()) {
      flat[fmt::format("{}_{}", row->second, metric)] = score;
    }
  }
  entry = std::move(flat);
}

Json from_before_1_11(const Json& old, const std::string& where) {
  const auto& name = old["mteb_dataset_name"];
  if (!name.is_string()) {
    throw_error(ErrorKind::bad_format, where, "\"mteb_dataset_name\": expected a string, got {}",
                quote(name.dump(-1, ' ', false, Json::error_handler_t::replace)));
  }
  const std::string task(current_task_name(name.get_ref<const std::string&>()));
  Json scores = Json::object();
  double seconds = 0;
  bool timed = false;
  for (const auto& [key, split] : old.items()) {
    if (std::find(kTopLevel.begin(), kTopLevel.end(), key) != kTopLevel.end()) continue;
    if (!split.is_object()) continue;  // notes that some tools left there
    if (const auto time = split.find("evaluation_time"); time != split.end() && time->is_number()) {
      seconds += time->get<double>();
      timed = true;
    }
    Json entries = Json::array();
    if (!has_subsets(split)) {
      entries.push_back(entry_of(split, "default", task));
    } else {
      for (const auto& [subset, value] : split.items()) {
        if (value.is_object()) entries.push_back(entry_of(value, subset, task));
      }
    }
    scores[key] = std::move(entries);
  }
  if (const auto time = old.find("evaluation_time"); time != old.end() && time->is_number()) {
    seconds += time->get<double>();
    timed = true;
  }
  const auto text = [&](std::string_view key, std::string_view fallback) -> Json {
    const auto found = old.find(key);
    return found != old.end() && found->is_string() ? *found : Json(std::string(fallback));
  };
  return {{"dataset_revision", text("dataset_revision", "dataset revision not available")},
          {"task_name", task},
          {"mteb_version", text("mteb_version", "mteb version not available")},
          {"scores", std::move(scores)},
          {"evaluation_time", timed ? Json(seconds) : Json(nullptr)}};
}

}  // namespace akin::store
