// akin serve: models behind the HTTP APIs that clients already speak.
#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/threads.h"
#include "cli/command.h"
#include "cli/load.h"
#include "cli/serve_models.h"
#include "serve/auth.h"
#include "serve/log_lines.h"
#include "serve/server.h"

namespace akin::cli {
namespace {

enum class LogChoice : uint8_t { requests, events, none };
std::span<const std::string_view> choices(LogChoice) {
  static constexpr std::string_view kWords[] = {"requests", "events", "none"};
  return kWords;
}

struct ServeOptions {
  std::vector<std::string> model, index, api_key, cors_allow_origin;
  std::string host = "127.0.0.1", api_key_file, tls_cert, tls_key, pooling;
  size_t port = 8080;
  Precision dtype = Precision::f32;
  size_t threads = 0, tokenization_workers = 0;
  size_t max_batch_tokens = 4096, max_queue = 2048, max_client_batch = 2048, max_body_mb = 32;
  size_t max_connections = 8192, cache_mb = 0;
  bool auto_truncate = true, allow_any_dims = false, index_writable = false;
  double rope_base = 0, deadline = 60, idle_timeout = 75, drain_timeout = 30;
  LogChoice log = LogChoice::requests;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("model=[NAME=]MODEL...", model,
      "a model to serve, any number of times: a folder, a model that akin ships, or ORG/NAME in "
      "the Hugging Face cache; clients know it as NAME, else by its own; requests that name none "
      "get "
      "the first");
    v("index=[NAME=]DIR...", index, "an index to serve at /v1/search, made by one of the models");
    v("index-writable", index_writable, "let clients add documents and remove them");
    v("host=ADDRESS", host, "address to listen on; 0.0.0.0 for every one of this machine");
    v("port=N", port, "port to listen on; 0 = any free one");
    v("api-key=KEY...", api_key, "clients must send Authorization: Bearer KEY; any number of keys");
    v("api-key-file=FILE", api_key_file, "more keys, one a line");
    v("tls-cert=FILE", tls_cert, "certificate chain (PEM): HTTPS instead of HTTP");
    v("tls-key=FILE", tls_key, "its private key (PEM)");
    v("cors-allow-origin=ORIGIN", cors_allow_origin,
      "pages of this origin may call the server from a browser; * for all");
    v("dtype=TYPE", dtype, "precision of the computation: f32 is exact, int8 is the fast path");
    v("pooling=MODE", pooling, "pooling for folders that name none, as in akin embed");
    v("rope-base=X", rope_base,
      "base frequency of rotary positions, for every model served; 0 = each one's own");
    v("threads=N", threads, "threads of each model; 0 = every CPU this process may run on");
    v("tokenization-workers=N", tokenization_workers,
      "threads that tokenise and print answers; 0 = one for every two of --threads");
    v("max-batch-tokens=N", max_batch_tokens, "tokens of one pass of the model");
    v("max-queue=N", max_queue, "requests that may wait; more are answered with 429");
    v("max-client-batch=N", max_client_batch,
      "inputs of one request; APIs with a number of their own keep it (docs/serve.md)");
    v("max-body-mb=N", max_body_mb, "size of one request; larger ones are answered with 413");
    v("max-connections=N", max_connections, "connections at a time; more wait to be accepted");
    v("cache-mb=N", cache_mb, "keep vectors of texts seen, up to this size per model; 0 = none");
    v("[no-]auto-truncate", auto_truncate,
      "cut texts over the model's limit where a request does not say, and count them; else refuse");
    v("allow-any-dims", allow_any_dims, "accept dimensions that a model does not declare");
    v("deadline=SECONDS", deadline, "a request that is not answered by then gets 503");
    v("idle-timeout=SECONDS", idle_timeout, "close connections that ask nothing for so long");
    v("drain-timeout=SECONDS", drain_timeout,
      "after SIGTERM, how long requests under way may take");
    v("log=WHAT", log, "JSON lines on stderr: one a request, only events, or none");
  }
};

constexpr CommandInfo kInfo = {
    "serve", "serve models over HTTP, in the APIs that clients already speak",
    "Speaks the APIs of OpenAI, Jina, Cohere, text-embeddings-inference, Ollama and llama.cpp, "
    "each "
    "in its own shapes and errors, and shows a page at / to try the models in a browser. Texts of "
    "many requests share one pass of a model; small requests do not wait behind huge ones. "
    "SIGTERM answers what was accepted and ends; SIGHUP loads the models anew without a pause.",
    "akin serve --model static-en-64\n"
    "akin serve --model ./bge-small-en --model rerank=./bge-reranker-base --port 80 --host "
    "0.0.0.0\n"
    "AKIN_API_KEY=secret akin serve --model ./multilingual-e5-small --dtype int8 --index "
    "docs.index"};

std::chrono::milliseconds milliseconds(const char* flag, double seconds) {
  if (!(seconds > 0) || seconds > 1e6)
    throw_error(ErrorKind::usage, flag, "is {}, expected seconds above 0", seconds);
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

// A limit of nothing would refuse or hold every request.
void check_limits(const ServeOptions& options) {
  const std::pair<const char*, size_t> limits[] = {{"--max-batch-tokens", options.max_batch_tokens},
                                                   {"--max-queue", options.max_queue},
                                                   {"--max-client-batch", options.max_client_batch},
                                                   {"--max-body-mb", options.max_body_mb},
                                                   {"--max-connections", options.max_connections}};
  for (const auto& [flag, value] : limits) {
    if (value == 0) throw_error(ErrorKind::usage, flag, "is 0, expected 1 or more");
  }
}

serve::HostOptions host_options(const ServeOptions& options) {
  check_limits(options);
  const size_t threads = options.threads > 0 ? options.threads : usable_cpus();
  serve::HostOptions out;
  out.limits.max_client_batch = options.max_client_batch;
  out.limits.max_body_bytes = options.max_body_mb << 20;
  out.limits.max_queue = options.max_queue;
  out.limits.max_batch_tokens = options.max_batch_tokens;
  out.limits.auto_truncate = options.auto_truncate;
  out.limits.tokenization_workers = options.tokenization_workers > 0
                                        ? options.tokenization_workers
                                        : std::max<size_t>(1, threads / 2);
  out.cache_bytes = options.cache_mb << 20;
  out.allow_any_dims = options.allow_any_dims;
  return out;
}

serve::ServerOptions server_options(const ServeOptions& options) {
  if (options.port > 65535)
    throw_error(ErrorKind::usage, "--port", "is {}, expected 0 to 65535", options.port);
  serve::ServerOptions out;
  out.host = options.host;
  out.port = static_cast<uint16_t>(options.port);
  out.api_keys = options.api_key;
  if (!options.api_key_file.empty()) {
    for (auto& key : serve::read_key_file(options.api_key_file))
      out.api_keys.push_back(std::move(key));
  }
  out.tls_cert = options.tls_cert;
  out.tls_key = options.tls_key;
  out.cors_allow = options.cors_allow_origin;
  out.max_body_bytes = options.max_body_mb << 20;
  out.max_connections = options.max_connections;
  out.deadline = milliseconds("--deadline", options.deadline);
  out.idle_timeout = milliseconds("--idle-timeout", options.idle_timeout);
  out.drain_timeout = milliseconds("--drain-timeout", options.drain_timeout);
  return out;
}

void announce(const ServeOptions& options, const serve::Host& host, const serve::Server& server,
              Context& context) {
  const std::string scheme = options.tls_cert.empty() ? "http" : "https";
  const bool v6 = options.host.find(':') != std::string::npos;
  const std::string url = fmt::format("{}://{}{}{}:{}", scheme, v6 ? "[" : "", options.host,
                                      v6 ? "]" : "", server.port());
  if (context.json()) {
    context.print_json({{"url", url}, {"port", server.port()}});
    context.flush();
    return;
  }
  for (const auto& model : host.models()) {
    const auto limit = model.info.max_tokens;
    context.say(fmt::format("serving {}: {}, {}{}", model.name, model.info.family,
                            model.reranker         ? "scores pairs"
                            : model.labels.empty() ? fmt::format("{} dims", model.info.dim)
                                                   : fmt::format("{} labels", model.labels.size()),
                            limit > 0 ? fmt::format(", up to {} tokens", limit) : ""));
    if (!model.info.prompts.empty() && model.info.default_prompt_name.empty() &&
        model.labels.empty()) {
      context.say(fmt::format(
          "  it has prompts: clients should say which side a text is (input_type, task or "
          "prompt_name)"));
    }
  }
  context.say(fmt::format("listening on {}", url));
}

int run(ServeOptions& options, Context& context) {
  const auto server_settings = server_options(options);
  std::optional<serve::LogLines> lines;
  if (options.log != LogChoice::none) lines.emplace(stderr);
  auto host = std::make_unique<serve::Host>(
      model_sources(options.model,
                    {options.pooling, options.dtype, options.threads, options.rope_base}),
      host_options(options));
  serve::HostIndex indexes(*host, host->workers(),
                           open_indexes(options.index, *host, options.index_writable));
  if (!options.index.empty()) host->carry_indexes(&indexes);
  auto settings = server_settings;
  if (options.log == LogChoice::requests)
    settings.log = [&](const serve::RequestLine& line) { lines->request(line); };
  serve::Server server(*host, host->counts(), host->workers(), serve::dialects(), settings);
  announce(options, *host, server, context);
  const auto event = [&](std::string_view level, std::string_view message) {
    if (lines) lines->event(level, message);
  };
  set_log_sink([&](LogLevel level, std::string_view message) {
    if (level >= LogLevel::info) event(level >= LogLevel::warning ? "warning" : "info", message);
  });
  server.handle_signals([&] { host->reload(); },
                        [&] { event("info", "draining: no new connections"); });
  check_interrupted();  // a signal that came while loading
  const bool complete = server.run();
  host.reset();  // before the server, which late answers still name
  set_log_sink({});
  event("info", complete ? "every request was answered" : "some requests were cut off");
  return complete ? 0 : 1;
}

}  // namespace

std::unique_ptr<Command> make_serve_command() {
  return std::make_unique<CommandOf<ServeOptions>>(kInfo, run);
}

}  // namespace akin::cli
