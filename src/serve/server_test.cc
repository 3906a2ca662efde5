// The server over loopback: clients that pipeline, hang up, crawl, half-close, send too much or
// rubbish; drain under load.
#include "serve/server.h"

#include <gtest/gtest.h>

#include <thread>

#include "serve/test_client.h"
#include "serve/test_models.h"

namespace akin::serve {
namespace {

using namespace std::chrono_literals;

// POST /embed: the body is one text, the answer its vector in words.
void embed(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  if (request.body.empty()) throw_error(ErrorKind::usage, "body", "is empty");
  service.embed(raw_request({request.body}), call,
                [reply = std::move(reply), text = request.body](Outcome<EmbedResult> outcome) {
                  HttpResponse response;
                  if (const auto* error = std::get_if<Error>(&outcome)) {
                    response.status = error_kind_info(error->kind()).http_status;
                    response.body = error->what();
                  } else {
                    const auto& vectors = std::get<EmbedResult>(outcome).vectors;
                    response.body = fmt::format("{} {}", vectors(0, 0), vectors(0, 1));
                  }
                  reply(std::move(response));
                });
}

void hello(Service&, const HttpRequest& request, const Call&, Reply reply) {
  HttpResponse response;
  response.content_type = "text/plain";
  response.body = "hello " + request.path;
  reply(std::move(response));
}

constexpr Route kRoutes[] = {
    {"POST", "/embed", embed}, {"GET", "/hello", hello, true}, {"GET", "/files/*", hello, true}};

HttpResponse shape(const Error& error, const HttpRequest&) {
  HttpResponse response;
  response.status = error_kind_info(error.kind()).http_status;
  response.body = fmt::format("shaped: {}", error.what());
  return response;
}

std::string answer_of(const std::string& text) {
  const auto vector = ByteEncoder::expected(text);
  return fmt::format("{} {}", vector[0], vector[1]);
}

class Running {
 public:
  explicit Running(ServerOptions options = {}, HostOptions host_options = {})
      : encoder(std::make_shared<ByteEncoder>()),
        host_(
            std::make_unique<Host>(std::vector<ModelSource>{bytes_source(encoder)}, host_options)) {
    static const Dialect dialect = {"test", "for tests", kRoutes, shape};
    static const Dialect* const dialects[] = {&dialect};
    options.port = 0;
    server_ =
        std::make_unique<Server>(*host_, host_->counts(), host_->workers(), dialects, options);
    thread_ = std::thread([this] { complete_ = server_->run(); });
  }
  ~Running() { stop(); }
  uint16_t port() const { return server_->port(); }
  Host& host() { return *host_; }
  void drain() { server_->drain(); }
  bool stop() {
    if (thread_.joinable()) {
      encoder->gate(true);
      server_->drain();
      thread_.join();
      host_.reset();
    }
    return complete_;
  }
  std::shared_ptr<ByteEncoder> encoder;

 private:
  std::unique_ptr<Host> host_;
  std::unique_ptr<Server> server_;
  bool complete_ = false;
  std::thread thread_;
};

ServerOptions quick() {
  ServerOptions options;
  options.drain_grace = 50ms;
  options.max_body_bytes = 1 << 20;
  return options;
}

TEST(Server, KeepsAliveAndAnswersPipelinedRequestsInOrder) {
  Running server(quick());
  TestClient client(server.port());
  const auto request = [](const std::string& text) {
    return fmt::format("POST /embed HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n{}",
                       text.size(), text);
  };
  std::string many;
  for (int i = 0; i < 50; ++i) many += request(fmt::format("text {}", i));
  ASSERT_TRUE(client.send(many));
  for (int i = 0; i < 50; ++i) {
    const auto answer = client.read();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, answer_of(fmt::format("text {}", i)));
  }
}

TEST(Server, PathsMethodsAndIds) {
  Running server(quick());
  TestClient client(server.port());
  client.get("/nothing");
  auto answer = client.read();
  EXPECT_EQ(answer.status, 404);
  EXPECT_NE(answer.body.find("/nothing"), std::string::npos);
  client.get("/embed");
  answer = client.read();
  EXPECT_EQ(answer.status, 405);
  EXPECT_TRUE(answer.has("Allow: OPTIONS, POST"));
  client.get("/hello", "x-request-id: mine-1\r\n", "HEAD");
  answer = client.read(true);
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.has("Content-Length: 12"));
  EXPECT_TRUE(answer.has("x-request-id: mine-1\r\n"));
  client.get("/files/a%20b?x=1", "x-request-id: bad id\r\n");
  answer = client.read();
  EXPECT_EQ(answer.body, "hello /files/a b");
  EXPECT_FALSE(answer.has("bad id"));
  client.get("/files/%zz");
  EXPECT_EQ(client.read().status, 400);
  client.post("/embed", "");
  EXPECT_EQ(client.read().body, "shaped: body: is empty");
  client.get("/health");
  EXPECT_EQ(client.read().status, 200);
  client.get("/health/live");
  EXPECT_EQ(client.read().status, 200);
  client.get("/metrics");
  EXPECT_NE(client.read().body.find("te_request_count{method=\"single\"}"), std::string::npos);
}

