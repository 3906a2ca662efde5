// akin train --explain: which losses fit the fields that a file's records have, and why.
#pragma once

#include <string>

#include "cli/context.h"

namespace akin::cli {

int explain_records(const std::string& path, Context& context);

}  // namespace akin::cli
