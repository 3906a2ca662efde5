// A few threads that run one forward pass together: who I am, and my share of rows, panels or
// tasks. A team of one is a plain thread.
#pragma once

#include <cstddef>

#include "base/threads.h"

namespace akin::engine {

struct Range {
  size_t begin = 0, end = 0;
  size_t size() const { return end - begin; }
};

struct Team {
  size_t rank = 0, size = 1;
  SpinBarrier* barrier = nullptr;  // null in a team of one

  void wait() const {
    if (barrier != nullptr) barrier->arrive_and_wait();
  }
  Range share(size_t count) const { return {count * rank / size, count * (rank + 1) / size}; }
};

}  // namespace akin::engine
