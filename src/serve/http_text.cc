#include "serve/http_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace akin::serve {
namespace {

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 40> text{};
  const size_t size = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text.data(), size};
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Payload Too Large";
    case 422:
      return "Unprocessable Entity";
    case 424:
      return "Failed Dependency";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    default:
      return status < 400 ? "OK" : "Error";
  }
}

std::string response_head(const HttpResponse& response, std::string_view request_id,
                          bool keep_alive, unsigned version) {
  std::string out;
  out.reserve(512);
  const auto to = std::back_inserter(out);
  fmt::format_to(to, "HTTP/1.1 {} {}\r\nServer: akin\r\nDate: {}\r\n", response.status,
                 reason_phrase(response.status), http_date());
  if (!response.content_type.empty())
    fmt::format_to(to, "Content-Type: {}\r\n", clean_header_value(response.content_type));
  if (response.status != 204) fmt::format_to(to, "Content-Length: {}\r\n", response.body.size());
  if (!keep_alive) {
    out += "Connection: close\r\n";
  } else if (version < 11) {
    out += "Connection: keep-alive\r\n";
  }
  if (!request_id.empty()) fmt::format_to(to, "x-request-id: {}\r\n", request_id);
  for (const auto& [name, value] : response.headers)
    fmt::format_to(to, "{}: {}\r\n", name, clean_header_value(value));
  out += "\r\n";
  return out;
}

std::string clean_request_id(std::string_view id) {
  constexpr size_t kLongest = 128;
  const bool plain =
      !id.empty() && id.size() <= kLongest && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '-' || c == '_' || c == '.' || c == ':';
      });
  return plain ? std::string(id) : std::string();
}

std::string clean_header_value(std::string_view value) {
  std::string out(value);
  std::erase_if(out, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  return out;
}

std::string allowed_origin(const std::vector<std::string>& allowed, std::string_view origin) {
  for (const auto& one : allowed) {
    if (one == "*") return "*";
    if (!origin.empty() && one == origin) return one;
  }
  return {};
}

}  // namespace akin::serve
