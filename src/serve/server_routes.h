// Which handler answers a path: the routes of all dialects, and the server's own (/health,
// /health/live, /metrics) where no dialect has them. Also what the server itself says: unknown
// path, wrong method.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "serve/dialect.h"

namespace akin::serve {

struct RouteEntry {
  const Route* route = nullptr;
  const Dialect* dialect = nullptr;
};

class Router {
 public:
  // Errors: internal, two dialects with one route.
  explicit Router(std::span<const Dialect* const> dialects);

  // Entries of a path, one a method; empty: unknown.
  std::span<const RouteEntry> at(std::string_view path) const;
  // By method (HEAD goes to GET); null where the path has no such method.
  static const RouteEntry* choose(std::span<const RouteEntry> entries, std::string_view method);
  static std::string allowed(std::span<const RouteEntry> entries);  // of an Allow header

 private:
  void add(const Dialect& dialect, bool optional);
  std::unordered_map<std::string_view, std::vector<RouteEntry>> exact_;
  std::vector<std::pair<std::string_view, std::vector<RouteEntry>>> below_;  // path up to "/*"
};

// Of errors that belong to no dialect.
HttpResponse plain_error(const Error& error, const HttpRequest& request);
HttpResponse error_response(int status, std::string_view type, std::string_view message);

// %41 to A; Errors: usage, a broken escape or a NUL.
std::string percent_decode(std::string_view text);

}  // namespace akin::serve
