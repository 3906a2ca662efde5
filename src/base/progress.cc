#include "base/progress.h"

#include "base/error.h"

namespace akin {

std::atomic<bool>& interrupt_flag() {
  static std::atomic<bool> flag{false};
  return flag;
}

void check_interrupted() {
  if (interrupt_flag().load(std::memory_order_relaxed)) {
    throw Error(ErrorKind::interrupted, "interrupted; no output file was written");
  }
}

}  // namespace akin
