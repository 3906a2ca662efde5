// Where words go. The library logs through here and never prints; only cli/ and serve/ install a
// sink. Thread-safe.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string_view>

namespace akin {

enum class LogLevel { debug, info, warning, error };

using LogSink = std::function<void(LogLevel, std::string_view message)>;
void set_log_sink(LogSink sink);  // empty: silence (the default)
void log_message(LogLevel level, std::string_view message);

template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_message(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace akin
