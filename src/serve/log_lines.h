// JSON lines of a log, written by a thread of their own so that a slow reader of the log never
// holds up a request. Lines that do not fit the queue are dropped and counted.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "serve/server.h"

namespace akin::serve {

class LogLines {
 public:
  explicit LogLines(std::FILE* to);  // borrowed
  ~LogLines();                       // writes what is queued
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;

  // Thread-safe.
  void request(const RequestLine& line);
  void event(std::string_view level, std::string_view message);

 private:
  void push(std::string_view line);
  void write();
  std::FILE* const to_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::string queued_;
  uint64_t dropped_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace akin::serve
