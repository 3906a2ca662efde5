// What dialects may ask of the server: models by name, texts to vectors, pairs to scores, an index.
// Implemented by the batching host in this room (host.h); tests may use a small fake.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/request.h"

namespace akin::serve {

// A client that waits: `gone()` turns true when it hung up; work for it may then be dropped.
struct Call {
  std::string request_id;
  std::chrono::steady_clock::time_point start, deadline;
  std::shared_ptr<std::atomic<bool>> gone;
};

struct Limits {
  size_t max_client_batch = 32;  // inputs of a request; a dialect may have a smaller number
  size_t max_body_bytes = 0;
  size_t max_queue = 512;  // requests waiting or running
  size_t max_batch_tokens = 16384;
  bool auto_truncate = true;
  size_t tokenization_workers = 1;
};

class IndexService;

// Thread-safe. `done` is called exactly once, from any thread, never from within the call; with
// Error overloaded when the queue is full, interrupted when the server drains, not_found for an
// unknown model (naming the known ones).
class Service {
 public:
  virtual ~Service() = default;
  virtual void embed(EmbedRequest request, const Call& call,
                     std::function<void(Outcome<EmbedResult>)> done) = 0;
  virtual void rerank(RerankRequest request, const Call& call,
                      std::function<void(Outcome<RerankResult>)> done) = 0;
  // Errors besides: device, the model is no classifier.
  virtual void predict(PredictRequest request, const Call& call,
                       std::function<void(Outcome<PredictResult>)> done) = 0;
  // A real forward pass of every model. Errors: device or internal, naming the model.
  virtual void health(const Call& call, std::function<void(Outcome<bool>)> done) = 0;

  virtual std::vector<ModelStatus> models() const = 0;
  // Errors: not_found. Empty: the first.
  virtual ModelStatus model(std::string_view name) const = 0;
  virtual std::vector<std::vector<Token>> tokenize(std::string_view model,
                                                   const std::vector<std::string>& texts,
                                                   bool add_special_tokens,
                                                   const std::string& prompt_name) const = 0;
  virtual std::vector<std::string> decode(std::string_view model,
                                          const std::vector<std::vector<int32_t>>& ids,
                                          bool skip_special_tokens) const = 0;
  // Models whose last reload failed, so that the one before it still answers: name, why.
  virtual std::vector<std::pair<std::string, std::string>> not_reloaded() const { return {}; }
  virtual const Limits& limits() const = 0;
  virtual std::string metrics() const = 0;  // Prometheus text format
  // For the page at /: {"uptime_seconds", "connections", "requests": {"total", "active", "failed",
  // "rejected"}, "queue": {"requests", "texts", "tokens"}, "rate": {"requests_per_second",
  // "texts_per_second", "tokens_per_second"} (of the last 5 s), "latency_ms": {"p50", "p99"} (of
  // the last 1,024 requests), "cache": {"entries", "bytes", "hits", "misses"}, "models": [{"name",
  // "dim", "max_tokens", "queued_texts", "reload_error" (where there is one)}]}.
  virtual std::string status_json() const = 0;
  virtual IndexService* indexes() { return nullptr; }  // null: the server carries no index
};

}  // namespace akin::serve
