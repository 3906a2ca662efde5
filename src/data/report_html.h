// The report of a chain as one HTML page that needs nothing else: what each filter removed, how
// long texts are before and after, and samples. The same numbers are in the JSON report.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace akin::data {

// `report` is what run_chain() returns. Texts in it come from anywhere: all are escaped. Errors:
// bad_format, for anything else than such a report.
std::string report_html(const nlohmann::ordered_json& report);

}  // namespace akin::data
