// What every page that akin writes needs. Not a template engine: reports build their own pages.
#pragma once

#include <string>
#include <string_view>

namespace akin {

// Text made safe between tags and in attributes; control characters become spaces.
std::string html_escape(std::string_view text);

}  // namespace akin
