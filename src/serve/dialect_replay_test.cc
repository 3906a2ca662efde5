// Replays tests/http/pairs/*.json, recorded requests and answers of every dialect, errors
// included, against the dialects over a service with fixed rules (dialects/fake_service.h).
// With AKIN_RECORD=1 in the environment the answers are written instead of compared: read the
// difference before committing it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "serve/dialect.h"
#include "serve/dialects/fake_service.h"

namespace akin::serve {
namespace {

using nlohmann::ordered_json;
namespace fs = std::filesystem;

const fs::path kFolder = "tests/http/pairs";

std::string unhex(const std::string& hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return out;
}

std::pair<const Dialect*, const Route*> find_route(const HttpRequest& request) {
  for (const Dialect* dialect : dialects()) {
    for (const Route& route : dialect->routes) {
      const bool below = route.path.ends_with("/*") &&
                         request.path.starts_with(route.path.substr(0, route.path.size() - 1));
      if (route.method == request.method && (below || route.path == request.path))
        return {dialect, &route};
    }
  }
  return {};
}

HttpResponse send(const HttpRequest& request, FakeService& service) {
  Call call;
  call.request_id = "request-1";
  const auto [dialect, route] = find_route(request);
  HttpResponse out;
  if (route == nullptr) {
    out.status = 404;
    return out;
  }
  size_t replies = 0;
  try {
    route->handle(service, request, call, [&](HttpResponse response) {
      out = std::move(response);
      ++replies;
    });
    EXPECT_EQ(replies, 1U) << request.path;
  } catch (const Error& error) {
    EXPECT_EQ(replies, 0U) << request.path;
    out = dialect->error(error, request);
  }
  return out;
}

HttpResponse send(const HttpRequest& request, const ordered_json& pair) {
  FakeService service;
  if (pair.contains("labels")) service.labels = pair["labels"].get<std::vector<std::string>>();
  if (pair.contains("second_labels"))
    service.second_labels = pair["second_labels"].get<std::vector<std::string>>();
  if (pair.contains("max_client_batch"))
    service.allowed.max_client_batch = pair["max_client_batch"];
  return send(request, service);
}

HttpRequest read_request(const ordered_json& json) {
  HttpRequest request;
  request.method = json["method"];
  request.path = json["path"];
  const ordered_json& body = json["body"];
  if (body.is_string()) {
    request.body = body;
  } else if (body.is_object() && body.contains("hex")) {
    request.body = unhex(body["hex"]);
  } else if (!body.is_null()) {
    request.body = body.dump();
  }
  return request;
}

ordered_json print_response(const HttpResponse& response) {
  ordered_json out;
  out["status"] = response.status;
  for (const auto& [name, value] : response.headers) {
    if (name.starts_with("x-")) out["headers"][name] = value;
  }
  if (!response.body.starts_with('<')) out["body"] = ordered_json::parse(response.body);
  if (out["body"].is_object() && out["body"].contains("version")) out["body"]["version"] = "akin's";
  if (out["body"].is_object() && out["body"].value("object", "") == "rerank") {
    EXPECT_NEAR(out["body"].value("created", 0.0), static_cast<double>(std::time(nullptr)), 60);
    out["body"]["created"] = 0;
  }
  return out;
}

TEST(DialectReplay, RecordedPairs) {
  const bool record = std::getenv("AKIN_RECORD") != nullptr;
  size_t pairs = 0, errors = 0;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    SCOPED_TRACE(entry.path().filename().string());
    auto file = ordered_json::parse(read_file(entry.path()));
    for (ordered_json& pair : file["pairs"]) {
      SCOPED_TRACE(pair["name"].get<std::string>());
      const ordered_json got = print_response(send(read_request(pair["request"]), pair));
      ++pairs;
      errors += got["status"] != 200 ? 1 : 0;
      if (record) {
        pair["response"] = got;
      } else {
        EXPECT_EQ(got, pair["response"]) << got.dump();
      }
    }
    if (record) write_file(entry.path(), file.dump(1) + "\n");
  }
  EXPECT_GT(pairs, 100U);
  EXPECT_GT(errors, 40U);
}

TEST(DialectReplay, OpenAiLimitsTheTokensOfARequest) {
  FakeService service;
  HttpRequest request;
  request.method = "POST";
  request.path = "/v1/embeddings";
  request.body = R"({"input":["a","b"]})";
  const auto [dialect, route] = find_route(request);
  route->handle(service, request, {}, [](const HttpResponse&) {});
  EXPECT_EQ(service.last_embed.max_tokens, 300'000U);
  const auto refused =
      dialect->error(Error(ErrorKind::too_long,
                           "Requested 300001 tokens, max 300000 tokens per request", "request"),
                     request);
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(ordered_json::parse(refused.body)["error"],
            (ordered_json{{"message", "Requested 300001 tokens, max 300000 tokens per request"},
                          {"type", "max_tokens_per_request"},
                          {"param", nullptr},
                          {"code", "max_tokens_per_request"}}));
}

TEST(DialectReplay, EveryEmbeddingRouteReadsSideTaskAndPrompt) {
  const ordered_json sentences = {{"source_sentence", "red"}, {"sentences", {"blue"}}};
  const std::vector<std::pair<std::string, ordered_json>> routes = {
      {"/v1/embeddings", {{"input", "red"}}},
      {"/embeddings", {{"input", "red"}}},
      {"/embed", {{"inputs", "red"}}},
      {"/embed_all", {{"inputs", "red"}}},
      {"/", {{"inputs", "red"}}},
      {"/similarity", {{"inputs", sentences}}},
      {"/api/embed", {{"model", "tiny"}, {"input", "red"}}},
      {"/api/embeddings", {{"model", "tiny"}, {"prompt", "red"}}},
      {"/embedding", {{"content", "red"}}},
      {"/v1/embed", {{"texts", {"red"}}}},
      {"/v2/embed", {{"model", "tiny"}, {"texts", {"red"}}, {"input_type", "document"}}}};
  for (const auto& [path, plain] : routes) {
    SCOPED_TRACE(path);
    FakeService service;
    const auto ask = [&](const ordered_json& fields, int status = 200) {
      ordered_json body = plain;
      body.update(fields);
      const HttpResponse answer = send({"POST", path, "", {}, body.dump()}, service);
      EXPECT_TRUE(answer.status == status || (status == 400 && answer.status == 422))
          << answer.body;
      return answer.body;
    };
    ask({{"input_type", "query"}, {"task", "retrieval.query"}, {"prompt_name", "short"}});
    EXPECT_EQ(service.last_embed.side, Side::query);
    EXPECT_EQ(service.last_embed.task, "retrieval.query");
    EXPECT_EQ(service.last_embed.prompt_name, "short");
    ask({{"prompt_name", "retrieval.query"}});  // an adapter's name
    EXPECT_EQ(service.last_embed.task, "retrieval.query");
    ask({{"prompt_name", "retrieval.query"}, {"task", "text-matching"}});
    EXPECT_EQ(service.last_embed.task, "");  // a task that is Jina's, but not this model's
    EXPECT_NE(ask({{"input_type", "bogus"}}, 400).find("input_type: expected one of query"),
              std::string::npos);
    EXPECT_NE(ask({{"task", "bogus"}}, 400).find("task: expected one of"), std::string::npos);
    EXPECT_NE(ask({{"prompt_name", 5}}, 400).find("prompt_name: expected a string"),
              std::string::npos);
  }
  FakeService service;
  ordered_json body = {{"inputs", sentences}, {"parameters", {{"input_type", "query"}}}};
  send({"POST", "/similarity", "", {}, body.dump()}, service);
  EXPECT_EQ(service.last_embed.side, Side::query);
}

TEST(DialectReplay, ABatchThatIsTooLargeIsToldTheFlag) {
  FakeService service;
  service.allowed.max_client_batch = 3;
  const auto ask = [&](const std::string& path, const std::string& field, size_t inputs,
                       ordered_json body) {
    body[field] = std::vector<std::string>(inputs, "a");
    return send({"POST", path, "", {}, body.dump()}, service);
  };
  const std::string refusal = "batch size 4 > maximum allowed batch size 3 (--max-client-batch)";
  for (const std::string path : {"/embed", "/embed_all", "/tokenize", "/"})
    EXPECT_NE(ask(path, "inputs", 4, {}).body.find(refusal), std::string::npos) << path;
  EXPECT_NE(ask("/rerank", "texts", 4, {{"query", "a"}}).body.find(refusal), std::string::npos);
  EXPECT_NE(ask("/embedding", "content", 4, {}).body.find(refusal), std::string::npos);
  const auto openai = [&](size_t inputs) {
    return ask("/v1/embeddings", "input", inputs, {}).body;
  };
  EXPECT_NE(openai(4).find("a list of 4; at most 3 inputs fit in a request (--max-client-batch)"),
            std::string::npos);
  service.allowed.max_client_batch = 100'000;  // OpenAI's own number, which no flag changes
  EXPECT_NE(openai(2049).find("at most 2048 inputs fit in a request\""), std::string::npos);
  service.allowed.max_client_batch = 3;
  const auto ollama = [&](size_t inputs) {
    return ask("/api/embed", "input", inputs, {{"model", "tiny"}});
  };
  EXPECT_EQ(ollama(10'000).status, 200);
  EXPECT_NE(ollama(10'001).body.find("batch size 10001 > maximum allowed batch size 10000 (--max"),
            std::string::npos);
  service.allowed.max_client_batch = 20'000;
  EXPECT_EQ(ollama(10'001).status, 200);
}

TEST(DialectReplay, NoTwoDialectsShareARoute) {
  std::vector<std::string> routes;
  for (const Dialect* dialect : dialects()) {
    for (const Route& route : dialect->routes)
      routes.push_back(std::string(route.method) + " " + std::string(route.path));
  }
  std::sort(routes.begin(), routes.end());
  EXPECT_EQ(std::adjacent_find(routes.begin(), routes.end()), routes.end());
}

// Every field of every POST pair in turn replaced by values of every other type: an answer or an
// error of the client's, never one of the server's, and always JSON.
TEST(DialectReplay, WrongTypesInEveryField) {
  const std::vector<ordered_json> values = {nullptr,
                                            true,
                                            7,
                                            -1,
                                            1.5,
                                            1e300,
                                            "",
                                            "word",
                                            ordered_json::array(),
                                            {1, 2},
                                            {"a", nullptr},
                                            ordered_json::object(),
                                            {{"a", ordered_json::array({1})}}};
  size_t sent = 0;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    const auto file = ordered_json::parse(read_file(entry.path()));
    for (const ordered_json& pair : file["pairs"]) {
      const ordered_json& body = pair["request"]["body"];
      if (!body.is_object() || pair["response"]["status"] != 200) continue;
      for (const auto& [key, old] : body.items()) {
        for (const ordered_json& value : values) {
          ordered_json changed = pair["request"];
          changed["body"][key] = value;
          const HttpResponse response = send(read_request(changed), pair);
          ++sent;
          EXPECT_TRUE(response.status == 200 || (response.status >= 400 && response.status < 500))
              << response.status << changed.dump() << response.body;
          EXPECT_TRUE(ordered_json::accept(response.body)) << response.body;
        }
      }
    }
  }
  EXPECT_GT(sent, 1000U);
}

}  // namespace
}  // namespace akin::serve
