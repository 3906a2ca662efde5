// libFuzzer: any bytes as what a client sends on one connection, through the server's own
// connection code over a pair of connected sockets inside this process: no network, no waiting. The
// first byte says in what pieces the bytes come and whether keys are asked for. What comes back
// must be a row of whole HTTP/1.1 answers with bodies that are JSON where they say so, and the
// connection must end. The handlers' own parsers have a target of their own: dialect_bodies_fuzz.
#include <simdjson.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "serve/connection.h"
#include "serve/dialects/fake_service.h"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr size_t kMostBytes = 64 << 10;
constexpr size_t kPieces[] = {1, 7, 64, 4096, kMostBytes};

struct Fixture {
  akin::serve::FakeService service;
  akin::serve::Metrics metrics;
  akin::serve::Workers workers{1};
  akin::serve::Router router{akin::serve::dialects()};
};

// The other end: sends in pieces, then says that it has sent all; keeps what comes.
class Peer : public std::enable_shared_from_this<Peer> {
 public:
  Peer(tcp::socket socket, std::string_view bytes, size_t piece, std::string& got)
      : socket_(std::move(socket)), bytes_(bytes), piece_(piece), got_(got) {}
  void start() {
    send();
    receive();
  }

 private:
  void send() {
    error_code ignored;
    if (bytes_.empty()) {
      socket_.shutdown(tcp::socket::shutdown_send, ignored);
      return;
    }
    const std::string_view now = bytes_.substr(0, piece_);
    bytes_.remove_prefix(now.size());
    asio::async_write(socket_, asio::buffer(now.data(), now.size()),
                      [self = shared_from_this()](error_code error, size_t) {
                        if (!error) self->send();
                      });
  }
  void receive() {
    socket_.async_read_some(asio::buffer(buffer_),
                            [self = shared_from_this()](error_code error, size_t bytes) {
                              self->got_.append(self->buffer_, bytes);
                              if (!error) self->receive();
                            });
  }
  tcp::socket socket_;
  std::string_view bytes_;
  const size_t piece_;
  std::string& got_;
  char buffer_[4096];
};

std::string_view field(std::string_view head, std::string_view name) {
  const size_t at = head.find(name);
  if (at == std::string_view::npos) return {};
  const size_t begin = at + name.size();
  return head.substr(begin, head.find('\r', begin) - begin);
}

void expect(bool holds) {
  if (!holds) std::abort();
}

// Takes one answer from the front. A HEAD's answer has no body: what follows then is the next head.
void take_answer(std::string_view& got) {
  const size_t end = got.find("\r\n\r\n");
  expect(got.starts_with("HTTP/1.1 ") && end != std::string_view::npos);
  const std::string_view head = got.substr(0, end + 2);
  const int status = std::atoi(std::string(head.substr(9, 3)).c_str());
  expect(status >= 100 && status < 600);
  got.remove_prefix(end + 4);
  if (status < 200 || status == 204) return;
  const std::string length(field(head, "\r\nContent-Length: "));
  expect(!length.empty());
  const size_t size = std::stoull(length);
  if (size > got.size() || got.starts_with("HTTP/1.1 ")) return;
  const std::string_view body = got.substr(0, size);
  got.remove_prefix(size);
  if (field(head, "\r\nContent-Type: ") != "application/json") return;
  static simdjson::dom::parser parser;
  expect(parser.parse(body.data(), body.size()).error() == simdjson::SUCCESS);
}

std::string exchange(Fixture& fixture, const akin::serve::ServerOptions& options,
                     std::string_view bytes, size_t piece) {
  const akin::serve::ApiKeys keys(options.api_keys);
  akin::serve::Shared shared{fixture.service,
                             fixture.metrics,
                             fixture.workers,
                             fixture.router,
                             options,
                             keys,
                             false,
                             0,
                             0,
                             "fuzz",
                             {},
                             {}};
  std::string got;
  {
    asio::io_context context(1);
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    tcp::socket served(context), peer(context);
    served.assign(tcp::v4(), ends[0]);
    peer.assign(tcp::v4(), ends[1]);
    akin::serve::make_connection(shared, std::move(served), nullptr)->start();
    std::make_shared<Peer>(std::move(peer), bytes, piece, got)->start();
    context.run();
  }
  expect(shared.connections.empty() && shared.waiting_bytes == 0);
  return got;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Fixture fixture;
  if (size == 0 || size > kMostBytes) return 0;
  akin::serve::ServerOptions options;
  options.max_body_bytes = 32 << 10;
  if ((data[0] & 8) != 0) options.api_keys = {"key"};
  if ((data[0] & 16) != 0) options.cors_allow = {"*"};
  options.log = [](const akin::serve::RequestLine& line) { expect(line.status >= 200); };
  const std::string got =
      exchange(fixture, options, {reinterpret_cast<const char*>(data) + 1, size - 1},
               kPieces[(data[0] & 7) % std::size(kPieces)]);
  for (std::string_view rest = got; !rest.empty();) take_answer(rest);
  return 0;
}
