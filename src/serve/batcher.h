// The queue before one model: texts of many requests, tokenised, joined into batches up to a budget
// of tokens, encoded by one thread that never waits for a batch to fill.
//
// Requests take turns: a batch takes one text of each request after another, so a request of
// 10,000 texts does not stand before one of a single text. Equal texts (ids, prompt, adapter) that
// wait or run at the same time are computed once. A request whose client is gone or whose deadline
// has passed is dropped before its texts reach the model.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/token_encoder.h"
#include "serve/host_workers.h"
#include "serve/metrics.h"
#include "serve/service.h"
#include "serve/vector_cache.h"

namespace akin::serve {

class Batcher;
struct TextWork;

// One request, as the queue sees it: a number of answers that it waits for. Filled before
// Batcher::open. deliver must not call back into the batcher.
struct Job {
  Call call;
  size_t answers = 0;   // texts and tasks that will be added
  bool urgent = false;  // goes before all others: health checks
  // A text's full vector, not normalised. One call at a time for a job; on the model's thread.
  std::function<void(size_t slot, std::span<const float> vector)> deliver;
  // Once, on a worker, after the last answer or with the first error.
  std::function<void(const std::optional<Error>&)> finish;
  std::chrono::steady_clock::time_point opened, first_run, last_run;  // for Timing

 private:
  friend class Batcher;
  struct Unit {  // a text, or work that takes the model for itself
    std::shared_ptr<TextWork> text;
    std::function<void()> task;
  };
  std::deque<Unit> pending;
  size_t answered = 0;
  bool in_ring = false, settled = false;
  std::optional<Error> error;
};

// A tokenised text for one slot of its job's answer.
struct TextIds {
  size_t slot = 0;
  std::span<const int32_t> ids;
  uint32_t prompt_tokens = 0;
  int32_t adapter = -1;
};

struct BatcherOptions {
  size_t max_batch_tokens = 4096;
  size_t cache_bytes = 0;  // 0: no cache
};

class Batcher {
 public:
  // encoder: null for a model that only scores pairs (tasks). Workers and metrics outlive this.
  Batcher(std::shared_ptr<Encoder> encoder, const BatcherOptions& options, Workers& workers,
          Metrics& metrics);
  ~Batcher();  // close()

  // False once closed: the caller looks for the model that took this one's place.
  bool open(const std::shared_ptr<Job>& job);
  // False: the job has ended, with an error.
  bool add_texts(const std::shared_ptr<Job>& job, std::span<const TextIds> texts,
                 bool share = true);
  // Runs with the model's thread for itself, counts as one answer. May throw Error.
  void add_task(const std::shared_ptr<Job>& job, std::function<void()> task);
  // Ends the job with an error, unless it has ended.
  void fail(const std::shared_ptr<Job>& job, const Error& error);

  // Takes no new jobs, answers those it has, ends the thread. Blocks.
  void close();

  struct Depth {
    size_t texts = 0, tokens = 0;
  };
  Depth depth() const;  // waiting
  VectorCache::Counts cache_counts() const;

 private:
  using Texts = std::vector<std::shared_ptr<TextWork>>;
  struct Batch {
    Texts texts;
    size_t tokens = 0;
    std::shared_ptr<Job> job;  // of the task
    std::function<void()> task;
  };
  void run();
  bool next_batch(std::unique_lock<std::mutex>& lock, Batch& batch);
  void drop_hopeless();
  void take_turns(Batch& batch);
  bool take_unit(const std::shared_ptr<Job>& job, Batch& batch);
  void run_task(const Batch& batch);
  void run_texts(const Batch& batch);
  void encode(const Texts& texts);
  void deliver(const Texts& texts, MatView<const float> vectors,
               std::chrono::steady_clock::time_point start);
  void fail_text(const std::shared_ptr<TextWork>& text, const Error& error);
  void answer(const std::shared_ptr<Job>& job);
  void settle(const std::shared_ptr<Job>& job, std::optional<Error> error);
  void enter_ring(const std::shared_ptr<Job>& job);

  const std::shared_ptr<Encoder> encoder_;  // shared with the host's record of the model
  TokenEncoder* const token_encoder_;
  const BatcherOptions options_;
  Workers& workers_;
  Metrics& metrics_;
  std::unique_ptr<VectorCache> cache_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> ring_;  // jobs with something pending
  std::unordered_map<std::string_view, std::weak_ptr<TextWork>, KeyHash> in_flight_;
  size_t open_jobs_ = 0;
  Depth depth_;
  bool closed_ = false;
  std::thread thread_;
};

}  // namespace akin::serve
