// Threads: how many this process may use, a pool that runs one task on each of its threads, and a
// spinning barrier.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace akin {

// Processors this process may run on: the affinity mask, cut by the cgroup's CPU quota (v2 and v1);
// at least 1.
size_t usable_cpus();

// A barrier for a few threads that meet every few microseconds: spins first, then sleeps. All
// members must arrive; one that cannot, because it failed, breaks the barrier.
class SpinBarrier {
 public:
  explicit SpinBarrier(size_t members) : members_(members) {}
  // Throws what broke the barrier, at once and from then on.
  void arrive_and_wait();
  // Gives up for all members; the first call's `why` counts.
  void break_up(std::exception_ptr why);

 private:
  enum Breaking : int { whole, breaking, broken };
  void rethrow_if_broken() const;

  const size_t members_;
  alignas(64) std::atomic<size_t> arrived_{0};
  alignas(64) std::atomic<int> phase_{0};  // an int, so that the kernel can wait on it itself
  std::atomic<int> state_{whole};
  std::exception_ptr why_;
};

// run(f) calls f(0) on the caller and f(1..size-1) on the pool's threads, and returns when all have
// finished; the first exception is rethrown. join(f) is for work that any of them can do alone: a
// thread that has not begun when f(0) returns is not called, for on a busy machine it may be
// milliseconds late. One of these at a time: a second caller waits. Not re-entrant.
class ThreadPool {
 public:
  explicit ThreadPool(size_t size);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  size_t size() const { return workers_.size() + 1; }
  void run(const std::function<void(size_t thread)>& task) { run(task, true); }
  void join(const std::function<void(size_t thread)>& task) { run(task, false); }

 private:
  void run(const std::function<void(size_t)>& task, bool all);
  void work(size_t thread);
  void stop();
  void call(const std::function<void(size_t)>& task, size_t thread);
  std::mutex run_mutex_;
  std::mutex mutex_;
  std::condition_variable start_, done_;
  const std::function<void(size_t)>* task_ = nullptr;  // null: over, for those who are late
  std::atomic<uint64_t> generation_{0};
  size_t begun_ = 0;  // threads of the pool that have the task
  std::atomic<size_t> finished_{0};
  std::atomic<bool> waiting_{false};  // the caller sleeps until the last has finished
  bool stop_ = false;
  std::exception_ptr error_;
  std::vector<std::thread> workers_;
};

// Calls f(i) for i in [0, count), handed out `chunk` at a time to the pool's threads. f also gets
// the thread's number.
void parallel_for(ThreadPool& pool, size_t count, size_t chunk,
                  const std::function<void(size_t index, size_t thread)>& f);

}  // namespace akin
