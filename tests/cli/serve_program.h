// akin serve as a child process: started on a free port, its log collected while it runs, ended by
// a signal. Not a client: that is serve/test_client.h.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "run_program.h"

namespace akin::cli_test {

class ServeProgram {
 public:
  // `arguments` behind "serve --port 0 --json"; returns once it listens.
  explicit ServeProgram(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"serve", "--port", "0", "--json"});
    program_ = std::thread([this, words = std::move(arguments)] {
      result_ = run(Invocation{.arguments = words,
                               .while_running = [this](int process) { process_ = process; },
                               .on_output =
                                   [this](bool error, const std::string& all) {
                                     const std::lock_guard lock(mutex_);
                                     (error ? log_ : out_) = all;
                                   }});
      ended_ = true;
    });
    wait([&] { return ended_ || out().find('\n') != std::string::npos; });
    if (!ended_) port_ = nlohmann::json::parse(out()).at("port").get<uint16_t>();
  }
  ~ServeProgram() {
    if (!ended_) signal(SIGKILL);
    if (program_.joinable()) program_.join();
  }

  uint16_t port() const { return port_; }  // 0: it did not start
  void signal(int number) { ::kill(process_, number); }
  Result end() {  // waits until it has ended
    if (program_.joinable()) program_.join();
    return result_;
  }
  std::string log() const {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  // Until the log has `part`; false: not within 20 s.
  bool says(const std::string& part) const {
    return wait([&] { return log().find(part) != std::string::npos; });
  }

 private:
  template <typename Condition>
  static bool wait(Condition condition) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (Clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }
  std::string out() const {
    const std::lock_guard lock(mutex_);
    return out_;
  }

  mutable std::mutex mutex_;
  std::string out_, log_;
  std::atomic<int> process_{0};
  std::atomic<bool> ended_{false};
  uint16_t port_ = 0;
  Result result_;
  std::thread program_;
};

}  // namespace akin::cli_test
