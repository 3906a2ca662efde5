// What every page that akin writes has in common: safe text, and the frame of a self-contained
// report in light and dark. Not a template engine: reports build their own bodies.
#pragma once

#include <string>
#include <string_view>

namespace akin {

// Text made safe between tags and in attributes; control characters become spaces.
std::string html_escape(std::string_view text);

// One file that needs nothing else: `style` is CSS that follows the common rules (base/html_page.cc
// has them and the colours --bg --fg --mut --line --soft --good --bad --c0 ... --c7), `script` may
// be empty. The title is escaped; body, style and script are written as they are.
std::string html_page(std::string_view title, std::string_view body, std::string_view style = {},
                      std::string_view script = {});

}  // namespace akin
