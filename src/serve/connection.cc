#include "serve/connection.h"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <ctime>
#include <optional>

#include "base/log.h"
#include "serve/http_text.h"

namespace akin::serve {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Clock = std::chrono::steady_clock;
using boost::system::error_code;

constexpr auto kTuple = asio::experimental::as_tuple(asio::use_awaitable);
constexpr int kClientGone = 499;  // in the log, as nginx has it
constexpr size_t kHeaderBytes = 16 << 10;
constexpr size_t kChunkedGuess = size_t{1} << 20;  // of a body that does not say its size
constexpr size_t kInlineBody = 16 << 10;           // larger ones are parsed by a worker
constexpr size_t kLingerBytes = size_t{64} << 20;
constexpr auto kLinger = std::chrono::seconds(2);
constexpr auto kBodyGrace = std::chrono::seconds(10);
constexpr auto kDeadlineGrace = std::chrono::milliseconds(200);

// Where the answer of one request arrives, from any thread; outlives a connection that broke.
struct Pending {
  explicit Pending(const asio::any_io_executor& on) : executor(on), timer(on) {}
  asio::any_io_executor executor;
  asio::steady_timer timer;  // cancelled by the answer
  std::optional<HttpResponse> response;
};

// Bytes counted as waiting while this lives.
class Reservation {
 public:
  Reservation(size_t& total, size_t bytes) : total_(total), bytes_(bytes) { total_ += bytes_; }
  ~Reservation() { total_ -= bytes_; }
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;

