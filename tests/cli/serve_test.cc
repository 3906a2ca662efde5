// akin serve as the program it is: a model folder that goes while it runs, SIGTERM under load with
// each connection looked at.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "serve/test_client.h"
#include "serve_program.h"
#include "tiny_bert.h"

namespace akin::cli_test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using serve::TestAnswer;
using serve::TestClient;

constexpr size_t kTexts = 40;

// Request i: texts that no other one has, enough of them to take a moment.
std::string body(size_t i) {
  json texts = json::array();
  for (size_t t = 0; t < kTexts; ++t)
    texts.push_back("request " + std::to_string(i) + " asks for text " + std::to_string(t));
  return json{{"input", texts}, {"encoding_format", "base64"}}.dump();
}

std::string ask(uint16_t port, const std::string& path, const std::string& body) {
  TestClient client(port);
  client.post(path, body);
  const TestAnswer answer = client.read();
  EXPECT_EQ(answer.status, 200) << answer.body;
  return answer.body;
}

json get(uint16_t port, const std::string& path) {
  TestClient client(port);
  client.get(path);
  const TestAnswer answer = client.read();
  EXPECT_EQ(answer.status, 200) << answer.body;
  return json::parse(answer.body, nullptr, false);
}

TEST(ServeProgram, AModelFolderThatGoesWhileItRuns) {
  namespace fs = std::filesystem;
  const TemporaryFolder folder;
  const fs::path model = folder.path() / "model";
  fs::copy(kModel, model, fs::copy_options::recursive);
  ServeProgram server({"--model", "here=" + model.string(), "--threads", "1"});
  ASSERT_GT(server.port(), 0) << server.end().err;
  const std::string before = ask(server.port(), "/v1/embeddings", body(1));
  fs::remove_all(model);
  EXPECT_EQ(ask(server.port(), "/v1/embeddings", body(1)), before);
  EXPECT_EQ(get(server.port(), "/health"), json({{"status", "ok"}}));

  server.signal(SIGHUP);
  ASSERT_TRUE(server.says("model here stays as it is")) << server.log();
  EXPECT_NE(server.log().find(model.string()), std::string::npos) << server.log();
  EXPECT_EQ(ask(server.port(), "/v1/embeddings", body(1)), before);
  EXPECT_NE(ask(server.port(), "/v1/embeddings", body(2)), before);
  EXPECT_EQ(get(server.port(), "/health")["not_reloaded"], json::array({"here"}));
  EXPECT_NE(get(server.port(), "/v1/status")["models"][0]["reload_error"].get<std::string>().find(
                model.string()),
            std::string::npos);

  fs::copy(kModel, model, fs::copy_options::recursive);
  server.signal(SIGHUP);
  ASSERT_TRUE(server.says("model here replaced")) << server.log();
  EXPECT_EQ(get(server.port(), "/health"), json({{"status", "ok"}}));
  EXPECT_EQ(ask(server.port(), "/v1/embeddings", body(1)), before);
  server.signal(SIGTERM);
  EXPECT_EQ(server.end().code, 0);
}

// A static model has no context: late chunks of texts are the texts' own vectors.
TEST(ServeProgram, LateChunksHaveAllTheirTokens) {
  ServeProgram server({"--model", kModel});
  ASSERT_GT(server.port(), 0) << server.end().err;
  const json texts = {"hello", "world", "the cat sat on the mat.", "good morning"};
  const auto vectors = [&](bool late) {
    return json::parse(ask(server.port(), "/v1/embeddings",
                           json{{"input", texts}, {"late_chunking", late}}.dump()))["data"];
  };
  const auto plain = vectors(false), late = vectors(true);
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto &x = plain[i]["embedding"], &y = late[i]["embedding"];
    ASSERT_EQ(x.size(), y.size());
    for (size_t d = 0; d < x.size(); ++d) {
      ASSERT_NEAR(x[d].get<double>(), y[d].get<double>(), 1e-5) << i;
    }
  }
}

