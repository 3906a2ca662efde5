#include "serve/server_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace akin::serve {
namespace {

void health(Service& service, const HttpRequest&, const Call& call, Reply reply) {
  service.health(call, [&service, reply = std::move(reply)](Outcome<bool> outcome) {
    HttpResponse response;
    if (const auto* error = std::get_if<Error>(&outcome)) {
      response.status = 503;
      response.body =
          nlohmann::ordered_json{{"error", error->what()}, {"error_type", "Unhealthy"}}.dump(
              -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    } else {
      nlohmann::ordered_json body = {{"status", "ok"}};
      for (const auto& [name, why] : service.not_reloaded()) body["not_reloaded"].push_back(name);
      response.body = body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    }
    reply(std::move(response));
  });
}

void live(Service&, const HttpRequest&, const Call&, Reply reply) {
  HttpResponse response;
  response.body = R"({"status":"ok"})";
  reply(std::move(response));
}

void metrics(Service& service, const HttpRequest&, const Call&, Reply reply) {
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = service.metrics();
  reply(std::move(response));
}

constexpr Route kOwnRoutes[] = {{"GET", "/health", health, true},
                                {"GET", "/health/live", live, true},
                                {"GET", "/ping", live, true},
                                {"GET", "/metrics", metrics, false}};

const Dialect& own_dialect() {
  static const Dialect own = {"server", "probes and metrics", kOwnRoutes, plain_error};
  return own;
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string_view HttpRequest::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return value;
  }
  return {};
}

Router::Router(std::span<const Dialect* const> dialects) {
  for (const Dialect* dialect : dialects) add(*dialect, false);
  add(own_dialect(), true);
}

void Router::add(const Dialect& dialect, bool optional) {
  constexpr std::string_view kBelow = "/*";
  for (const Route& route : dialect.routes) {
    std::vector<RouteEntry>* entries = nullptr;
    if (route.path.ends_with(kBelow)) {
      const std::string_view path = route.path.substr(0, route.path.size() - 1);
      auto it = std::find_if(below_.begin(), below_.end(),
                             [&](const auto& item) { return item.first == path; });
      if (it == below_.end()) it = below_.insert(below_.end(), {path, {}});
      entries = &it->second;
    } else {
      entries = &exact_[route.path];
    }
    const bool known = std::any_of(entries->begin(), entries->end(), [&](const RouteEntry& entry) {
      return entry.route->method == route.method;
    });
    if (known && optional) continue;
    if (known) {
      throw_error(ErrorKind::internal, dialect.name, "{} {} belongs to another dialect, too",
                  route.method, route.path);
    }
    entries->push_back({&route, &dialect});
  }
  std::sort(below_.begin(), below_.end(),
            [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
}

std::span<const RouteEntry> Router::at(std::string_view path) const {
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  if (const auto it = exact_.find(path); it != exact_.end()) return it->second;
  for (const auto& [begin, entries] : below_) {
    if (path.size() > begin.size() && path.starts_with(begin)) return entries;
  }
  return {};
}

const RouteEntry* Router::choose(std::span<const RouteEntry> entries, std::string_view method) {
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  for (const auto& entry : entries) {
    if (entry.route->method == wanted) return &entry;
  }
  return nullptr;
}

std::string Router::allowed(std::span<const RouteEntry> entries) {
  std::string out = "OPTIONS";
  for (const auto& entry : entries) {
    out += fmt::format(", {}", entry.route->method);
    if (entry.route->method == "GET") out += ", HEAD";
  }
  return out;
}

HttpResponse error_response(int status, std::string_view type, std::string_view message) {
  HttpResponse response;
  response.status = status;
  response.body =
      nlohmann::ordered_json{
          {"error", {{"message", message}, {"type", type}, {"param", nullptr}, {"code", nullptr}}}}
          .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return response;
}

HttpResponse plain_error(const Error& error, const HttpRequest&) {
  const auto& info = error_kind_info(error.kind());
  return error_response(info.http_status, info.openai_type, error.what());
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex(text[i + 2]) : -1;
      const int value = high * 16 + low;
      if (high < 0 || low < 0 || value == 0)
        throw_error(ErrorKind::usage, "path", "has a broken % escape");
      c = static_cast<char>(value);
      i += 2;
    }
    out += c;
  }
  return out;
}

}  // namespace akin::serve
