#include "serve/host_workers.h"

#include <algorithm>
#include <utility>

namespace akin::serve {

Workers::Workers(size_t threads) {
  for (size_t i = 0; i < std::max<size_t>(threads, 1); ++i)
    threads_.emplace_back([this] { work(); });
}

Workers::~Workers() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void Workers::post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    later_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void Workers::post_first(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    first_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void Workers::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return stop_ || !first_.empty() || !later_.empty(); });
    auto& queue = first_.empty() ? later_ : first_;
    if (queue.empty()) return;
    {
      const std::function<void()> task = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      task();
    }
    lock.lock();
  }
}

}  // namespace akin::serve
