#include "serve/log_lines.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>

namespace akin::serve {
namespace {

constexpr size_t kMaxQueued = size_t{4} << 20;  // bytes

std::string now_text() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                     ms);
}

std::string dump(const nlohmann::ordered_json& line) {
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

LogLines::LogLines(std::FILE* to) : to_(to), thread_([this] { write(); }) {}

LogLines::~LogLines() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void LogLines::request(const RequestLine& line) {
  nlohmann::ordered_json json = {{"time", now_text()},
                                 {"level", line.status < 500 ? "info" : "error"},
                                 {"id", line.id},
                                 {"remote", line.remote},
                                 {"method", line.method},
                                 {"path", line.path.substr(0, 256)},
                                 {"status", line.status},
                                 {"ms", std::round(line.milliseconds * 1000) / 1000},
                                 {"bytes_in", line.bytes_in},
                                 {"bytes_out", line.bytes_out}};
  if (!line.tokens.empty())
    json["tokens"] = std::strtoull(std::string(line.tokens).c_str(), nullptr, 10);
  push(dump(json));
}

void LogLines::event(std::string_view level, std::string_view message) {
  push(dump({{"time", now_text()}, {"level", level}, {"message", message}}));
}

void LogLines::push(std::string_view line) {
  {
    const std::lock_guard lock(mutex_);
    if (queued_.size() + line.size() > kMaxQueued) {
      ++dropped_;
      return;
    }
    queued_ += line;
  }
  wake_.notify_one();
}

void LogLines::write() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return stop_ || !queued_.empty(); });
    if (queued_.empty()) return;
    std::string lines;
    lines.swap(queued_);
    const uint64_t dropped = std::exchange(dropped_, 0);
    lock.unlock();
    if (dropped > 0) {
      lines += dump({{"time", now_text()},
                     {"level", "warning"},
                     {"message", "log lines were dropped: their reader is too slow"},
                     {"lines", dropped}});
    }
    std::fwrite(lines.data(), 1, lines.size(), to_);
    std::fflush(to_);
    lock.lock();
  }
}

}  // namespace akin::serve
