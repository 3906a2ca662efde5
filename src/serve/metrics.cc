#include "serve/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "core/counters.h"

namespace akin::serve {
namespace {

constexpr double kSeconds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                               0.25,   0.5,   1,      2.5,   5,    10,    30,   60};
constexpr double kCounts[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};
constexpr double kTokens[] = {8,    16,   32,   64,   128,   256,   512,
                              1024, 2048, 4096, 8192, 16384, 32768, 65536};
constexpr std::string_view kFailures[] = {"validation", "tokenization",  "inference",
                                          "overloaded", "dropped",       "batch_size",
                                          "model_type", "missing_values"};
constexpr size_t kLatencies = 1024;
constexpr int64_t kRateSeconds = 5;

double seconds(std::chrono::nanoseconds span) {
  return std::chrono::duration<double>(span).count();
}

void print_type(std::string_view name, std::string_view type, std::string& out) {
  fmt::format_to(std::back_inserter(out), "# TYPE {} {}\n", name, type);
}

void print_one(std::string_view name, std::string_view type, double value, std::string& out) {
  print_type(name, type, out);
  fmt::format_to(std::back_inserter(out), "{} {}\n", name, value);
}

double resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  unsigned long long size = 0, resident = 0;
  const int read = std::fscanf(file, "%llu %llu", &size, &resident);
  std::fclose(file);
  return read == 2 ? static_cast<double>(resident) * 4096.0 : 0;
}

}  // namespace

Histogram::Histogram(std::span<const double> bounds) : bounds_(bounds) {
  counts_.resize(bounds.size() + 1);
}

void Histogram::add(double value) {
  const auto bucket = static_cast<size_t>(std::lower_bound(bounds_.begin(), bounds_.end(), value) -
                                          bounds_.begin());
  const std::lock_guard lock(mutex_);
  ++counts_[bucket];
  ++total_;
  sum_ += value;
}

void Histogram::print(std::string_view name, std::string& out) const {
  const std::lock_guard lock(mutex_);
  auto to = std::back_inserter(out);
  print_type(name, "histogram", out);
  uint64_t below = 0;
  for (size_t i = 0; i < bounds_.size(); ++i) {
    below += counts_[i];
    fmt::format_to(to, "{}_bucket{{le=\"{}\"}} {}\n", name, bounds_[i], below);
  }
  fmt::format_to(to, "{0}_bucket{{le=\"+Inf\"}} {1}\n{0}_sum {2}\n{0}_count {1}\n", name, total_,
                 sum_);
}

Failure failure_of(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::usage:
    case ErrorKind::not_found:
    case ErrorKind::bad_format:
      return Failure::validation;
    case ErrorKind::unsupported:
      return Failure::model_type;
    case ErrorKind::too_long:
      return Failure::tokenization;
    case ErrorKind::overloaded:
      return Failure::overloaded;
    case ErrorKind::interrupted:
      return Failure::dropped;
    default:
      return Failure::inference;
  }
}

Metrics::Durations::Durations()
    : total(kSeconds), tokenization(kSeconds), queue(kSeconds), inference(kSeconds) {}

void Metrics::Durations::add(const Timing& timing) {
  total.add(seconds(timing.total));
  tokenization.add(seconds(timing.tokenization));
  queue.add(seconds(timing.queue));
  inference.add(seconds(timing.inference));
}

void Metrics::Durations::print(const std::string& prefix, std::string& out) const {
  total.print(prefix + "_duration", out);
  tokenization.print(prefix + "_tokenization_duration", out);
  queue.print(prefix + "_queue_duration", out);
  inference.print(prefix + "_inference_duration", out);
}

Metrics::Metrics() : input_length_(kTokens), batch_size_(kCounts), batch_tokens_(kTokens) {
  latencies_.reserve(kLatencies);
}

int64_t Metrics::second_now() const {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start_)
      .count();
}

double Metrics::uptime_seconds() const {
  return seconds(std::chrono::steady_clock::now() - start_);
}

void Metrics::request_started(bool single, bool rerank) {
  ++started_[single];
  ++kind_started_[rerank];
}

void Metrics::request_done(bool single, bool rerank, const Timing& timing, const Usage& usage,
                           size_t texts) {
  ++succeeded_[single];
  ++kind_succeeded_[rerank];
  truncated_inputs_ += usage.truncated_inputs;
  empty_inputs_ += usage.empty_inputs;
  tokens_ += usage.tokens;
  texts_ += texts;
  all_.add(timing);
  (rerank ? predict_ : embed_).add(timing);
  const int64_t now = second_now();
  const std::lock_guard lock(mutex_);
  Second& second = seconds_[static_cast<size_t>(now) % seconds_.size()];
  if (second.second != now) second = {now, 0, 0, 0};
  ++second.requests;
  second.texts += texts;
  second.tokens += usage.tokens;
  const auto latency = static_cast<float>(seconds(timing.total) * 1e3);
  if (latencies_.size() < kLatencies) {
    latencies_.push_back(latency);
  } else {
    latencies_[next_latency_++ % kLatencies] = latency;
  }
}

