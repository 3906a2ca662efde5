// What akin mine says of its input files, for negatives and failure cases alike.
#pragma once

#include <nlohmann/json.hpp>

#include "cli/context.h"

namespace akin::cli {

// A warning for each file of a report that has rows which could not be read, with the first of
// them.
void warn_of_bad_rows(const nlohmann::ordered_json& report, Context& context);

}  // namespace akin::cli