json post(uint16_t port, const std::string& path, const json& body, int status = 200) {
  TestClient client(port);
  client.post(path, body.dump());
  const TestAnswer answer = client.read();
  EXPECT_EQ(answer.status, status) << path << ' ' << body << ' ' << answer.body;
  return json::parse(answer.body, nullptr, false);
}

TEST(ServeProgram, EveryRouteAsksTheModelThatIsNamed) {
  const TemporaryFolder folder;
  ServeProgram server({"--model", "words=" + std::string(kModel), "--model",
                       "bert=" + write_tiny_bert(folder, "bert"), "--model",
                       "labels=" + write_tiny_classifier(folder, "labels", 3), "--model",
                       "scores=" + write_tiny_classifier(folder, "scores", 1)});
  ASSERT_GT(server.port(), 0) << server.end().err;
  const uint16_t port = server.port();
  const json sentences = {{"source_sentence", "a cat"}, {"sentences", {"a cat sat", "dogs"}}};
  const std::vector<std::pair<std::string, json>> requests = {
      {"/embed", {{"inputs", "a cat"}}},
      {"/embed_all", {{"inputs", "a cat"}}},
      {"/similarity", {{"inputs", sentences}}},
      {"/tokenize", {{"inputs", "a cat"}}},
      {"/decode", {{"ids", {5, 6, 7}}}},
      {"/rerank", {{"query", "a"}, {"texts", {"a cat", "dogs"}}}},
      {"/", {{"inputs", "a cat"}}},
      {"/vertex", {{"instances", {{{"inputs", "a cat"}}}}}},
      {"/embedding", {{"content", "a cat"}}}};
  for (const auto& [path, request] : requests) {
    json named = request;
    named["model"] = "bert";
    EXPECT_NE(post(port, path, request), post(port, path, named)) << path;
    named["model"] = "words";
    EXPECT_EQ(post(port, path, request), post(port, path, named)) << path;
    named["model"] = "nope";
    const std::string refused = post(port, path, named, 404).dump();
    EXPECT_NE(refused.find("words, bert, labels, scores"), std::string::npos) << refused;
  }
  const json labels = post(port, "/predict", {{"inputs", "a cat"}, {"model", "labels"}});
  EXPECT_EQ(labels.size(), 3U);
  EXPECT_EQ(post(port, "/", {{"inputs", "a cat"}, {"model", "labels"}}), labels);
  EXPECT_EQ(post(port, "/vertex",
                 {{"instances", {{{"inputs", "a cat"}, {"model", "labels"}}, {{"inputs", "dogs"}}}},
                  {"model", "bert"}}),
            json({{"predictions",
                   {labels, post(port, "/embed", {{"inputs", "dogs"}, {"model", "bert"}})}}}));
  post(port, "/predict", {{"inputs", "a cat"}}, 424);
  post(port, "/predict", {{"inputs", "a cat"}, {"model", "nope"}}, 404);
  post(port, "/embed_sparse", {{"inputs", "a cat"}, {"model", "nope"}}, 404);
}

TEST(ServeProgram, ARerankerCutsDocumentsToSoManyTokens) {
  const TemporaryFolder folder;
  ServeProgram server({"--model", "scores=" + write_tiny_classifier(folder, "scores", 1)});
  ASSERT_GT(server.port(), 0) << server.end().err;
  const auto results = [&](const std::string& path, const json& documents, const json& fields) {
    json body = {{"model", "scores"}, {"query", "a b"}, {"documents", documents}};
    body.update(fields);
    body["return_documents"] = false;
    return post(server.port(), path, body)["results"];
  };
  for (const std::string path : {"/v1/rerank", "/v2/rerank", "/rerank"}) {
    const json cut = results(path, {"c d e f g", "h i j k", "l m"}, {{"max_tokens_per_doc", 3}});
    EXPECT_EQ(cut, results(path, {"c d e", "h i j", "l m"}, json::object())) << path;
    EXPECT_NE(cut, results(path, {"c d e f g", "h i j k", "l m"}, json::object())) << path;
  }
  const json tokens = post(server.port(), "/tokenize", {{"inputs", "a b"}});
  EXPECT_EQ(tokens[0].size(), 4U);
  EXPECT_EQ(post(server.port(), "/decode", {{"ids", {tokens[0][1]["id"], tokens[0][2]["id"]}}}),
            json({"a b"}));
}