void Metrics::request_failed(Failure failure) { ++failed_[static_cast<size_t>(failure)]; }

void Metrics::batch(size_t texts, size_t tokens) {
  batch_size_.add(static_cast<double>(texts));
  batch_tokens_.add(static_cast<double>(tokens));
}

void Metrics::response(int status) {
  const std::lock_guard lock(mutex_);
  ++statuses_[status];
}

uint64_t Metrics::failures() const {
  uint64_t total = 0;
  for (const auto& count : failed_) total += count;
  return total;
}

Metrics::Rates Metrics::rates() const {
  const int64_t now = second_now();
  Rates rates;
  const std::lock_guard lock(mutex_);
  for (const Second& second : seconds_) {
    if (second.second < 0 || second.second < now - kRateSeconds || second.second >= now) continue;
    rates.requests += static_cast<double>(second.requests);
    rates.texts += static_cast<double>(second.texts);
    rates.tokens += static_cast<double>(second.tokens);
  }
  const auto span = static_cast<double>(std::clamp<int64_t>(now, 1, kRateSeconds));
  return {rates.requests / span, rates.texts / span, rates.tokens / span};
}

std::pair<double, double> Metrics::latency_ms() const {
  std::vector<float> sorted;
  {
    const std::lock_guard lock(mutex_);
    sorted = latencies_;
  }
  if (sorted.empty()) return {0, 0};
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](double q) {
    return static_cast<double>(sorted[std::min(
        sorted.size() - 1, static_cast<size_t>(q * static_cast<double>(sorted.size())))]);
  };
  return {at(0.5), at(0.99)};
}

std::string Metrics::prometheus(std::span<const std::pair<std::string, double>> extra) const {
  std::string out;
  auto to = std::back_inserter(out);
  const auto by_method = [&](std::string_view name,
                             const std::array<std::atomic<uint64_t>, 2>& counts) {
    print_type(name, "counter", out);
    fmt::format_to(to, "{0}{{method=\"single\"}} {1}\n{0}{{method=\"batch\"}} {2}\n", name,
                   counts[1].load(), counts[0].load());
  };
  const auto counter = [&](std::string_view name, uint64_t value) {
    print_one(name, "counter", static_cast<double>(value), out);
  };
  by_method("te_request_count", started_);
  by_method("te_request_success", succeeded_);
  print_type("te_request_failure", "counter", out);
  for (size_t i = 0; i < std::size(kFailures); ++i)
    fmt::format_to(to, "te_request_failure{{err=\"{}\"}} {}\n", kFailures[i], failed_[i].load());
  counter("te_embed_count", kind_started_[0]);
  counter("te_embed_success", kind_succeeded_[0]);
  counter("te_predict_count", kind_started_[1]);
  counter("te_predict_success", kind_succeeded_[1]);
  all_.print("te_request", out);
  embed_.print("te_embed", out);
  predict_.print("te_predict", out);
  input_length_.print("te_request_input_length", out);
  batch_size_.print("te_batch_next_size", out);
  batch_tokens_.print("te_batch_next_tokens", out);
  counter("akin_texts_total", texts_);
  counter("akin_tokens_total", tokens_);
  counter("akin_truncated_inputs_total", truncated_inputs_);
  counter("akin_empty_inputs_total", empty_inputs_);
  counter("akin_shared_texts_total", shared_texts_);
  print_type("akin_events_total", "counter", out);
  for (const auto& [name, count] : event_counts())
    fmt::format_to(to, "akin_events_total{{event=\"{}\"}} {}\n", name, count);
  {
    const std::lock_guard lock(mutex_);
    print_type("akin_http_responses_total", "counter", out);
    for (const auto& [status, count] : statuses_)
      fmt::format_to(to, "akin_http_responses_total{{status=\"{}\"}} {}\n", status, count);
  }
  print_one("akin_connections", "gauge", static_cast<double>(connections.load()), out);
  print_one("process_resident_memory_bytes", "gauge", resident_bytes(), out);
  for (const auto& [name, value] : extra) print_one(name, "gauge", value, out);
  return out;
}

}  // namespace akin::serve
