// What is this machine's f32 ceiling right now, on one and on two threads? A loop of multiply-adds
// on registers alone; every share of the ceiling in RESULTS.md is taken beside a run of this.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "kernels/ceiling.h"

namespace {

double gflops(size_t threads) {
  constexpr size_t kRounds = 2'000'000;
  std::atomic<size_t> ready{0};
  std::atomic<bool> go{false};
  std::atomic<double> work{0};
  std::vector<std::thread> pool;
  for (size_t t = 0; t < threads; ++t) {
    pool.emplace_back([&] {
      ++ready;
      while (!go) {
      }
      work = akin::kernels::spin_multiply_adds(kRounds);
    });
  }
  while (ready < threads) {
  }
  const auto start = std::chrono::steady_clock::now();
  go = true;
  for (auto& thread : pool) thread.join();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return static_cast<double>(threads) * work / seconds / 1e9;
}

}  // namespace

int main() {
  for (const size_t threads : {1, 2}) {
    std::vector<double> runs;
    for (int r = 0; r < 9; ++r) runs.push_back(gflops(threads));
    std::sort(runs.begin(), runs.end());
    fmt::print(
        "{{\"question\":\"f32 "
        "ceiling\",\"kind\":\"f32\",\"unit\":\"GFLOP/"
        "s\",\"threads\":{},\"n\":{},\"value\":{:.1f},\"min\":{:.1f},\"max\":{:.1f}}}\n",
        threads, runs.size(), runs[runs.size() / 2], runs.front(), runs.back());
  }
}
