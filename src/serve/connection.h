// One client's connection: requests read, checked and answered one after another. Internal to
// server.cc, the only other file that sees Boost.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <memory>
#include <set>
#include <string>

#include "serve/auth.h"
#include "serve/server.h"
#include "serve/server_routes.h"

namespace akin::serve {

// What a server asks of its connections.
class Connection {
 public:
  virtual ~Connection() = default;
  virtual void start() = 0;
  // Looks whether the client of a request under way has hung up.
  virtual void look_for_client() = 0;
  // Draining: one that is between requests is closed.
  virtual void close_if_idle() = 0;
  virtual void abort() = 0;
};

// What connections share. Touched on the sockets' thread only.
struct Shared {
  Service& service;
  Metrics& metrics;
  Workers& workers;
  const Router& router;
  const ServerOptions& options;
  const ApiKeys& keys;
  bool draining = false;
  size_t waiting_bytes = 0;  // of bodies
  uint64_t next_id = 0;      // of requests
  std::string id_prefix;
  std::set<Connection*> connections;
  std::function<void()> one_closed;
};

std::shared_ptr<Connection> make_connection(Shared& shared, boost::asio::ip::tcp::socket socket,
                                            boost::asio::ssl::context* tls);

}  // namespace akin::serve
