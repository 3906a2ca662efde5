#include "base/threads.h"

#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace akin {
namespace {

void cpu_pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

constexpr int kSpins = 4000;  // about 40-200 microseconds before a waiter gives its core away

// CPUs allowed by a cgroup quota, or 0 when there is none.
double cgroup_cpus() {
  std::string quota;
  double period = 0;
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); v2 >> quota >> period) {
    if (quota == "max" || period <= 0) return 0;
    return std::strtod(quota.c_str(), nullptr) / period;
  }
  double limit = 0;
  std::ifstream v1_quota("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  std::ifstream v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  if (v1_quota >> limit && v1_period >> period && limit > 0 && period > 0) return limit / period;
  return 0;
}

}  // namespace

size_t usable_cpus() {
  size_t count = std::max(1U, std::thread::hardware_concurrency());
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) count = static_cast<size_t>(CPU_COUNT(&set));
  const double quota = cgroup_cpus();
  if (quota > 0) count = std::min(count, static_cast<size_t>(quota + 0.999));
  return std::max<size_t>(1, count);
}

void SpinBarrier::arrive_and_wait() {
  const int phase = phase_.load(std::memory_order_acquire);
  rethrow_if_broken();
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == members_) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.fetch_add(1, std::memory_order_release);
    phase_.notify_all();
    return;
  }
  for (int spin = 0; spin < kSpins; ++spin) {
    if (phase_.load(std::memory_order_acquire) != phase) return rethrow_if_broken();
    cpu_pause();
  }
  phase_.wait(phase, std::memory_order_acquire);
  rethrow_if_broken();
}

void SpinBarrier::break_up(std::exception_ptr why) {
  int expected = whole;
  if (!state_.compare_exchange_strong(expected, breaking)) return;
  why_ = std::move(why);
  state_.store(broken);
  phase_.fetch_add(1);
  phase_.notify_all();
}

void SpinBarrier::rethrow_if_broken() const {
  if (state_.load() == broken) std::rethrow_exception(why_);
}

ThreadPool::ThreadPool(size_t size) {
  constexpr size_t kMost = 4096;  // more than any machine has; starting tens of thousands harms it
  if (size > kMost) {
    throw_error(ErrorKind::usage, "--threads",
                "{} asked, at most {}; 0 takes as many as are usable", size, kMost);
  }
  for (size_t t = 1; t < std::max<size_t>(1, size); ++t) {
    try {
      workers_.emplace_back([this, t] { work(t); });
    } catch (const std::system_error& error) {
      stop();
      throw_error(ErrorKind::usage, "--threads",
                  "the system gives no more than {} of {} threads ({}); ask for fewer", t, size,
                  error.what());
    }
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    generation_.fetch_add(1, std::memory_order_release);
  }
  start_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::call(const std::function<void(size_t)>& task, size_t thread) {
  try {
    task(thread);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::current_exception();
  }
}

void ThreadPool::work(size_t thread) {
  uint64_t seen = 0;
  while (true) {
    for (int spin = 0; spin < kSpins && generation_.load(std::memory_order_acquire) == seen;
         ++spin) {
      cpu_pause();
    }
    const std::function<void(size_t)>* task = nullptr;
    {
      std::unique_lock lock(mutex_);
      start_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != seen; });
      seen = generation_.load(std::memory_order_relaxed);
      if (stop_) return;
      task = task_;
      if (task == nullptr) continue;
      ++begun_;
    }
    call(*task, thread);
    finished_.fetch_add(1);
    if (!waiting_.load()) continue;  // the caller looks again when it has said that it waits
    const std::lock_guard lock(mutex_);
    done_.notify_one();
  }
}

void ThreadPool::run(const std::function<void(size_t)>& task, bool all) {
  const std::lock_guard running(run_mutex_);
  if (workers_.empty()) {
    task(0);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    task_ = &task;
    error_ = nullptr;
    begun_ = 0;
    finished_.store(0, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
  }
  start_.notify_all();
  call(task, 0);
  size_t called = workers_.size();
  if (!all) {
    const std::lock_guard lock(mutex_);
    task_ = nullptr;
    called = begun_;
  }
  const auto done = [&] { return finished_.load() == called; };
  for (int spin = 0; spin < kSpins && !done(); ++spin) cpu_pause();
  if (!done()) {
    std::unique_lock lock(mutex_);
    waiting_.store(true);
    done_.wait(lock, done);
    waiting_.store(false);
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void parallel_for(ThreadPool& pool, size_t count, size_t chunk,
                  const std::function<void(size_t, size_t)>& f) {
  std::atomic<size_t> next{0};
  pool.join([&](size_t thread) {
    for (size_t begin = next.fetch_add(chunk); begin < count; begin = next.fetch_add(chunk)) {
      for (size_t i = begin; i < std::min(count, begin + chunk); ++i) f(i, thread);
    }
  });
}

}  // namespace akin
