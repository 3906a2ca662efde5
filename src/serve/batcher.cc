#include "serve/batcher.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/finite.h"

namespace akin::serve {

using Clock = std::chrono::steady_clock;

struct TextWork {
  enum class State : uint8_t { pending, running, done };
  std::string key;  // what makes the vector: adapter, prompt tokens, ids
  std::vector<int32_t> ids;
  uint32_t prompt_tokens = 0;
  int32_t adapter = -1;
  State state = State::pending;
  bool listed = false;  // in in_flight_
  // Keeps each job until it has its answer; a dropped job lets go of its pending texts, which then
  // let go of it.
  std::vector<std::pair<std::shared_ptr<Job>, size_t>> waiters;  // and its slot
};

namespace {

std::string key_of(const TextIds& text) {
  std::string key(2 * sizeof(int32_t) + text.ids.size_bytes(), '\0');
  std::memcpy(key.data(), &text.adapter, sizeof(int32_t));
  std::memcpy(key.data() + sizeof(int32_t), &text.prompt_tokens, sizeof(uint32_t));
  if (!text.ids.empty())
    std::memcpy(key.data() + 2 * sizeof(int32_t), text.ids.data(), text.ids.size_bytes());
  return key;
}

// An exception of a pass, as the error that its request is answered with.
Error as_error(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return {ErrorKind::device, "out of memory while encoding; send shorter or fewer texts"};
  } catch (const std::exception& error) {
    return {ErrorKind::internal, error.what()};
  }
}

}  // namespace

Batcher::Batcher(std::shared_ptr<Encoder> encoder, const BatcherOptions& options, Workers& workers,
                 Metrics& metrics)
    : encoder_(std::move(encoder)),
      token_encoder_(encoder_ ? token_encoder(*encoder_) : nullptr),
      options_(options),
      workers_(workers),
      metrics_(metrics) {
  if (options.cache_bytes > 0) cache_ = std::make_unique<VectorCache>(options.cache_bytes);
  thread_ = std::thread([this] { run(); });
}

Batcher::~Batcher() { close(); }

void Batcher::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool Batcher::open(const std::shared_ptr<Job>& job) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  ++open_jobs_;
  job->opened = Clock::now();
  if (job->answers == 0) settle(job, std::nullopt);
  return true;
}

void Batcher::enter_ring(const std::shared_ptr<Job>& job) {
  if (job->in_ring) return;
  job->in_ring = true;
  if (job->urgent) {
    ring_.push_front(job);
  } else {
    ring_.push_back(job);
  }
}

bool Batcher::add_texts(const std::shared_ptr<Job>& job, std::span<const TextIds> texts,
                        bool share) {
  std::vector<std::pair<size_t, std::string>> missing;  // number in `texts`, key
  std::vector<std::pair<size_t, std::vector<float>>> found;
  for (size_t i = 0; i < texts.size(); ++i) {
    std::string key = key_of(texts[i]);
    std::vector<float> vector;
    if (share && cache_ && cache_->get(key, vector)) {
      found.emplace_back(texts[i].slot, std::move(vector));
    } else {
      missing.emplace_back(i, std::move(key));
    }
  }
  {
    const std::lock_guard lock(mutex_);
    if (job->settled) return false;
    for (const auto& [slot, vector] : found) {
      job->deliver(slot, vector);
      answer(job);
    }
    for (auto& [i, key] : missing) {
      std::shared_ptr<TextWork> work;
      if (share) {
        if (const auto it = in_flight_.find(key); it != in_flight_.end()) work = it->second.lock();
      }
      if (work == nullptr) {
        work = std::make_shared<TextWork>();
        work->key = std::move(key);
        work->ids.assign(texts[i].ids.begin(), texts[i].ids.end());
        work->prompt_tokens = texts[i].prompt_tokens;
        work->adapter = texts[i].adapter;
        work->listed = share;
        if (share) in_flight_[work->key] = work;
        ++depth_.texts;
        depth_.tokens += work->ids.size();
      } else {
        metrics_.shared_text();
      }
      work->waiters.emplace_back(job, texts[i].slot);
      if (work->state == TextWork::State::pending) job->pending.push_back({work, {}});
    }
    if (!job->pending.empty()) enter_ring(job);
  }
  wake_.notify_one();
  return true;
}

