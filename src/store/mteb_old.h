// Result files from before mteb 1.11, turned into the form that came after. Internal to
// mteb_result.cc.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace akin::store {

// {"mteb_dataset_name", "mteb_version", "dataset_revision", "<split>": {...}} as today's object.
nlohmann::ordered_json from_before_1_11(const nlohmann::ordered_json& old,
                                        const std::string& where);
// {"cos_sim": {"ap": x}} becomes {"cosine_ap": x}; likewise dot, euclidean, manhattan, max. Files
// up to 1.12.47 have these. Does nothing to others.
void flatten_measures(nlohmann::ordered_json& entry);
// Today's name of a task that was renamed ("CMedQAv1" is "CMedQAv1-reranking").
std::string_view current_task_name(std::string_view name);

}  // namespace akin::store
