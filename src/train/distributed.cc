// c10d behind Group: a TCPStore where the processes meet, ProcessGroupGloo for what they exchange,
// ProcessGroupNCCL for tensors on GPUs. The only file that includes c10d; without Gloo in libtorch
// it refuses.
#include "train/distributed.h"

// libtorch's package defines USE_C10D_*; the headers of Gloo and NCCL come from packages of theirs.
#if defined(USE_C10D_GLOO) && __has_include(<gloo/context.h>)
#define AKIN_GLOO
#include <torch/version.h>

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#if defined(USE_C10D_NCCL) && __has_include(<nccl.h>)
#define AKIN_NCCL
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#endif

#include <fmt/ranges.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/progress.h"

namespace akin::train {

#ifndef AKIN_GLOO

bool can_join() { return false; }

std::unique_ptr<Group> join(const Launch& launch) {
  throw_error(
      ErrorKind::unsupported, fmt::format("process {} of {}", launch.rank, launch.size),
      "this build trains in one process only: libtorch has no Gloo, or its headers were not "
      "there (Debian: libgloo-dev); install them and build again, or start one process");
}

#else

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr seconds kJoin{300}, kStep{1800};  // how long to wait; AKIN_WAIT_SECONDS sets both
constexpr seconds kLast{2};                 // for a sign of life, once somebody is missing
constexpr seconds kLeave{30};               // for the others, once the work is done
constexpr milliseconds kLook{20};           // between two looks
constexpr char kAsked = '!';                // before the words of an error: by a signal

#if TORCH_VERSION_MAJOR >= 2
using Collectives = c10d::Backend;
#else
using Collectives = c10d::ProcessGroup;
#endif

std::string place() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return fmt::format("{}, process number {}", name, ::getpid());
}

std::string key(std::string_view what, size_t number) { return fmt::format("{}/{}", what, number); }

std::string first_line(std::string_view words) {
  return std::string(words.substr(0, words.find('\n')));
}

// libtorch 2.4 and later ask for libuv, which not every build of it has (Debian's has not).
template <typename Options>
void use_plain_sockets(Options& options) {
  if constexpr (requires { options.useLibUV; }) options.useLibUV = false;
}

class C10dGroup final : public Group {
 public:
  explicit C10dGroup(const Launch& launch) : Group(launch) {
    wait_ = launch.wait_seconds == 0 ? kJoin : seconds(launch.wait_seconds);
    open_store();
    meet();
    connect();
  }

  // The store goes with process 0: it stays until the others need nothing more.
  ~C10dGroup() override {
    if (ended_) return;
    try {
      set(key("done", rank()), "");
      if (leads()) wait_for_all("done", kLeave);
    } catch (const std::exception&) {  // they have gone already
    }
  }

  void sum(at::Tensor& values) override {
    act(values, [&](Collectives& group, at::Tensor& own) {
      std::vector<at::Tensor> list = {own};
      return group.allreduce(list);
    });
  }

  at::Tensor gather(const at::Tensor& values) override {
    std::vector<int64_t> shape = values.sizes().vec();
    shape[0] *= static_cast<int64_t>(size());
    at::Tensor out = at::empty(shape, values.options());
    at::Tensor own = on_wire(values.contiguous());
    const int64_t rows = own.size(0);
    act(out, [&](Collectives& group, at::Tensor& all) {  // Gloo has no gather into one tensor
      std::vector<std::vector<at::Tensor> > parts(1);
      for (int64_t r = 0; r < static_cast<int64_t>(size()); ++r) {
        parts[0].push_back(all.narrow(0, r * rows, rows));
      }
      std::vector<at::Tensor> list = {own};
      return group.allgather(parts, list);
    });
    return out;
  }

  std::string told(const std::string& words) override {
    const std::string name = key("told", told_++);
    try {
      if (leads()) {
        set(name, words);
        return words;
      }
      while (!store_->check({name})) {
        if (store_->check({key("error", 0)})) lose("process 0 has ended");
        std::this_thread::sleep_for(kLook);
      }
      return get(name);
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      lose(error.what());
    }
  }