TEST(ServeProgram, TokensShowTheirPartOfTheText) {
  const TemporaryFolder folder;
  ServeProgram server({"--model", "words=" + std::string(kModel), "--model",
                       "bert=" + write_tiny_bert(folder, "bert"), "--max-body-mb", "3"});
  ASSERT_GT(server.port(), 0) << server.end().err;
  const auto texts = [&](json body) {
    json out = json::array();
    const json answer = post(server.port(), "/tokenize", body);
    for (const json& token : answer[0]) out.push_back(token["text"]);
    return out;
  };
  EXPECT_EQ(texts({{"model", "bert"}, {"inputs", "aB"}}), json({"[CLS]", "a", "B", "[SEP]"}));
  EXPECT_EQ(texts({{"model", "bert"}, {"inputs", "B"}, {"prompt_name", "query"}}),
            json({"[CLS]", "a", "s", "k", "B", "[SEP]"}));
  std::string whole;
  const json words = texts({{"model", "words"}, {"inputs", "good morning, world"}});
  for (const json& text : words) whole += text.get<std::string>();
  whole.erase(std::remove(whole.begin(), whole.end(), ' '), whole.end());
  EXPECT_EQ(whole, "goodmorning,world") << words;
  // A model without a limit says none that a client would take for zero.
  EXPECT_EQ(get(server.port(), "/info")["max_input_length"], 3 << 20);
  const json shown = post(server.port(), "/api/show", {{"model", "words"}})["model_info"];
  EXPECT_EQ(shown[shown["general.architecture"].get<std::string>() + ".context_length"], 3 << 20);
}

// In every API a side gives the same vector, that of its prompt.
TEST(ServeProgram, SidesInEveryApi) {
  const TemporaryFolder folder;
  ServeProgram server({"--model", "bert=" + write_tiny_bert(folder, "bert")});
  ASSERT_GT(server.port(), 0) << server.end().err;
  const uint16_t port = server.port();
  const auto vector = [&](const std::string& path, json body, const json& fields) {
    body.update(fields);
    body["model"] = "bert";
    const json answer = post(port, path, body);
    if (path == "/embed") return answer[0];
    if (path == "/api/embed") return answer["embeddings"][0];
    if (path == "/embedding") return answer[0]["embedding"][0];
    return answer["data"][0]["embedding"];
  };
  for (const json& fields :
       {json{{"input_type", "query"}}, json{{"task", "retrieval.query"}}, json::object()}) {
    const json expected = vector("/v1/embeddings", {{"input", "a cat"}}, fields);
    EXPECT_EQ(vector("/embed", {{"inputs", "a cat"}}, fields), expected) << fields;
    EXPECT_EQ(vector("/api/embed", {{"input", "a cat"}}, fields), expected) << fields;
    EXPECT_EQ(vector("/embedding", {{"content", "a cat"}}, fields), expected) << fields;
    EXPECT_EQ(vector("/v1/embeddings", {{"input", "ask a cat"}}, json::object()) == expected,
              !fields.empty());
  }
}

