// `akin mine --failure-cases`: rows and evaluation sets of failure cases (mine/failure.h), and what
// is printed about them.
#pragma once

#include <string>

#include "cli/context.h"
#include "mine/failure.h"

namespace akin::cli {

// The cases, one a line, for help.
std::string failure_case_list();

// work is filled in here. report: where the JSON report goes. check: the first rows alone, printed;
// writes nothing.
int run_failure_cases(mine::FailureOptions options, const std::string& report, bool check,
                      Context& context);

}  // namespace akin::cli