  Error ending(const Error& own) override {
    ended_ = true;
    const std::string where = fmt::format("process {} of {}", rank(), size());
    std::string gone;
    auto kind = ErrorKind::io;
    try {
      if (!lost_) {
        const bool asked = own.kind() == ErrorKind::interrupted;
        set(key("error", rank()), fmt::format("{}{}", asked ? kAsked : ' ', own.what()));
      }
      set(key("here", rank()), "");
      gloo_.reset();  // those who wait for this process need wait no longer
      if (lost_) gone = missing(kind);
      set(key("read", rank()), "");
      if (leads()) wait_for_all("read", kLast);
    } catch (const std::exception&) {  // the store is process 0's
      gone = fmt::format("process 0 ({}) has ended: killed, or its machine is gone", places_[0]);
    }
    if (!lost_) {
      return leads() ? own
                     : Error(own.kind(), own.message(),
                             own.where().empty() ? where : where + ": " + own.where());
    }
    if (gone.empty()) gone = "the connection broke: " + own.message();
    return Error(kind, gone + "; start all processes again with --resume", where);
  }

 private:
  void open_store() {
    c10d::TCPStoreOptions options;
    use_plain_sockets(options);
    options.port = launch_.port;
    options.isServer = leads();
    options.waitWorkers = false;
    options.timeout = wait_;
    try {
      store_ = c10::make_intrusive<c10d::TCPStore>(launch_.address, options);
    } catch (const std::exception& error) {
      const std::string where = fmt::format("{}:{}", launch_.address, launch_.port);
      if (leads()) {
        throw_error(ErrorKind::io, where,
                    "the other processes cannot meet here; set MASTER_PORT to a free port, and "
                    "MASTER_ADDR to the machine of process 0: {}",
                    first_line(error.what()));
      }
      throw_error(ErrorKind::io, where,
                  "process {} of {} found no process 0 here within {} s; is it running, and are "
                  "MASTER_ADDR and MASTER_PORT its own?",
                  rank(), size(), wait_.count());
    }
  }

  // Until all are there; who came twice or counts on another number of processes is refused.
  void meet() {
    const std::string where = fmt::format("process {} of {}", rank(), size());
    try {
      if (store_->add(key("came", rank()), 1) > 1) {
        throw_error(ErrorKind::usage, where,
                    "there is another process {}; give each one a rank of its own", rank());
      }
      set(key("place", rank()), fmt::format("{} {}", size(), place()));
      const auto deadline = Clock::now() + wait_;
      for (size_t r = 0; r < size(); ++r) {
        await("place", r, deadline);
        const std::string words = get(key("place", r));
        const size_t space = words.find(' ');
        if (words.substr(0, space) != std::to_string(size())) {
          throw_error(ErrorKind::usage, where, "process {} counts on {} processes in all", r,
                      words.substr(0, space));
        }
        places_.push_back(words.substr(space + 1));
      }
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      throw_error(ErrorKind::io, where, "process 0 has gone before all had come: {}",
                  first_line(error.what()));
    }
  }

  // Until process `r` has left `what` in the store.
  void await(std::string_view what, size_t r, Clock::time_point deadline) {
    while (!store_->check({key(what, r)})) {
      check_interrupted();
      if (Clock::now() > deadline) refuse_absent(what);
      std::this_thread::sleep_for(kLook);
    }
  }

  [[noreturn]] void refuse_absent(std::string_view what) {
    std::vector<size_t> absent;
    for (size_t r = 0; r < size(); ++r) {
      if (!store_->check({key(what, r)})) absent.push_back(r);
    }
    throw_error(ErrorKind::io, fmt::format("process {} of {}", rank(), size()),
                "after {} s there is still no process {}; start them all, with the same "
                "MASTER_ADDR and MASTER_PORT (AKIN_WAIT_SECONDS says how long to wait)",
                wait_.count(), fmt::join(absent, ", "));
  }

  // Nobody leaves before all are connected: who ends later is missed in an operation, and named.
  void connect() {
    auto options = c10d::ProcessGroupGloo::Options::create(
        launch_.wait_seconds == 0 ? milliseconds(kStep) : milliseconds(wait_));
    const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
    options->devices.push_back(interface != nullptr && *interface != 0
                                   ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
                               : launch_.one_machine
                                   ? c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1")
                                   : c10d::ProcessGroupGloo::createDefaultDevice());
    options->threads = 1;
    const auto number = static_cast<int>(rank()), count = static_cast<int>(size());
    try {
      gloo_ = c10::make_intrusive<c10d::ProcessGroupGloo>(store_, number, count, options);
      set(key("connected", rank()), "");
      const auto deadline = Clock::now() + wait_;
      for (size_t r = 0; r < size(); ++r) await("connected", r, deadline);
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      throw_error(ErrorKind::io, fmt::format("process {} of {}", rank(), size()),
                  "the processes met, but could not connect to each other: {}; one of them has "
                  "ended, or the network is another one (GLOO_SOCKET_IFNAME names it)",
                  first_line(error.what()));
    }
  }