 private:
  size_t& total_;
  const size_t bytes_;
};

template <typename Stream>
class ConnectionOf final : public Connection,
                           public std::enable_shared_from_this<ConnectionOf<Stream>> {
 public:
  static constexpr bool kTls = !std::is_same_v<Stream, beast::tcp_stream>;

  template <typename... Args>
  ConnectionOf(Shared& shared, std::string remote, Args&&... args)
      : shared_(shared), remote_(std::move(remote)), stream_(std::forward<Args>(args)...) {
    shared_.connections.insert(this);
    ++shared_.metrics.connections;
  }
  ~ConnectionOf() override {
    shared_.connections.erase(this);
    --shared_.metrics.connections;
    if (shared_.one_closed) shared_.one_closed();
  }

  void start() override {
    asio::co_spawn(
        stream_.get_executor(), [self = this->shared_from_this()] { return self->serve(); },
        asio::detached);
  }

  void look_for_client() override;
  void close_if_idle() override {
    if (idle_) socket().cancel();
  }
  void abort() override {
    error_code ignored;
    socket().close(ignored);
    if (gone_) gone_->store(true);
    if (pending_) pending_->timer.cancel();
  }

 private:
  using Parser = http::request_parser<http::string_body>;
  asio::awaitable<void> serve();
  asio::awaitable<bool> wait_for_request();
  asio::awaitable<bool> serve_one();
  asio::awaitable<bool> read_body(Parser& parser);
  asio::awaitable<bool> refuse_header(error_code error);
  asio::awaitable<HttpResponse> answer(const RouteEntry& entry);
  asio::awaitable<bool> write(HttpResponse response, bool keep_alive);
  asio::awaitable<void> linger();
  void log(const HttpResponse& response, size_t bytes_out);
  std::optional<HttpResponse> check_header(const Parser& parser);
  HttpResponse options_response(std::span<const RouteEntry> entries) const;
  void take_header(const Parser& parser);
  void dispatch(const RouteEntry& entry, const std::shared_ptr<Pending>& pending, const Call& call);
  HttpResponse error_of(const Error& error, int status) const;

  beast::tcp_stream& lowest() { return beast::get_lowest_layer(stream_); }
  asio::ip::tcp::socket& socket() { return lowest().socket(); }
  std::chrono::milliseconds transfer_time(size_t bytes) const {
    return kBodyGrace +
           std::chrono::milliseconds(bytes * 1000 /
                                     std::max<size_t>(shared_.options.least_bytes_per_second, 1));
  }

  Shared& shared_;
  const std::string remote_;
  Stream stream_;
  beast::flat_buffer buffer_;
  bool idle_ = false, probed_ = false;

  // Of the request under way.
  std::shared_ptr<HttpRequest> request_;  // shared with a worker that parses it
  const RouteEntry* entry_ = nullptr;     // null: none of the routes
  Clock::time_point started_;
  std::string id_;
  unsigned version_ = 11;
  std::shared_ptr<std::atomic<bool>> gone_;
  std::shared_ptr<Pending> pending_;  // shared with the function that answers
};

// ---------------------------------------------------------------------------- life of a connection

template <typename Stream>
asio::awaitable<void> ConnectionOf<Stream>::serve() {
  const auto self = this->shared_from_this();
  try {
    if constexpr (kTls) {
      lowest().expires_after(shared_.options.header_timeout);
      const auto [error] = co_await stream_.async_handshake(asio::ssl::stream_base::server, kTuple);
      if (error) co_return;
    }
    while (co_await wait_for_request()) {
      if (!co_await serve_one()) break;
    }
    if constexpr (kTls) {
      lowest().expires_after(kLinger);
      co_await stream_.async_shutdown(kTuple);
    }
  } catch (const std::exception& error) {
    log_warning("connection from {}: {}", remote_, error.what());
  }
  error_code ignored;
  socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket().close(ignored);
}

// Until the first byte of a request; false: none will come.
template <typename Stream>
asio::awaitable<bool> ConnectionOf<Stream>::wait_for_request() {
  if (buffer_.size() > 0) co_return true;
  if (!socket().is_open()) co_return false;
  idle_ = true;
  lowest().expires_after(shared_.draining ? shared_.options.drain_grace
                                          : shared_.options.idle_timeout);
  const auto room = buffer_.prepare(4096);
  const auto [error, bytes] = co_await stream_.async_read_some(room, kTuple);
  idle_ = false;
  if (error) co_return false;
  buffer_.commit(bytes);
  co_return true;
}

// False: the connection ends here.
template <typename Stream>
asio::awaitable<bool> ConnectionOf<Stream>::serve_one() {
  started_ = Clock::now();
  entry_ = nullptr;
  probed_ = false;
  id_.clear();
  request_ = std::make_shared<HttpRequest>();
  Parser parser;
  parser.header_limit(kHeaderBytes);
  parser.body_limit(boost::none);
  lowest().expires_after(shared_.options.header_timeout);
  const auto [error, bytes] = co_await http::async_read_header(stream_, buffer_, parser, kTuple);
  if (error) co_return co_await refuse_header(error);
  take_header(parser);
  // Where the body ends is not known: nothing behind this header may be read as a request.
  if (const auto coding = request_->header("transfer-encoding");
      !coding.empty() && !beast::iequals(coding, "chunked")) {
    co_return co_await write(
        error_response(501, "invalid_request_error",
                       fmt::format("Transfer-Encoding: {} is not read; send chunked, or a "
                                   "Content-Length",
                                   quote(coding, 40))),
        false);
  }
  if (auto refused = check_header(parser)) {
    const bool body_follows = !parser.is_done();
    const bool keep = parser.get().keep_alive() && !body_follows;
    co_return co_await write(std::move(*refused), keep);
  }
  const bool keep_alive = parser.get().keep_alive();
  // What a body may come to is counted before a byte of it is read.
  const Reservation reserved(
      shared_.waiting_bytes,
      parser.is_done() ? 0 : parser.content_length().value_or(kChunkedGuess));
  if (shared_.waiting_bytes > shared_.options.max_waiting_bytes) {
    auto busy = error_of(Error(ErrorKind::overloaded, "too many bytes wait already; try again"), 0);
    co_return co_await write(std::move(busy), keep_alive && parser.is_done());
  }
  if (!parser.is_done() && !co_await read_body(parser)) co_return false;
  request_->body = std::move(parser.get().body());
  HttpResponse response = co_await answer(*entry_);
  if (gone_->load()) {
    response.status = kClientGone;
    log(response, 0);
    co_return false;
  }
  co_return co_await write(std::move(response), keep_alive && !shared_.draining);
}

template <typename Stream>
asio::awaitable<bool> ConnectionOf<Stream>::refuse_header(error_code error) {
  HttpResponse response;
  if (error == http::error::header_limit) {
    response = error_response(431, "invalid_request_error", "the header is over 16 KB");
  } else if (error == beast::error::timeout) {  // by now the socket is closed
    log(error_response(408, "", ""), 0);
    co_return false;
  } else if (error.category() == http::make_error_code(http::error::bad_method).category() &&
             error != http::error::end_of_stream && error != http::error::partial_message) {
    response = error_response(400, "invalid_request_error",
                              fmt::format("not an HTTP request: {}", error.message()));
  } else {
    co_return false;
  }
  co_return co_await write(std::move(response), false);
}

// ---------------------------------------------------------------------------- the header

template <typename Stream>
void ConnectionOf<Stream>::take_header(const Parser& parser) {
  const auto& message = parser.get();
  version_ = message.version();
  request_->method = std::string(message.method_string());
  const std::string_view target(message.target().data(), message.target().size());
  const size_t question = std::min(target.find('?'), target.size());
  request_->path = std::string(target.substr(0, question));
  if (question < target.size()) request_->query = std::string(target.substr(question + 1));
  for (const auto& field : message) {
    std::string name(field.name_string());
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    request_->headers.emplace_back(std::move(name), std::string(field.value()));
  }
  id_ = clean_request_id(request_->header("x-request-id"));
  if (id_.empty()) id_ = fmt::format("{}-{}", shared_.id_prefix, shared_.next_id++);
}

// A refusal that needs no body to be read.
template <typename Stream>
std::optional<HttpResponse> ConnectionOf<Stream>::check_header(const Parser& parser) {
  try {
    request_->path = percent_decode(request_->path);
  } catch (const Error& error) {
    return plain_error(error, *request_);
  }
  const auto entries = shared_.router.at(request_->path);
  if (entries.empty()) {
    return error_response(404, "not_found_error",
                          fmt::format("no such path: {}", quote(request_->path)));
  }
  if (request_->method == "OPTIONS") return options_response(entries);
  entry_ = Router::choose(entries, request_->method);
  if (entry_ == nullptr) {
    auto response =
        error_response(405, "invalid_request_error",
                       fmt::format("{} takes {}, not {}", request_->path, Router::allowed(entries),
                                   quote(request_->method, 16)));
    response.headers.emplace_back("Allow", Router::allowed(entries));
    return response;
  }
  if (!entry_->route->open && !shared_.keys.allows(request_->header("authorization"))) {
    auto response = error_of(
        Error(ErrorKind::usage, "a valid API key is needed: Authorization: Bearer KEY"), 401);
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
  }
  if (const auto coding = request_->header("content-encoding");
      !coding.empty() && !beast::iequals(coding, "identity")) {
    return error_of(Error(ErrorKind::usage, fmt::format("Content-Encoding: {} is not read; send "
                                                        "the body as it is",
                                                        quote(coding, 40))),
                    415);
  }
  const auto length = parser.content_length();
  if (length && *length > shared_.options.max_body_bytes) {
    return error_of(Error(ErrorKind::usage,
                          fmt::format("the body has {} bytes, the server takes {}; send fewer "
                                      "texts a request, or start it with a larger --max-body-mb",
                                      *length, shared_.options.max_body_bytes)),
                    413);
  }
  return std::nullopt;
}

template <typename Stream>
HttpResponse ConnectionOf<Stream>::options_response(std::span<const RouteEntry> entries) const {
  HttpResponse response;
  response.status = 204;
  response.content_type.clear();
  const std::string methods = Router::allowed(entries);
  response.headers.emplace_back("Allow", methods);
  if (!shared_.options.cors_allow.empty()) {
    response.headers.emplace_back("Access-Control-Allow-Methods", methods);
    const auto wanted = request_->header("access-control-request-headers");
    response.headers.emplace_back(
        "Access-Control-Allow-Headers",
        wanted.empty() ? "authorization, content-type" : clean_header_value(wanted));
    response.headers.emplace_back("Access-Control-Max-Age", "86400");
  }
  return response;
}

// In the shape of the dialect that has the path; status 0: the dialect's own.
template <typename Stream>
HttpResponse ConnectionOf<Stream>::error_of(const Error& error, int status) const {
  auto response =
      entry_ == nullptr ? plain_error(error, *request_) : entry_->dialect->error(error, *request_);
  if (status != 0) response.status = status;
  return response;
}

// ---------------------------------------------------------------------------- body and answer

template <typename Stream>
asio::awaitable<bool> ConnectionOf<Stream>::read_body(Parser& parser) {
  const auto& options = shared_.options;
  if (version_ >= 11 && request_->header("expect") == "100-continue" && buffer_.size() == 0) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    const auto [failed, sent] = co_await asio::async_write(
        stream_, asio::buffer(kContinue.data(), kContinue.size()), kTuple);
    if (failed) co_return false;
  }
  parser.body_limit(options.max_body_bytes);
  lowest().expires_after(transfer_time(parser.content_length().value_or(options.max_body_bytes)));
  const auto [error, bytes] = co_await http::async_read(stream_, buffer_, parser, kTuple);
  if (!error) co_return true;
  if (error == http::error::body_limit) {
    co_return co_await write(
        error_of(Error(ErrorKind::usage, fmt::format("the body has over {} bytes, the most that "
                                                     "the server takes; send fewer texts a request",
                                                     options.max_body_bytes)),
                 413),
        false);
  }
  if (error == beast::error::timeout) log(error_response(408, "", ""), 0);
  if (error == http::error::bad_chunk || error == http::error::bad_chunk_extension) {
    co_return co_await write(error_of(Error(ErrorKind::usage, "the body's chunks are broken"), 400),
                             false);
  }
  co_return false;
}