void Batcher::add_task(const std::shared_ptr<Job>& job, std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (job->settled) return;
    job->pending.push_back({nullptr, std::move(task)});
    enter_ring(job);
  }
  wake_.notify_one();
}

void Batcher::fail(const std::shared_ptr<Job>& job, const Error& error) {
  const std::lock_guard lock(mutex_);
  settle(job, error);
  wake_.notify_one();
}

// Under the lock. Texts that nobody else waits for go with the job.
void Batcher::settle(const std::shared_ptr<Job>& job, std::optional<Error> error) {
  if (job->settled) return;
  job->settled = true;
  for (auto& unit : job->pending) {
    if (unit.text == nullptr || unit.text->state != TextWork::State::pending) continue;
    auto& waiters = unit.text->waiters;
    std::erase_if(waiters, [&](const auto& waiter) { return waiter.first == job; });
    if (waiters.empty()) {
      unit.text->state = TextWork::State::done;
      --depth_.texts;
      depth_.tokens -= unit.text->ids.size();
      if (unit.text->listed) in_flight_.erase(unit.text->key);
    }
  }
  job->pending.clear();
  --open_jobs_;
  workers_.post_first([job, error = std::move(error)] {
    job->finish(error);
    job->deliver = nullptr;  // what they hold may hold the job
    job->finish = nullptr;
  });
}

void Batcher::answer(const std::shared_ptr<Job>& job) {
  if (!job->settled && ++job->answered == job->answers) settle(job, std::nullopt);
}

void Batcher::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    Batch batch;
    if (!next_batch(lock, batch)) return;
    lock.unlock();
    if (batch.task) {
      run_task(batch);
    } else {
      run_texts(batch);
    }
    batch = {};  // jobs are let go of without the lock
    lock.lock();
  }
}

// Waits for work; false: closed, and nothing is left to do.
bool Batcher::next_batch(std::unique_lock<std::mutex>& lock, Batch& batch) {
  while (true) {
    wake_.wait(lock, [&] { return !ring_.empty() || (closed_ && open_jobs_ == 0); });
    if (ring_.empty()) return false;
    drop_hopeless();
    take_turns(batch);
    if (batch.task || !batch.texts.empty()) return true;
  }
}

void Batcher::drop_hopeless() {
  const auto now = Clock::now();
  for (const auto& job : ring_) {
    if (job->call.gone && job->call.gone->load(std::memory_order_relaxed)) {
      settle(job, Error(ErrorKind::interrupted, "the client closed the connection"));
    } else if (now >= job->call.deadline) {
      settle(job, Error(ErrorKind::interrupted,
                        "the deadline passed before the model was free; try again later"));
    }
  }
  std::erase_if(ring_, [](const auto& job) {
    if (job->settled) job->in_ring = false;
    return job->settled;
  });
}

// One text of each job in turn, until the budget is used up.
void Batcher::take_turns(Batch& batch) {
  const auto now = Clock::now();
  while (!ring_.empty()) {
    const std::shared_ptr<Job> job = ring_.front();
    if (!take_unit(job, batch)) break;
    if (job->first_run == Clock::time_point{}) job->first_run = now;
    ring_.pop_front();
    if (job->pending.empty()) {
      job->in_ring = false;
    } else {
      ring_.push_back(job);
    }
    if (batch.task) break;
  }
}

