// Progress of long work, as numbers; cli/ draws the bar. Also the one flag that SIGINT, SIGTERM
// and SIGHUP set.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>

namespace akin {

struct Progress {
  std::string_view what;  // "embedding"
  uint64_t done = 0;
  uint64_t total = 0;     // 0: unknown
  std::string_view unit;  // "texts"
};
using ProgressSink = std::function<void(const Progress&)>;

// Long loops call this at least every second; it throws Error(interrupted) once the flag is set.
void check_interrupted();
std::atomic<bool>& interrupt_flag();  // a signal handler may set it

}  // namespace akin
