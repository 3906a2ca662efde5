#include "core/counters.h"

#include <mutex>

#include "base/log.h"

namespace akin {
namespace {

std::mutex mutex;
std::map<std::string, uint64_t>& counts() {
  static std::map<std::string, uint64_t> instance;
  return instance;
}

}  // namespace

void count_event(std::string_view name, uint64_t amount, std::string_view message) {
  bool first = false;
  {
    const std::lock_guard lock(mutex);
    auto [it, inserted] = counts().try_emplace(std::string(name), 0);
    it->second += amount;
    first = inserted;
  }
  if (first) log_message(LogLevel::warning, message);
}

std::map<std::string, uint64_t> event_counts() {
  const std::lock_guard lock(mutex);
  return counts();
}

}  // namespace akin
