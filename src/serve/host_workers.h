// A few threads that take short tasks in order: tokenising, printing answers, searching an index.
// Not for passes of a model (batcher.h) and not for sockets (server.h).
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace akin::serve {

class Workers {
 public:
  explicit Workers(size_t threads);
  ~Workers();  // runs what is queued, then ends
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Thread-safe; a task must not throw and must not wait for another task.
  void post(std::function<void()> task);
  void post_first(std::function<void()> task);  // before everything that post() queued

  size_t size() const { return threads_.size(); }

 private:
  void work();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> first_, later_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace akin::serve