template <typename Stream>
void ConnectionOf<Stream>::dispatch(const RouteEntry& entry,
                                    const std::shared_ptr<Pending>& pending, const Call& call) {
  const auto reply = [pending](HttpResponse response) {
    const auto kept = std::make_shared<HttpResponse>(std::move(response));
    asio::post(pending->executor, [pending, kept] {
      if (pending->response) return;
      pending->response = std::move(*kept);
      pending->timer.cancel();
    });
  };
  auto handle = [&service = shared_.service, entry, request = request_, call, reply] {
    try {
      entry.route->handle(service, *request, call, reply);
    } catch (const Error& error) {
      reply(entry.dialect->error(error, *request));
    } catch (const std::exception& error) {
      reply(entry.dialect->error(Error(ErrorKind::internal, error.what()), *request));
    }
  };
  if (request_->body.size() <= kInlineBody) {
    handle();
  } else {
    shared_.workers.post(std::move(handle));
  }
}

template <typename Stream>
asio::awaitable<HttpResponse> ConnectionOf<Stream>::answer(const RouteEntry& entry) {
  gone_ = std::make_shared<std::atomic<bool>>(false);
  pending_ = std::make_shared<Pending>(stream_.get_executor());
  Call call;
  call.request_id = id_;
  call.start = started_;
  call.deadline = Clock::now() + shared_.options.deadline;
  call.gone = gone_;
  pending_->timer.expires_at(call.deadline + kDeadlineGrace);
  dispatch(entry, pending_, call);
  while (!pending_->response) {
    const auto [error] = co_await pending_->timer.async_wait(kTuple);
    if (gone_->load()) break;
    if (!error && !pending_->response) {  // the deadline
      pending_->response = error_of(
          Error(ErrorKind::interrupted, "the deadline passed before there was an answer"), 503);
      gone_->store(true);
      gone_ = std::make_shared<std::atomic<bool>>(false);  // the work is; the client is not
    }
  }
  HttpResponse response;
  if (pending_->response) response = std::move(*pending_->response);
  pending_.reset();
  co_return response;
}

