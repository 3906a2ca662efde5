#include "serve/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdlib>
#include <random>
#include <thread>
#include <utility>

#include "base/log.h"
#include "serve/connection.h"
#include "serve/tls.h"

namespace akin::serve {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr int kBacklog = 4096;
constexpr auto kLookEvery = std::chrono::milliseconds(100);
constexpr auto kRetryAccept = std::chrono::milliseconds(50);

std::string random_prefix() {
  std::random_device device;
  return fmt::format("{:08x}", device());
}

}  // namespace

struct Server::State {
  State(Service& service, Metrics& metrics, Workers& workers,
        std::span<const Dialect* const> dialects, ServerOptions given)
      : options(std::move(given)),
        router(dialects),
        keys(options.api_keys),
        shared{service, metrics, workers, router,          options, keys,
               false,   0,       0,       random_prefix(), {},      {}},
        context(1),
        acceptor(context),
        look_timer(context),
        accept_timer(context),
        drain_timer(context),
        signals(context) {
    shared.one_closed = [this] { connection_closed(); };
  }

  void listen();
  void accept();
  void accepted(tcp::socket socket);
  void look();
  void connection_closed();
  void begin_drain();
  void end_if_done();
  void wait_for_signal();
  void reload_everything();

  const ServerOptions options;
  const Router router;
  const ApiKeys keys;
  Shared shared;
  asio::io_context context;
  tcp::acceptor acceptor;
  asio::steady_timer look_timer, accept_timer, drain_timer;
  asio::signal_set signals;
  std::shared_ptr<asio::ssl::context> tls;  // replaced by a reload; connections keep theirs
  std::function<void()> on_reload, on_drain;
  std::thread reloader;
  std::atomic<bool> reloading{false};
  bool paused = false, timed_out = false, ended = false;
  uint16_t port = 0;
};

void Server::State::listen() {
  const std::string where = fmt::format("{}:{}", options.host, options.port);
  error_code error;
  tcp::resolver resolver(context);
  const auto found =
      resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, error);
  if (error || found.empty())
    throw_error(ErrorKind::usage, "--host", "{} is no address of this machine: {}",
                quote(options.host), error.message());
  const tcp::endpoint end = found.begin()->endpoint();
  acceptor.open(end.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(end, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (!error) acceptor.non_blocking(true, error);
  if (error) {
    throw_error(ErrorKind::io, where, "cannot listen: {}; choose another --port (0: any free one)",
                error.message());
  }
  port = acceptor.local_endpoint().port();
}

void Server::State::accept() {
  if (!acceptor.is_open()) return;
  if (shared.connections.size() >= options.max_connections) {
    paused = true;  // until one closes
    return;
  }
  acceptor.async_accept([this](error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted || !acceptor.is_open()) return;
    if (!error) {
      accepted(std::move(socket));
      accept();
      return;
    }
    accept_timer.expires_after(kRetryAccept);  // no file descriptors left, most likely
    accept_timer.async_wait([this](error_code cancelled) {
      if (!cancelled) accept();
    });
  });
}

void Server::State::accepted(tcp::socket socket) {
  make_connection(shared, std::move(socket), tls.get())->start();
}

void Server::State::connection_closed() {
  if (paused && !shared.draining) {
    paused = false;
    asio::post(context, [this] { accept(); });
  }
  if (shared.draining) end_if_done();
}

void Server::State::look() {
  look_timer.expires_after(kLookEvery);
  look_timer.async_wait([this](error_code cancelled) {
    if (cancelled || ended) return;
    for (Connection* connection : shared.connections) connection->look_for_client();
    look();
  });
}

// Connections that the kernel has taken on are served, too; those between requests have a moment
// for one that is on its way.
void Server::State::begin_drain() {
  if (shared.draining) return;
  shared.draining = true;
  if (on_drain) on_drain();
  error_code error;
  while (acceptor.is_open()) {
    tcp::socket socket(context);
    acceptor.accept(socket, error);
    if (error) break;
    accepted(std::move(socket));
  }
  acceptor.close(error);
  accept_timer.cancel();
  drain_timer.expires_after(options.drain_grace);
  drain_timer.async_wait([this](error_code cancelled) {
    if (cancelled || ended) return;
    for (Connection* connection : shared.connections) connection->close_if_idle();
    drain_timer.expires_after(options.drain_timeout);
    drain_timer.async_wait([this](error_code stopped) {
      if (stopped || ended) return;
      timed_out = true;
      for (Connection* connection : shared.connections) connection->abort();
    });
  });
  end_if_done();
}

void Server::State::end_if_done() {
  if (ended || !shared.connections.empty()) return;
  ended = true;
  look_timer.cancel();
  drain_timer.cancel();
  error_code ignored;
  signals.cancel(ignored);
}

void Server::State::wait_for_signal() {
  signals.async_wait([this](error_code cancelled, int number) {
    if (cancelled) return;
    if (number == SIGHUP) {
      reload_everything();
    } else if (shared.draining) {
      std::_Exit(128 + number);
    } else {
      begin_drain();
    }
    if (!ended) wait_for_signal();
  });
}

void Server::State::reload_everything() {
  if (!options.tls_cert.empty()) {
    try {
      tls = make_tls(options.tls_cert, options.tls_key);
    } catch (const Error& error) {
      log_warning("reload: the certificate stays as it is: {}", error.what());
    }
  }
  if (!on_reload || reloading.exchange(true)) return;
  if (reloader.joinable()) reloader.join();
  reloader = std::thread([this] {
    on_reload();
    reloading = false;
  });
}

Server::Server(Service& service, Metrics& metrics, Workers& workers,
               std::span<const Dialect* const> dialects, ServerOptions options)
    : state_(std::make_unique<State>(service, metrics, workers, dialects, std::move(options))) {
  const auto& chosen = state_->options;
  if (chosen.tls_cert.empty() != chosen.tls_key.empty()) {
    throw_error(ErrorKind::usage, "--tls-cert", "and --tls-key go together: give both, or neither");
  }
  if (!chosen.tls_cert.empty()) state_->tls = make_tls(chosen.tls_cert, chosen.tls_key);
  state_->listen();
}

Server::~Server() {
  if (state_->reloader.joinable()) state_->reloader.join();
}

uint16_t Server::port() const { return state_->port; }

bool Server::run() {
  State& state = *state_;
  state.accept();
  state.look();
  state.context.run();
  if (state.reloader.joinable()) state.reloader.join();
  return !state.timed_out;
}

void Server::drain() {
  asio::post(state_->context, [state = state_.get()] { state->begin_drain(); });
}

void Server::handle_signals(std::function<void()> reload, std::function<void()> draining) {
  state_->on_reload = std::move(reload);
  state_->on_drain = std::move(draining);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) state_->signals.add(number);
  state_->wait_for_signal();
}

}  // namespace akin::serve