TEST(ServeProgram, AnUnknownPromptIsAWrongValue) {
  const TemporaryFolder folder;
  ServeProgram server({"--model", "bert=" + write_tiny_bert(folder, "bert")});
  ASSERT_GT(server.port(), 0) << server.end().err;
  const json fields = {{"model", "bert"}, {"prompt_name", "nope"}};
  const auto ask = [&](const std::string& path, json body, int status) {
    body.update(fields);
    return post(server.port(), path, body, status);
  };
  const json openai = ask("/v1/embeddings", {{"input", "a"}}, 400)["error"];
  EXPECT_EQ(openai["param"], "prompt_name");
  EXPECT_EQ(openai["type"], "invalid_request_error");
  EXPECT_NE(openai["message"].get<std::string>().find("it has: document, query"), std::string::npos)
      << openai;
  ask("/embed", {{"inputs", "a"}}, 422);
  ask("/tokenize", {{"inputs", "a"}}, 422);
  ask("/api/embed", {{"input", "a"}}, 400);
  ask("/embedding", {{"content", "a"}}, 400);
  ask("/v1/embed", {{"texts", {"a"}}}, 400);
}

TEST(ServeProgram, ARefusedLongTextIsToldWhatHelps) {
  const TemporaryFolder folder;
  ServeProgram server({"--model", "bert=" + write_tiny_bert(folder, "bert"), "--model",
                       "scores=" + write_tiny_classifier(folder, "scores", 1),
                       "--no-auto-truncate"});
  ASSERT_GT(server.port(), 0) << server.end().err;
  std::string text;
  for (int i = 0; i < 50; ++i) text += "a ";
  const auto ask = [&](const std::string& path, json body, int status) {
    if (!body.contains("model")) body["model"] = "bert";
    return post(server.port(), path, body, status).dump();
  };
  const std::string send = R"(send \"truncate\": true to have it cut)";
  const std::string flag = send + ", which a server with --auto-truncate does unasked";
  const auto has = [](const std::string& answer, const std::string& part) {
    EXPECT_NE(answer.find(part), std::string::npos) << answer;
  };
  has(ask("/v1/embeddings", {{"input", text}}, 400), "52 tokens, model limit 32; " + flag);
  has(ask("/embed", {{"inputs", text}}, 422), "must have less than 32 tokens. Given: 52; " + flag);
  has(ask("/embedding", {{"content", text}}, 400), flag);
  ask("/embedding", {{"content", text}, {"truncate", true}}, 200);
  has(ask("/api/embed", {{"input", text}, {"truncate", false}}, 400), send);
  has(ask("/v2/embed", {{"texts", {text}}, {"input_type", "document"}, {"truncate", "NONE"}}, 422),
      R"(send \"truncate\": \"END\" to have it cut)");
  const json pair = {{"model", "scores"}, {"query", "a"}, {"documents", {"a", text}}};
  has(ask("/v1/rerank", pair, 422), "input 1: 54 tokens with the query, model limit 32; " + flag);
}

TEST(ServeProgram, InputsWithoutATokenAreCounted) {
  ServeProgram server({"--model", "words=" + std::string(kModel)});
  ASSERT_GT(server.port(), 0) << server.end().err;
  const json blank = {"   ", "hello", "\u200b"};
  const json openai = post(server.port(), "/v1/embeddings", {{"input", blank}});
  EXPECT_EQ(openai["usage"]["empty_inputs"], 2) << openai["usage"];
  EXPECT_FALSE(post(server.port(), "/v1/embeddings", {{"input", "hello"}})["usage"].contains(
      "empty_inputs"));
  const json cohere = post(server.port(), "/v1/embed", {{"texts", blank}});
  EXPECT_EQ(cohere["meta"]["warnings"], json({"2 inputs have no token and zero vectors"}));
  TestClient client(server.port());
  client.post("/embed", json{{"inputs", blank}}.dump());
  EXPECT_TRUE(client.read().has("x-akin-empty-inputs: 2"));
  const std::string counts = [&] {
    TestClient reader(server.port());
    reader.get("/metrics");
    return reader.read().body;
  }();
  EXPECT_NE(counts.find("\nakin_empty_inputs_total 6\n"), std::string::npos) << counts;
}

