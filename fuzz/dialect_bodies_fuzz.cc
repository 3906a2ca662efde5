// libFuzzer: any bytes as the body of any dialect's request. The first byte chooses the route, the
// rest is the body. Every request must be answered once, or refused with an error that prints; and
// the answer must be JSON again.
#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "serve/dialect.h"
#include "serve/dialects/fake_service.h"

namespace {

struct Entry {
  const akin::serve::Dialect* dialect;
  const akin::serve::Route* route;
};

std::vector<Entry> all_routes() {
  std::vector<Entry> out;
  for (const auto* dialect : akin::serve::dialects()) {
    for (const auto& route : dialect->routes) {
      if (route.method != "GET") out.push_back({dialect, &route});
    }
  }
  return out;
}

void check_json(const akin::serve::HttpResponse& response) {
  static simdjson::dom::parser parser;  // keeps its buffers
  if (parser.parse(response.body).error() != simdjson::SUCCESS) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace akin::serve;
  static const std::vector<Entry> routes = all_routes();
  static FakeService service;
  if (size == 0) return 0;
  service.labels.assign(data[0] >= 128 ? 3 : 0, "label");  // half of the routes' numbers
  const Entry& entry = routes[data[0] % routes.size()];
  HttpRequest request;
  request.method = entry.route->method;
  request.path = entry.route->path;
  request.body.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  Call call;
  call.request_id = "fuzz";
  int replies = 0;
  try {
    entry.route->handle(service, request, call, [&](const HttpResponse& response) {
      ++replies;
      check_json(response);
    });
    if (replies != 1) std::abort();
  } catch (const akin::Error& error) {
    if (replies != 0) std::abort();
    check_json(entry.dialect->error(error, request));
  }
  return 0;
}
