// What the server counts, under text-embeddings-inference's names where it has one, printed as
// Prometheus text. Not a log.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/request.h"

namespace akin::serve {

// Cumulative histogram with fixed upper bounds. Thread-safe.
class Histogram {
 public:
  explicit Histogram(std::span<const double> bounds);
  void add(double value);
  void print(std::string_view name, std::string& out) const;

 private:
  mutable std::mutex mutex_;
  const std::span<const double> bounds_;
  std::vector<uint64_t> counts_;  // one more than bounds
  double sum_ = 0;
  uint64_t total_ = 0;
};

// Why a request failed, in TEI's words.
enum class Failure : uint8_t {
  validation,
  tokenization,
  inference,
  overloaded,
  dropped,
  batch_size,
  model_type,
  missing_values
};
Failure failure_of(const Error& error);

class Metrics {
 public:
  Metrics();

  void request_started(bool single, bool rerank);
  void request_done(bool single, bool rerank, const Timing& timing, const Usage& usage,
                    size_t texts);
  void request_failed(Failure failure);
  void input_length(size_t tokens) { input_length_.add(static_cast<double>(tokens)); }
  void batch(size_t texts, size_t tokens);
  void shared_text() { shared_texts_.fetch_add(1, std::memory_order_relaxed); }
  void response(int status);  // any HTTP response

  std::atomic<int64_t> active{0};  // requests that wait or run
  std::atomic<int64_t> connections{0};

  // Prometheus text; `extra` gauges are added as they are: name and value.
  std::string prometheus(std::span<const std::pair<std::string, double>> extra) const;

  struct Rates {  // of the last 5 s
    double requests = 0, texts = 0, tokens = 0;
  };
  Rates rates() const;
  std::pair<double, double> latency_ms() const;  // p50, p99 of the last 1,024 requests
  uint64_t requests() const { return started_[0] + started_[1]; }
  uint64_t failures() const;
  uint64_t rejected() const { return failed_[static_cast<size_t>(Failure::overloaded)]; }
  double uptime_seconds() const;

 private:
  struct Second {
    int64_t second = -1;
    uint64_t requests = 0, texts = 0, tokens = 0;
  };
  struct Durations {
    Histogram total, tokenization, queue, inference;
    Durations();
    void add(const Timing& timing);
    void print(const std::string& prefix, std::string& out) const;
  };
  int64_t second_now() const;

  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::array<std::atomic<uint64_t>, 2> started_{}, succeeded_{};            // batch, single
  std::array<std::atomic<uint64_t>, 2> kind_started_{}, kind_succeeded_{};  // embed, predict
  std::array<std::atomic<uint64_t>, 8> failed_{};
  std::atomic<uint64_t> shared_texts_{0}, truncated_inputs_{0}, empty_inputs_{0}, tokens_{0},
      texts_{0};
  Durations all_, embed_, predict_;
  Histogram input_length_, batch_size_, batch_tokens_;

  mutable std::mutex mutex_;
  std::map<int, uint64_t> statuses_;
  std::array<Second, 8> seconds_;
  std::vector<float> latencies_;
  size_t next_latency_ = 0;
};

}  // namespace akin::serve