TEST(ServeProgram, RefusesLimitsOfNothingAndEmptyKeys) {
  for (const auto& flags : {std::vector<std::string>{"--api-key", ""},
                            {"--max-queue", "0"},
                            {"--max-connections", "0"},
                            {"--max-client-batch", "0"}}) {
    std::vector<std::string> words = {"serve", "--model", kModel, "--port", "0"};
    words.insert(words.end(), flags.begin(), flags.end());
    const auto done = run(words);
    EXPECT_EQ(done.code, 2) << flags[0];
    EXPECT_NE(done.err.find(flags[0]), std::string::npos) << done.err;
  }
  ServeProgram server({"--model", kModel, "--api-key", "a,b"});  // one key, whatever is in it
  ASSERT_GT(server.port(), 0) << server.end().err;
  for (const auto& [key, status] : std::map<std::string, int>{{"a,b", 200}, {"a", 401}}) {
    TestClient client(server.port());
    client.send("GET /v1/models HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer " + key + "\r\n\r\n");
    EXPECT_EQ(client.read().status, status) << key;
  }
}

TEST(ServeProgram, SearchesAnIndexAsTheCommandDoes) {
  const TemporaryFolder folder;
  std::string rows;
  for (int i = 0; i < 60; ++i) {
    rows += json{{"id", "r" + std::to_string(i)},
                 {"text", "entry number" + std::to_string(i) + " of the garden history"}}
                .dump() +
            "\n";
  }
  const auto index = folder.file("rows.index");
  const auto built = run({"index", "build", index, folder.write("rows.jsonl", rows), "--model",
                          kModel, "--id-field", "id"});
  ASSERT_EQ(built.code, 0) << built.err;
  ServeProgram server({"--model", "m=" + std::string(kModel), "--index", "rows=" + index});
  ASSERT_GT(server.port(), 0) << server.end().err;
  json queries = json::array();
  for (int i = 0; i < 20; ++i) {
    queries.push_back("which entry is number" + std::to_string(3 * i) + " of them, please");
  }
  for (const std::string mode : {"words", "hybrid", "vector"}) {
    const auto answer = json::parse(
        ask(server.port(), "/v1/search",
            json{{"index", "rows"}, {"query", queries}, {"mode", mode}, {"k", 3}}.dump()));
    for (size_t q = 0; q < queries.size(); ++q) {
      const auto done = run({"search", "--index", index, "--query", queries[q].get<std::string>(),
                             "--mode", mode, "--k", "3", "--json"});
      ASSERT_EQ(done.code, 0) << done.err;
      const auto expected = json::parse(done.out)["hits"];
      const auto& hits = answer["results"][q];
      ASSERT_EQ(hits.size(), expected.size()) << answer.dump().substr(0, 500);
      for (size_t h = 0; h < hits.size(); ++h) EXPECT_EQ(hits[h]["id"], expected[h]["id"]) << mode;
    }
  }
}

TEST(ServeProgram, AnIndexThatLostAFileDoesNotStart) {
  const TemporaryFolder folder;
  const auto index = folder.file("rows.index");
  const auto built = run({"index", "build", index, folder.write("rows.txt", "one\ntwo\nthree\n"),
                          "--model", kModel, "--codes", "int8:16"});
  ASSERT_EQ(built.code, 0) << built.err;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(index)) {
    if (entry.path().filename() == "codes.int8.16") std::filesystem::resize_file(entry.path(), 70);
  }
  ServeProgram server({"--model", "m=" + std::string(kModel), "--index", "rows=" + index});
  const auto end = server.end();
  EXPECT_EQ(server.port(), 0);
  EXPECT_NE(end.err.find("makes them again"), std::string::npos) << end.err;
  // A writer makes it again.
  ServeProgram writer(
      {"--model", "m=" + std::string(kModel), "--index", "rows=" + index, "--index-writable"});
  ASSERT_GT(writer.port(), 0) << writer.end().err;
  EXPECT_NE(ask(writer.port(), "/v1/search",
                json{{"index", "rows"}, {"query", "two"}, {"method", "funnel"}}.dump())
                .find("\"results\""),
            std::string::npos);
}

