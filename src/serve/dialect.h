// A dialect: the routes of one API that clients already speak, how its requests read, how its
// answers and errors print. One file each in dialects/, one line in dialects.def.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "serve/service.h"

namespace akin::serve {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;  // upper case
  std::string path;    // without query, percent-decoded
  std::string query;
  Headers headers;  // names in lower case
  std::string body;
  std::string_view header(std::string_view lower_case_name) const;  // empty: absent
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  Headers headers;
  std::string body;
};

using Reply = std::function<void(HttpResponse)>;  // exactly once, from any thread

// A handler parses, asks the service, and replies; an akin::Error that it throws (bad request) is
// printed by its dialect's `error`.
struct Route {
  std::string_view method;
  std::string_view path;  // exact; one that ends in "/*" stands for everything below it
  void (*handle)(Service& service, const HttpRequest& request, const Call& call, Reply reply);
  bool open = false;  // answered without an API key (a page, a probe)
};

struct Dialect {
  std::string_view name;
  std::string_view summary;
  std::span<const Route> routes;
  // An error in this dialect's own shape and status, for errors of its routes. Also for those the
  // server finds, which come as `usage`, and whose status and headers it then sets itself: body too
  // large (413), no valid API key (401), a header that says too much (431). A deadline that passed
  // is `interrupted` (503). Retry-After is added to every 429 and 503.
  HttpResponse (*error)(const Error& error, const HttpRequest& request);
};

// In the order of dialects.def. No two have a route in common: where APIs share a path
// (/v1/embeddings), one dialect owns it and tells them apart by the fields of the body.
std::span<const Dialect* const> dialects();

}  // namespace akin::serve