  // NCCL, made when a tensor on a GPU first comes, or Gloo.
  Collectives& carrier(const at::Tensor& wire) {
#ifdef AKIN_NCCL
    if (wire.is_cuda() && nccl_ == nullptr) {
      // Else its watchdog aborts the process ten minutes after another one is gone.
      ::setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0", 0);
      nccl_ = c10::make_intrusive<c10d::ProcessGroupNCCL>(
          c10::make_intrusive<c10d::PrefixStore>("nccl", store_), static_cast<int>(rank()),
          static_cast<int>(size()));
    }
    if (wire.is_cuda()) return *nccl_;
#else
    AKIN_CHECK(!wire.is_cuda());
#endif
    return *gloo_;
  }

  // Gloo works in the memory of the CPU.
  static at::Tensor on_wire(const at::Tensor& values) {
#ifdef AKIN_NCCL
    return values;
#else
    return values.cpu();
#endif
  }

  template <typename Start>
  void act(at::Tensor& values, const Start& start) {
    try {
      at::Tensor wire = on_wire(values);
      Collectives& group = carrier(wire);
      if (wire.is_cuda()) {
        gloo_->barrier()->wait();  // NCCL waits for a process that is gone; Gloo finds it out
        finish_on_gpu(*start(group, wire));
      } else {
        start(group, wire)->wait();
      }
      if (!wire.is_same(values)) values.copy_(wire);
    } catch (const std::exception& error) {
      lose(error.what());
    }
  }

  // A wait that ends: NCCL's own is the stream's, and does not return once a process is gone.
  template <typename Work>
  void finish_on_gpu(Work& work) {
    const auto limit = launch_.wait_seconds == 0 ? kStep : wait_;
    const auto deadline = Clock::now() + limit;
    while (!work.isCompleted()) {
      if (Clock::now() > deadline)
        throw std::runtime_error(fmt::format("no answer on the GPUs within {} s", limit.count()));
      std::this_thread::yield();
    }
    work.wait();
  }

  [[noreturn]] void lose(const std::string& what) {
    lost_ = true;
    throw Error(ErrorKind::io, first_line(what));
  }

  // Who has ended and why, or who gives no sign of life; empty: nobody. `kind`: of that error.
  std::string missing(ErrorKind& kind) {
    const auto deadline = Clock::now() + kLast;
    while (true) {
      std::vector<size_t> silent;
      for (size_t r = 0; r < size(); ++r) {
        if (r != rank() && store_->check({key("error", r)})) {
          const std::string words = get(key("error", r));
          if (words.front() == kAsked) kind = ErrorKind::interrupted;
          return fmt::format("process {} ({}) has ended: {}", r, places_[r], words.substr(1));
        }
        if (!store_->check({key("here", r)})) silent.push_back(r);
      }
      if (silent.empty()) return {};
      if (Clock::now() > deadline) {
        std::vector<std::string> words;
        for (const size_t r : silent) words.push_back(fmt::format("{} ({})", r, places_[r]));
        return fmt::format("process {} has ended without a word: killed, or its machine is gone",
                           fmt::join(words, ", "));
      }
      std::this_thread::sleep_for(kLook);
    }
  }

  void wait_for_all(std::string_view what, seconds most) {
    const auto deadline = Clock::now() + most;
    for (size_t r = 0; r < size(); ++r) {
      while (!store_->check({key(what, r)}) && Clock::now() < deadline) {
        std::this_thread::sleep_for(kLook);
      }
    }
  }

  void set(const std::string& name, const std::string& words) {
    store_->set(name, std::vector<uint8_t>(words.begin(), words.end()));
  }
  std::string get(const std::string& name) {
    const std::vector<uint8_t> bytes = store_->get(name);
    return {bytes.begin(), bytes.end()};
  }

  seconds wait_{};
  std::vector<std::string> places_;  // machine and process number, by rank
  size_t told_ = 0;
  bool ended_ = false;
  c10::intrusive_ptr<c10d::TCPStore> store_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo_;
#ifdef AKIN_NCCL
  c10::intrusive_ptr<c10d::ProcessGroupNCCL> nccl_;
#endif
};

}  // namespace

bool can_join() { return true; }

std::unique_ptr<Group> join(const Launch& launch) { return std::make_unique<C10dGroup>(launch); }

#endif

}  // namespace akin::train