// A client that closed its socket cannot be told from one that only finished sending (FIN is all
// that comes), but it answers the next packet with RST. So the first look after a FIN sends an
// interim response, which a waiting client skips, and a later look sees what became of it.
template <typename Stream>
void ConnectionOf<Stream>::look_for_client() {
  if (!pending_ || !gone_ || gone_->load()) return;
  tcp_info info{};
  socklen_t size = sizeof(info);
  const int handle = socket().native_handle();
  if (::getsockopt(handle, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return;
  bool gone = info.tcpi_state == TCP_CLOSE;
  if (info.tcpi_state == TCP_CLOSE_WAIT) {
    if (kTls || version_ < 11) {
      gone = true;
    } else if (!probed_) {
      static constexpr std::string_view kProbe = "HTTP/1.1 102 Processing\r\n\r\n";
      probed_ = true;
      gone = ::send(handle, kProbe.data(), kProbe.size(), MSG_DONTWAIT | MSG_NOSIGNAL) !=
             static_cast<ssize_t>(kProbe.size());
    }
  }
  if (!gone) return;
  gone_->store(true);
  pending_->timer.cancel();
}

template <typename Stream>
void ConnectionOf<Stream>::log(const HttpResponse& response, size_t bytes_out) {
  shared_.metrics.response(response.status);
  if (!shared_.options.log) return;
  std::string_view tokens;
  for (const auto& [name, value] : response.headers) {
    if (name == "x-compute-tokens") tokens = value;
  }
  const double ms = std::chrono::duration<double, std::milli>(Clock::now() - started_).count();
  shared_.options.log({id_, request_->method, request_->path, remote_, response.status, ms,
                       request_->body.size(), bytes_out, tokens});
}

template <typename Stream>
asio::awaitable<bool> ConnectionOf<Stream>::write(HttpResponse response, bool keep_alive) {
  const std::string origin = allowed_origin(shared_.options.cors_allow, request_->header("origin"));
  if (!origin.empty()) {
    response.headers.emplace_back("Access-Control-Allow-Origin", origin);
    response.headers.emplace_back("Access-Control-Expose-Headers", "*");
    if (origin != "*") response.headers.emplace_back("Vary", "Origin");
  }
  if (response.status == 429 || response.status == 503)
    response.headers.emplace_back("Retry-After", "1");
  const bool with_body = request_->method != "HEAD" && response.status != 204;
  const std::string head = response_head(response, id_, keep_alive, version_);
  const std::array<asio::const_buffer, 2> buffers = {
      asio::buffer(head), asio::buffer(response.body.data(), with_body ? response.body.size() : 0)};
  lowest().expires_after(transfer_time(response.body.size()));
  const auto [error, bytes] = co_await asio::async_write(stream_, buffers, kTuple);
  log(response, bytes);
  if (error) co_return false;
  if (!keep_alive) co_await linger();
  co_return keep_alive;
}

// Before closing with bytes unread: the kernel would answer them with RST, and the client might
// lose the answer it has not read yet.
template <typename Stream>
asio::awaitable<void> ConnectionOf<Stream>::linger() {
  if constexpr (kTls) co_return;
  error_code ignored;
  socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  std::array<char, 16 << 10> scratch;
  size_t total = 0;
  lowest().expires_after(kLinger);
  while (total < kLingerBytes) {
    const auto [error, bytes] = co_await lowest().async_read_some(asio::buffer(scratch), kTuple);
    if (error || bytes == 0) break;
    total += bytes;
  }
}

std::string address_of(const asio::ip::tcp::socket& socket) {
  error_code error;
  const auto end = socket.remote_endpoint(error);
  return error ? std::string() : fmt::format("{}:{}", end.address().to_string(), end.port());
}

}  // namespace

std::shared_ptr<Connection> make_connection(Shared& shared, asio::ip::tcp::socket socket,
                                            asio::ssl::context* tls) {
  error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  std::string remote = address_of(socket);
  beast::tcp_stream stream(std::move(socket));
  if (tls == nullptr) {
    return std::make_shared<ConnectionOf<beast::tcp_stream>>(shared, std::move(remote),
                                                             std::move(stream));
  }
  return std::make_shared<ConnectionOf<beast::ssl_stream<beast::tcp_stream>>>(
      shared, std::move(remote), std::move(stream), *tls);
}

}  // namespace akin::serve
