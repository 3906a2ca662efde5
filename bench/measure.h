// What the benchmarks share: times of the processor, which a busy machine moves less than the
// clock's, medians, and the lines of a text file.
#pragma once

#include <algorithm>
#include <chrono>
#include <ctime>
#include <string_view>
#include <vector>

namespace akin::bench {

using Clock = std::chrono::steady_clock;

inline double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

inline double clock_seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}
inline double processor_seconds() {
  return clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
}  // all threads
inline double thread_seconds() { return clock_seconds(CLOCK_THREAD_CPUTIME_ID); }

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

inline std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace akin::bench
