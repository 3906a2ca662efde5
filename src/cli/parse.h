// Command-line words into option fields, through CLI11. Not help or docs (see help.h).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/options.h"

namespace akin::cli {

// Sets the fields from `words` (without program and verb), else from AKIN_<FLAG> in the
// environment, else leaves the defaults. Words behind "--" are positional, whatever they look like.
// Returns false when --help or -h was among the words.
// Errors: usage naming the flag and the nearest known one.
bool parse_options(const std::string& verb, std::span<const OptionField> fields,
                   const std::vector<std::string>& words);

}  // namespace akin::cli
