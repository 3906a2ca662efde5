// The text of a response's head, and foreign header values made safe to repeat. No sockets.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "serve/dialect.h"

namespace akin::serve {

std::string response_head(const HttpResponse& response, std::string_view request_id,
                          bool keep_alive, unsigned version);
std::string_view reason_phrase(int status);

// A client's x-request-id, where it is short and of letters, digits and -_.:; else empty.
std::string clean_request_id(std::string_view id);
// Without line ends and other control characters.
std::string clean_header_value(std::string_view value);

// What Access-Control-Allow-Origin says to `origin`; empty: nothing.
std::string allowed_origin(const std::vector<std::string>& allowed, std::string_view origin);

}  // namespace akin::serve