// What became of one connection.
struct Fate {
  size_t asked = 0, answered = 0, wrong = 0;
};

void send_part(TestClient& client, const std::string& body, bool second) {
  const size_t half = body.size() / 2;
  if (second) {
    client.send(body.substr(half));
  } else {
    client.send("POST /v1/embeddings HTTP/1.1\r\nHost: t\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body.substr(0, half));
  }
}

TEST(ServeProgram, SigtermUnderLoadAnswersWhatWasAccepted) {
  constexpr size_t kBusy = 24, kHalfSent = 8, kSilent = 8, kBodies = 50;
  ServeProgram server({"--model", kModel, "--threads", "1"});
  ASSERT_GT(server.port(), 0) << server.end().err;
  std::vector<std::string> bodies, expected;
  for (size_t i = 0; i < kBodies; ++i) {
    bodies.push_back(body(i));
    expected.push_back(ask(server.port(), "/v1/embeddings", bodies[i]));
  }
  const auto take = [&](TestClient& client, size_t i, Fate& fate) {
    const TestAnswer answer = client.read();
    if (answer.status != 200) return false;
    ++fate.answered;
    fate.wrong += answer.body != expected[i] ? 1 : 0;
    return !answer.has("Connection: close");
  };
  // Busy: one request behind the other until they are told to stop.
  std::vector<Fate> fates(kBusy + kHalfSent + kSilent);
  std::vector<std::thread> busy;
  for (size_t c = 0; c < kBusy; ++c) {
    busy.emplace_back([&, c] {
      TestClient client(server.port());
      for (size_t i = c;; ++i) {
        ++fates[c].asked;
        client.post("/v1/embeddings", bodies[i % kBodies]);
        if (!take(client, i % kBodies, fates[c])) return;
      }
    });
  }
  // Accepted before the signal: some have sent half a request, some nothing yet.
  std::vector<std::unique_ptr<TestClient>> others;
  for (size_t c = 0; c < kHalfSent + kSilent; ++c) {
    others.push_back(std::make_unique<TestClient>(server.port()));
    if (c < kHalfSent) send_part(*others[c], bodies[c], false);
  }
  std::this_thread::sleep_for(400ms);
  server.signal(SIGTERM);
  ASSERT_TRUE(server.says("draining")) << server.log();
  for (size_t c = 0; c < others.size(); ++c) {
    if (c < kHalfSent) {
      send_part(*others[c], bodies[c], true);
    } else {
      others[c]->post("/v1/embeddings", bodies[c]);
    }
  }
  for (size_t c = 0; c < others.size(); ++c) {
    Fate& fate = fates[kBusy + c];
    EXPECT_FALSE(take(*others[c], c, fate));  // the answer says that it closes
    // A request that began after the signal has half a second to arrive; later it is not accepted.
    fate.asked = c < kHalfSent ? 1 : fate.answered;
  }
  for (auto& client : busy) client.join();
  const Result result = server.end();
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("every request was answered"), std::string::npos) << result.err;
  size_t answered = kBodies;
  for (size_t c = 0; c < fates.size(); ++c) {
    EXPECT_EQ(fates[c].asked, fates[c].answered) << "connection " << c;
    EXPECT_EQ(fates[c].wrong, 0U) << "connection " << c;
    answered += fates[c].answered;
  }
  // The log tells of the same requests.
  size_t logged = 0;
  for (size_t at = 0; (at = result.err.find("\"status\":200", at)) != std::string::npos; ++at)
    ++logged;
  EXPECT_EQ(logged, answered);
  EXPECT_THROW(TestClient late(server.port()), std::runtime_error);
}

}  // namespace
}  // namespace akin::cli_test
