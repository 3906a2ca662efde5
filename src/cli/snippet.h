// The part of a long text that is worth a line on a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace akin::cli {

// At most `columns` wide, printable; begins a little before the first word of the query that the
// text holds, with an ellipsis where something is left out.
std::string snippet(std::string_view text, std::string_view query, size_t columns);

}  // namespace akin::cli
