// Counters for everything that was changed or dropped on the way: truncated texts, replaced bytes,
// missing files, fallbacks.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace akin {

// Adds to a process-wide counter by name; the first time a name is counted its message is logged as
// one warning.
void count_event(std::string_view name, uint64_t amount, std::string_view message);
std::map<std::string, uint64_t> event_counts();

}  // namespace akin
