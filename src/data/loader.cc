// See loader.h: the threads. collate() is collate.cc.
#include "data/loader.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/error.h"

namespace akin::data {
namespace {

// A batch, or why there is none.
struct Outcome {
  TrainBatch batch;
  std::exception_ptr error;
};

}  // namespace

struct Loader::State {
  State(Mixture& mixture_in, const text::Tokenizer& tokenizer_in,
        std::vector<CollateOptions> collate_in, size_t ahead_in)
      : mixture(mixture_in),
        tokenizer(tokenizer_in),
        options(std::move(collate_in)),
        ahead(std::max<size_t>(1, ahead_in)) {}
  ~State() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    room.notify_all();
    for (auto& worker : workers) worker.join();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Mixture& mixture;
  const text::Tokenizer& tokenizer;
  const std::vector<CollateOptions> options;
  const size_t ahead;

  std::mutex draw_mutex;  // holds the mixture; taken before `mutex`
  std::mutex mutex;       // holds what follows
  std::condition_variable room, arrived;
  std::map<uint64_t, Outcome> ready;  // by order of drawing
  uint64_t drawn = 0, delivered = 0;
  bool stop = false;  // no more is drawn
  double waited = 0;
  std::vector<std::thread> workers;

  TrainBatch collated(const DrawnBatch& batch) const {
    return collate(batch, mixture.sources()[batch.source], tokenizer, options[batch.source]);
  }

  // The next batch to collate and its place in the order; false when the loader has stopped. What
  // the mixture throws becomes the outcome of that place.
  bool draw(DrawnBatch& batch, uint64_t& place) {
    const std::lock_guard drawing(draw_mutex);
    {
      std::unique_lock lock(mutex);
      room.wait(lock, [&] { return stop || drawn < delivered + ahead; });
      if (stop) return false;
      place = drawn++;
    }
    try {
      batch = mixture.next();
      return true;
    } catch (...) {
      arrive(place, {{}, std::current_exception()});
      return false;
    }
  }
  void arrive(uint64_t place, Outcome outcome) {
    {
      const std::lock_guard lock(mutex);
      if (outcome.error) stop = true;
      ready.emplace(place, std::move(outcome));
    }
    arrived.notify_all();
    room.notify_all();
  }
  void work() {
    DrawnBatch batch;
    uint64_t place = 0;
    while (draw(batch, place)) {
      Outcome outcome;
      try {
        outcome.batch = collated(batch);
      } catch (...) {
        outcome.error = std::current_exception();
      }
      arrive(place, std::move(outcome));
    }
  }
};

Loader::Loader(Mixture& mixture, const text::Tokenizer& tokenizer,
               std::vector<CollateOptions> collate, size_t workers, size_t ahead)
    : state_(std::make_unique<State>(mixture, tokenizer, std::move(collate), ahead)) {
  const size_t sources = mixture.sources().size();
  if (state_->options.size() != sources) {
    throw_error(ErrorKind::usage, "loader", "options for {} sources, the mixture has {}",
                state_->options.size(), sources);
  }
  for (size_t i = 0; i < workers; ++i) {
    state_->workers.emplace_back([state = state_.get()] { state->work(); });
  }
}

Loader::~Loader() = default;

TrainBatch Loader::next() {
  const auto start = std::chrono::steady_clock::now();
  State& state = *state_;
  if (state.workers.empty()) {
    TrainBatch out = state.collated(state.mixture.next());
    state.waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return out;
  }
  TrainBatch out;
  {
    std::unique_lock lock(state.mutex);
    state.arrived.wait(lock, [&] { return state.ready.contains(state.delivered); });
    state.waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    Outcome& outcome = state.ready.at(state.delivered);
    if (outcome.error) std::rethrow_exception(outcome.error);
    out = std::move(outcome.batch);
    state.ready.erase(state.delivered++);
  }
  state.room.notify_all();
  return out;
}

double Loader::waited_seconds() const {
  const std::lock_guard lock(state_->mutex);
  return state_->waited;
}

}  // namespace akin::data