// False: the job's next unit does not fit, it goes first in the next batch.
bool Batcher::take_unit(const std::shared_ptr<Job>& job, Batch& batch) {
  while (!job->pending.empty()) {
    Job::Unit& unit = job->pending.front();
    if (unit.task) {
      if (!batch.texts.empty()) return false;
      batch.job = job;
      batch.task = std::move(unit.task);
      job->pending.pop_front();
      return true;
    }
    const auto text = unit.text;
    if (text->state != TextWork::State::pending) {  // another job took it along
      job->pending.pop_front();
      continue;
    }
    if (!batch.texts.empty() && batch.tokens + text->ids.size() > options_.max_batch_tokens)
      return false;
    text->state = TextWork::State::running;
    --depth_.texts;
    depth_.tokens -= text->ids.size();
    batch.tokens += text->ids.size();
    batch.texts.push_back(text);
    job->pending.pop_front();
    return true;
  }
  return true;
}

void Batcher::run_task(const Batch& batch) {
  std::optional<Error> error;
  try {
    batch.task();
  } catch (...) {
    error = as_error(std::current_exception());
  }
  const std::lock_guard lock(mutex_);
  batch.job->last_run = Clock::now();
  if (error) {
    settle(batch.job, error);
  } else {
    answer(batch.job);
  }
}

void Batcher::run_texts(const Batch& batch) {
  metrics_.batch(batch.texts.size(), batch.tokens);
  try {
    encode(batch.texts);
    return;
  } catch (...) {
    if (batch.texts.size() == 1) {
      fail_text(batch.texts[0], as_error(std::current_exception()));
      return;
    }
  }
  // One by one, so that a text that fails, or too little memory, fails alone.
  for (const auto& text : batch.texts) {
    try {
      encode({text});
    } catch (...) {
      fail_text(text, as_error(std::current_exception()));
    }
  }
}

void Batcher::encode(const Texts& texts) {
  const auto start = Clock::now();
  TokenBatch batch;
  for (const auto& text : texts) {
    batch.ids.insert(batch.ids.end(), text->ids.begin(), text->ids.end());
    batch.offsets.push_back(static_cast<uint32_t>(batch.ids.size()));
    batch.prompt_tokens.push_back(text->prompt_tokens);
    if (!encoder_->info().tasks.empty()) batch.adapters.push_back(text->adapter);
  }
  Mat<float> vectors(texts.size(), encoder_->info().dim);
  EncodeOptions options;
  options.normalize = false;
  token_encoder_->encode_ids(batch, options, vectors.view());
  deliver(texts, vectors.view(), start);
}

void Batcher::deliver(const Texts& texts, MatView<const float> vectors, Clock::time_point start) {
  const auto end = Clock::now();
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < texts.size(); ++i) {
    TextWork& text = *texts[i];
    const std::span<const float> vector{vectors.row(i), vectors.cols()};
    text.state = TextWork::State::done;
    if (text.listed) in_flight_.erase(text.key);
    const bool finite = all_finite({vectors.row(i), vectors.cols()});
    if (finite && cache_ && text.listed) cache_->put(text.key, vector);
    for (const auto& [job, slot] : text.waiters) {
      if (job->settled) continue;
      if (job->first_run == Clock::time_point{}) job->first_run = start;
      job->last_run = end;
      if (finite) {
        job->deliver(slot, vector);
        answer(job);
      } else {
        settle(job, Error(ErrorKind::device, "the model gave a number that is not finite",
                          fmt::format("input {}", slot)));
      }
    }
    text.waiters.clear();
  }
}

void Batcher::fail_text(const std::shared_ptr<TextWork>& text, const Error& error) {
  const std::lock_guard lock(mutex_);
  if (text->state == TextWork::State::done) return;
  text->state = TextWork::State::done;
  if (text->listed) in_flight_.erase(text->key);
  for (const auto& [job, slot] : text->waiters) settle(job, error);
  text->waiters.clear();
}

Batcher::Depth Batcher::depth() const {
  const std::lock_guard lock(mutex_);
  return depth_;
}

VectorCache::Counts Batcher::cache_counts() const {
  return cache_ ? cache_->counts() : VectorCache::Counts{};
}

}  // namespace akin::serve
