// The pool, the barrier and parallel_for: every index once, errors carried over, reuse.
#include "base/threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace akin {
namespace {

TEST(ThreadPool, RunsEveryThreadOnceManyTimes) {
  for (const size_t size : {1, 2, 4}) {
    ThreadPool pool(size);
    std::vector<std::atomic<int>> calls(size);
    for (int round = 0; round < 200; ++round) pool.run([&](size_t thread) { ++calls[thread]; });
    for (const auto& count : calls) EXPECT_EQ(count, 200);
  }
}

TEST(ThreadPool, RethrowsAndGoesOn) {
  ThreadPool pool(3);
  EXPECT_THROW(pool.run([](size_t thread) {
    if (thread == 2) throw std::runtime_error("two");
  }),
               std::runtime_error);
  std::atomic<int> calls{0};
  pool.run([&](size_t) { ++calls; });
  EXPECT_EQ(calls, 3);
}

TEST(ThreadPool, ParallelForVisitsEachIndexOnce) {
  ThreadPool pool(2);
  for (const size_t count : {0, 1, 7, 1000}) {
    std::vector<std::atomic<int>> seen(count);
    parallel_for(pool, count, 3, [&](size_t i, size_t) { ++seen[i]; });
    for (const auto& times : seen) ASSERT_EQ(times, 1);
  }
}

// Whoever is there does the work; a task is over when its call returns, late threads or not.
TEST(ThreadPool, JoinsThoseWhoAreThere) {
  ThreadPool pool(4);
  for (int round = 0; round < 2000; ++round) {
    std::atomic<int> calls{0}, left{100};
    std::atomic<bool> over{false}, late{false};
    pool.join([&](size_t) {
      if (over) late = true;
      ++calls;
      while (left.fetch_sub(1) > 0) {
      }
    });
    over = true;
    EXPECT_GE(calls, 1);
    EXPECT_LE(calls, 4);
    EXPECT_LE(left, 0);
    EXPECT_FALSE(late);
    if (round % 100 == 0) pool.run([&](size_t) { ++calls; });
  }
  EXPECT_THROW(pool.join([](size_t thread) {
    if (thread == 0) throw std::runtime_error("zero");
  }),
               std::runtime_error);
}

TEST(SpinBarrier, NobodyPassesEarly) {
  constexpr size_t kMembers = 3, kRounds = 500;
  ThreadPool pool(kMembers);
  SpinBarrier barrier(kMembers);
  std::atomic<size_t> arrived{0};
  std::atomic<bool> early{false};
  pool.run([&](size_t) {
    for (size_t round = 1; round <= kRounds; ++round) {
      ++arrived;
      barrier.arrive_and_wait();
      if (arrived < round * kMembers) early = true;
      barrier.arrive_and_wait();
    }
  });
  EXPECT_FALSE(early);
}

TEST(SpinBarrier, OneMemberThatFailsFreesTheOthers) {
  constexpr size_t kMembers = 3;
  ThreadPool pool(kMembers);
  for (int round = 0; round < 200; ++round) {
    SpinBarrier barrier(kMembers);
    std::atomic<int> passed{0};
    EXPECT_THROW(pool.run([&](size_t thread) {
      barrier.arrive_and_wait();
      if (thread == 1) {
        barrier.break_up(std::make_exception_ptr(std::runtime_error("one")));
        throw std::runtime_error("one");
      }
      barrier.arrive_and_wait();
      ++passed;
    }),
                 std::runtime_error);
    EXPECT_EQ(passed, 0);
    EXPECT_THROW(barrier.arrive_and_wait(), std::runtime_error);
  }
}

TEST(UsableCpus, IsAtLeastOne) { EXPECT_GE(usable_cpus(), 1U); }

}  // namespace
}  // namespace akin
