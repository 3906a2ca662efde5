// The report of a mining run as one HTML page that needs nothing else: what each guard removed,
// scores of positives and negatives, how far to trust the result, and samples.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace akin::mine {

// `report` is what mine() returns. All texts are escaped. Errors: bad_format, for anything else
// than such a report.
std::string report_html(const nlohmann::ordered_json& report);

// The lines on false negatives, in words, for the page and the terminal: one finding a line.
std::vector<std::string> estimate_words(const nlohmann::ordered_json& report);

}  // namespace akin::mine
