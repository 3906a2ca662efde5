// HTTP/1.1 in front of a Service: sockets, TLS, limits, keys, time-outs, drain. What paths mean is
// the dialects' business (dialect.h), what a model answers the host's (host.h).
//
// One thread runs all sockets; handlers of small requests run on it, those of large bodies on the
// host's workers, and answers come back from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serve/dialect.h"
#include "serve/host_workers.h"
#include "serve/metrics.h"

namespace akin::serve {

// One answered request, for a log.
struct RequestLine {
  std::string_view id, method, path, remote;
  int status = 0;
  double milliseconds = 0;
  size_t bytes_in = 0, bytes_out = 0;
  std::string_view tokens;  // as answered in x-compute-tokens; empty: none
};

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;  // 0: any free one
  std::vector<std::string> api_keys;
  std::string tls_cert, tls_key;        // PEM files; both or neither
  std::vector<std::string> cors_allow;  // origins, or "*"
  size_t max_body_bytes = size_t{32} << 20;
  size_t max_waiting_bytes = size_t{512} << 20;  // bodies of all requests together
  size_t max_connections = 8192;
  std::chrono::milliseconds deadline{60'000};        // of a request, from its first byte
  std::chrono::milliseconds header_timeout{10'000};  // from a request's first byte to its body
  std::chrono::milliseconds idle_timeout{75'000};    // between requests
  std::chrono::milliseconds drain_grace{500};        // for requests already on their way
  std::chrono::milliseconds drain_timeout{30'000};
  size_t least_bytes_per_second = 16 << 10;     // of a body, in either direction, after 10 s
  std::function<void(const RequestLine&)> log;  // on the sockets' thread; may be empty
};

class Server {
 public:
  // Binds. Errors: io (address in use, named), usage, bad_format (certificate).
  Server(Service& service, Metrics& metrics, Workers& workers,
         std::span<const Dialect* const> dialects, ServerOptions options);
  ~Server();
  uint16_t port() const;

  // Serves until drain() has been called and everything that was accepted is answered. False: some
  // was not within drain_timeout. Afterwards the service and its threads may go; they go before
  // the server, which their late answers still name.
  bool run();
  // Takes no more connections, answers what is there. Thread-safe.
  void drain();
  // SIGTERM and SIGINT drain, the second ends the process at once; SIGHUP calls `reload` on a
  // thread of its own. Before run().
  void handle_signals(std::function<void()> reload, std::function<void()> draining);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace akin::serve
