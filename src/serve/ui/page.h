// The page at /: one HTML document with its style and script inside, asking the server's own API.
#pragma once

#include <string>

namespace akin::serve {

std::string ui_page();

}  // namespace akin::serve