TEST(Server, OldAndClosingClients) {
  Running server(quick());
  TestClient old(server.port());
  old.send("GET /hello HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(old.read().has("Connection: close"));
  EXPECT_TRUE(old.closed());
  TestClient closing(server.port());
  closing.get("/hello", "Connection: close\r\n");
  EXPECT_EQ(closing.read().status, 200);
  EXPECT_TRUE(closing.closed());
}

TEST(Server, KeysAndOrigins) {
  auto options = quick();
  options.api_keys = {"first", "second"};
  options.cors_allow = {"https://page.example"};
  Running server(options);
  TestClient client(server.port());
  client.get("/hello");
  EXPECT_EQ(client.read().status, 200);  // open
  for (const char* header :
       {"Authorization: Bearer second\r\n", "authorization: bearer first\r\n"}) {
    client.post("/embed", "x", header);
    EXPECT_EQ(client.read().status, 200);
  }
  client.get("/hello", "Origin: https://page.example\r\n");
  EXPECT_TRUE(client.read().has("Access-Control-Allow-Origin: https://page.example"));
  client.get("/embed", "Origin: https://page.example\r\n", "OPTIONS");
  EXPECT_TRUE(client.read().has("Access-Control-Allow-Methods: OPTIONS, POST"));
  client.get("/hello", "Origin: https://other.example\r\n");
  EXPECT_FALSE(client.read().has("Access-Control-Allow-Origin"));
  for (const char* header : {"", "Authorization: Bearer wrong\r\n", "Authorization: first\r\n"}) {
    TestClient stranger(server.port());
    stranger.post("/embed", "x", header);
    const auto answer = stranger.read();
    EXPECT_EQ(answer.status, 401);
    EXPECT_TRUE(answer.has("WWW-Authenticate: Bearer"));
    EXPECT_EQ(answer.body.rfind("shaped: ", 0), 0U);
  }
}

TEST(Server, BodiesOfEveryKind) {
  Running server(quick());
  TestClient client(server.port());
  client.send(
      "POST /embed HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(client.read().body, answer_of("abcde"));
  client.send(
      "POST /embed HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  std::this_thread::sleep_for(20ms);
  client.send("fghij");
  EXPECT_EQ(client.read().body, answer_of("fghij"));
  const std::string large((1 << 20) - 10, 'x');  // parsed by a worker
  client.post("/embed", large);
  EXPECT_EQ(client.read().status, 200);
  TestClient over(server.port());
  over.post("/embed", std::string(10 << 20, 'x'));  // all sent before the answer is read
  auto answer = over.read();
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.body.rfind("shaped: ", 0), 0U);
  TestClient chunks(server.port());
  std::string body = "POST /embed HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 300; ++i) body += "2000\r\n" + std::string(0x2000, 'y') + "\r\n";
  chunks.send(body);
  EXPECT_EQ(chunks.read().status, 413);
}

TEST(Server, RubbishIsRefused) {
  Running server(quick());
  const std::string big = "GET /hello HTTP/1.1\r\nX: " + std::string(40'000, 'a') + "\r\n\r\n";
  const std::vector<std::pair<std::string, int>> cases = {
      {"\x16\x03\x01\x02\x00 hello\r\n\r\n", 400},
      {"GET\r\n\r\n", 400},
      {"GET /hello HTTP/9.9\r\n\r\n", 400},
      {"POST /embed HTTP/1.1\r\nContent-Length: 5x\r\n\r\n", 400},
      {"POST /embed HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400},
      {"POST /embed HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
      {"POST /embed HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx", 415},
      {"POST /embed HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
      {big, 431}};
  for (const auto& [bytes, status] : cases) {
    TestClient client(server.port());
    client.send(bytes);
    EXPECT_EQ(client.read().status, status) << bytes.substr(0, 60);
  }
  // A body whose end is not known is never read as the next request.
  TestClient smuggler(server.port());
  smuggler.send(
      "POST /embed HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n"
      "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n");
  const auto refused = smuggler.read();
  EXPECT_EQ(refused.status, 501);
  EXPECT_TRUE(refused.has("Connection: close"));
  TestClient fine(server.port());
  fine.get("/hello");
  EXPECT_EQ(fine.read().status, 200);
}

TEST(Server, SlowClientsAreSentAwayAndHoldNobodyUp) {
  auto options = quick();
  options.header_timeout = 300ms;
  options.idle_timeout = 300ms;
  Running server(options);
  std::vector<std::unique_ptr<TestClient>> crawling;
  for (int i = 0; i < 50; ++i) {
    crawling.push_back(std::make_unique<TestClient>(server.port()));
    crawling.back()->send("POST /embed HTTP/1.1\r\nHo");
  }
  TestClient silent(server.port());
  for (int i = 0; i < 20; ++i) {
    TestClient client(server.port());
    client.post("/embed", "quick");
    EXPECT_EQ(client.read().body, answer_of("quick"));
    std::this_thread::sleep_for(20ms);
    if (i < 10) crawling[0]->send("s");  // bytes now and then do not help
  }
  for (auto& client : crawling) {
    EXPECT_TRUE(client->closed());
  }
  EXPECT_TRUE(silent.closed());
}

TEST(Server, AHalfClosedClientGetsItsAnswer) {
  Running server(quick());
  server.encoder->gate(false);
  TestClient client(server.port());
  client.post("/embed", "half");
  client.finish_sending();
  std::this_thread::sleep_for(400ms);  // several looks at the socket
  server.encoder->gate(true);
  EXPECT_EQ(client.read().body, answer_of("half"));
}

TEST(Server, ThoseWhoHangUpCostNothing) {
  Running server(quick());
  server.encoder->gate(false);
  TestClient first(server.port());
  first.post("/embed", "first");
  std::this_thread::sleep_for(50ms);
  {
    TestClient leaving(server.port());
    leaving.post("/embed", "leaving");
    std::this_thread::sleep_for(50ms);
  }
  std::this_thread::sleep_for(500ms);
  server.encoder->gate(true);
  EXPECT_EQ(first.read().status, 200);
  TestClient last(server.port());
  last.post("/embed", "last");
  EXPECT_EQ(last.read().status, 200);
  EXPECT_EQ(server.encoder->count("leaving"), 0U);
}

TEST(Server, DeadlinesAndFullQueues) {
  auto options = quick();
  options.deadline = 200ms;
  HostOptions host;
  host.limits.max_queue = 2;
  Running server(options, host);
  server.encoder->gate(false);
  TestClient a(server.port()), b(server.port()), c(server.port());
  a.post("/embed", "a");
  b.post("/embed", "b");
  std::this_thread::sleep_for(50ms);
  c.post("/embed", "c");
  const auto full = c.read();
  EXPECT_EQ(full.status, 429);
  EXPECT_TRUE(full.has("Retry-After: 1"));
  const auto late = b.read();  // while the model still hangs
  EXPECT_EQ(late.status, 503);
  EXPECT_TRUE(late.has("Retry-After: 1"));
  server.encoder->gate(true);
  a.read();
  std::this_thread::sleep_for(100ms);  // until the model has come back to its queue
  b.post("/embed", "again");
  EXPECT_EQ(b.read().body, answer_of("again"));  // the connection is still good
}

TEST(Server, DrainAnswersEverythingThatWasAccepted) {
  Running server(quick());
  server.encoder->delay = 2ms;
  std::atomic<size_t> sent{0}, answered{0}, wrong{0};
  std::vector<std::thread> clients;
  for (int c = 0; c < 24; ++c) {
    clients.emplace_back([&, c] {
      TestClient client(server.port());
      for (int i = 0;; ++i) {
        const std::string text = fmt::format("client {} text {}", c, i);
        ++sent;
        client.post("/embed", text);
        const auto answer = client.read();
        if (answer.status == 0) break;
        ++answered;
        wrong += answer.body != answer_of(text) ? 1 : 0;
        if (answer.has("Connection: close")) return;
      }
    });
  }
  std::this_thread::sleep_for(300ms);
  EXPECT_TRUE(server.stop());
  for (auto& client : clients) client.join();
  EXPECT_EQ(sent, answered);
  EXPECT_EQ(wrong, 0U);
  EXPECT_GT(answered, 100U);
}

}  // namespace
}  // namespace akin::serve
