// See mixture.h. Everything random hangs on the seed and a number (of the batch, of the epoch), so
// the state is where each source stands.
#include "data/mixture.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/rng.h"
#include "core/counters.h"
#include "data/hash_map.h"
#include "data/shuffle.h"

namespace akin::data {
namespace {

using nlohmann::json;

uint64_t derived_seed(uint64_t seed, uint64_t what, uint64_t number) {
  const uint64_t words[] = {seed, what, number};
  return hash64({reinterpret_cast<const char*>(words), sizeof words});
}

// The texts of one batch.
class BatchTexts {
 public:
  bool meets(const TextKeys& keys) const { return has(keys.query) || has(keys.positive); }
  void add(const TextKeys& keys) {
    if (keys.query != 0) seen_.add(keys.query, 0);
    if (keys.positive != 0) seen_.add(keys.positive, 0);
  }

 private:
  bool has(uint64_t key) const { return key != 0 && seen_.find(key).has_value(); }
  HashMap seen_;
};

struct Aside {
  uint64_t record = 0;
  TextKeys keys;
};

// Where one source stands: the record at `position` of epoch `epoch` comes next, after those aside.
class Walk {
 public:
  Walk(const MixtureSource& source, uint64_t number, uint64_t seed)
      : source_(source), number_(number), seed_(seed), order_(0, 0) {
    go_to(0, 0);
  }
  void go_to(uint64_t epoch, uint64_t position) {
    epoch_ = epoch;
    position_ = position;
    order_ = Shuffle(source_.store->size(), derived_seed(seed_, 1 + number_, epoch));
  }

  void draw(std::vector<uint64_t>& records) {
    if (!source_.distinct) {
      while (records.size() < source_.batch) records.push_back(step());
      return;
    }
    BatchTexts texts;
    draw_aside(texts, records);
    for (uint64_t steps = 0; records.size() < source_.batch; ++steps) {
      if (steps == 2 * order_.size()) fail(records.size());
      const uint64_t record = step();
      const TextKeys keys = source_.store->keys(record);
      if (!texts.meets(keys)) {
        texts.add(keys);
        records.push_back(record);
      } else {
        put_aside(record, keys);
      }
    }
  }

  uint64_t epoch() const { return epoch_; }
  uint64_t position() const { return position_; }
  double epochs() const {
    return static_cast<double>(epoch_) +
           static_cast<double>(position_) / static_cast<double>(order_.size());
  }
  uint64_t left_out() const { return left_out_; }
  json aside() const {
    json out = json::array();
    for (const Aside& waiting : aside_) out.push_back(waiting.record);
    return out;
  }
  void restore(uint64_t epoch, uint64_t position, uint64_t left_out,
               std::span<const uint64_t> aside) {
    go_to(epoch, position);
    left_out_ = left_out;
    aside_.clear();
    for (const uint64_t record : aside) aside_.push_back({record, source_.store->keys(record)});
  }

 private:
  uint64_t step() {
    if (position_ == order_.size()) go_to(epoch_ + 1, 0);
    return order_.at(position_++);
  }
  void draw_aside(BatchTexts& texts, std::vector<uint64_t>& records) {
    size_t kept = 0;
    for (const Aside& waiting : aside_) {
      if (records.size() < source_.batch && !texts.meets(waiting.keys)) {
        texts.add(waiting.keys);
        records.push_back(waiting.record);
      } else {
        aside_[kept++] = waiting;
      }
    }
    aside_.resize(kept);
  }
  void put_aside(uint64_t record, const TextKeys& keys) {
    if (aside_.size() < Mixture::kAside * source_.batch) {
      aside_.push_back({record, keys});
      return;
    }
    ++left_out_;
    count_event("data.left_out", 1,
                fmt::format("{}: more records than can wait share a text with others of their "
                            "batch; some are left out of an epoch (smaller batches, or distinct "
                            "off, use them all)",
                            source_.name));
  }
  [[noreturn]] void fail(size_t found) const {
    throw_error(ErrorKind::usage, source_.name,
                "a batch of {} records without a text in common cannot be found, at most {}; use "
                "smaller batches, or turn distinct off",
                source_.batch, found);
  }

  const MixtureSource& source_;
  const uint64_t number_, seed_;
  Shuffle order_;
  uint64_t epoch_ = 0, position_ = 0, left_out_ = 0;
  std::vector<Aside> aside_;
};

void check_source(const MixtureSource& source) {
  const auto refuse = [&](std::string message) {
    throw Error(ErrorKind::usage, std::move(message), source.name);
  };
  AKIN_CHECK(source.store != nullptr);
  const uint64_t size = source.store->size();
  if (size == 0) refuse("the source has no records");
  if (source.batch == 0) refuse("a batch of 0 rows; give at least 1");
  if (!(source.weight > 0) || !std::isfinite(source.weight)) {
    refuse(fmt::format("a weight of {}; weights are above 0 (leave the source out instead)",
                       source.weight));
  }
  if (source.distinct && size < source.batch) {
    refuse(
        fmt::format("{} records cannot fill a batch of {} without repeating; use smaller "
                    "batches, or turn distinct off",
                    size, source.batch));
  }
  if (source.negatives > 0 && source.store->fields().negatives < size) {
    refuse(
        fmt::format("{} negatives of each row are asked for, {} of {} records have none; "
                    "remove those records, or ask for 0",
                    source.negatives, size - source.store->fields().negatives, size));
  }
}

uint64_t natural(const json& value) {
  if (!value.is_number_integer() || (!value.is_number_unsigned() && value.get<int64_t>() < 0)) {
    throw_error(ErrorKind::bad_format, "mixture state", "{} is no natural number",
                quote(value.dump()));
  }
  return value.get<uint64_t>();
}

}  // namespace

struct Mixture::State {
  std::vector<MixtureSource> sources;
  MixtureOptions options;
  std::vector<double> probabilities;
  std::vector<Walk> walks;
  std::string fingerprint;
  uint64_t number = 0;  // of the next batch

  size_t drawn_source(double uniform) const {
    for (size_t s = 0; s + 1 < probabilities.size(); ++s) {
      uniform -= probabilities[s];
      if (uniform < 0) return s;
    }
    return probabilities.size() - 1;
  }
  json to_json() const {
    json out = {{"number", number}, {"of", fingerprint}};
    for (const char* key : {"epoch", "position", "left_out", "aside"}) out[key] = json::array();
    for (const Walk& walk : walks) {
      out["epoch"].push_back(walk.epoch());
      out["position"].push_back(walk.position());
      out["left_out"].push_back(walk.left_out());
      out["aside"].push_back(walk.aside());
    }
    return out;
  }
  void restore_walk(size_t s, const json& state) {
    const uint64_t size = sources[s].store->size();
    const uint64_t position = natural(state.at("position").at(s));
    std::vector<uint64_t> aside;
    for (const json& record : state.at("aside").at(s)) aside.push_back(natural(record));
    if (position > size || aside.size() > size ||
        std::any_of(aside.begin(), aside.end(), [&](uint64_t record) { return record >= size; })) {
      throw_error(ErrorKind::bad_format, "mixture state",
                  "numbers of source {} lie beyond its {} records; the checkpoint is damaged",
                  quote(sources[s].name), size);
    }
    walks[s].restore(natural(state.at("epoch").at(s)), position,
                     natural(state.at("left_out").at(s)), aside);
  }
};

Mixture::Mixture(std::vector<MixtureSource> sources, MixtureOptions options)
    : state_(std::make_unique<State>()) {
  if (sources.empty()) throw_error(ErrorKind::usage, "mixture", "no sources; give at least one");
  if (!(options.alpha >= 0 && options.alpha <= 1)) {
    throw_error(ErrorKind::usage, "mixture", "alpha is {}, expected 0 to 1", options.alpha);
  }
  state_->sources = std::move(sources);
  state_->options = options;
  Hasher hasher;
  hasher.add(options.seed);
  double total = 0;
  for (size_t s = 0; s < state_->sources.size(); ++s) {
    const MixtureSource& source = state_->sources[s];
    check_source(source);
    const uint64_t size = source.store->size();
    const uint64_t capped = options.cap == 0 ? size : std::min(size, options.cap);
    state_->probabilities.push_back(source.weight *
                                    std::pow(static_cast<double>(capped), options.alpha));
    total += state_->probabilities.back();
    state_->walks.emplace_back(source, s, options.seed);
    hasher.add(source.name);
    hasher.add(source.store->fingerprint());
    hasher.add(size);
  }
  for (double& probability : state_->probabilities) probability /= total;
  state_->fingerprint = hasher.hex();
}

Mixture::~Mixture() = default;

DrawnBatch Mixture::next() {
  DrawnBatch out;
  out.number = state_->number;
  Rng rng(derived_seed(state_->options.seed, 0, out.number));
  out.source = state_->drawn_source(rng.uniform());
  out.seed = rng.next();
  out.records.reserve(state_->sources[out.source].batch);
  state_->walks[out.source].draw(out.records);
  ++state_->number;
  out.state_after = state_->to_json();
  return out;
}

void Mixture::restore(const json& state) {
  try {
    if (state.at("of").get_ref<const std::string&>() != state_->fingerprint) {
      throw_error(ErrorKind::usage, "mixture state",
                  "the state is of other sources or another seed; resume with those that the run "
                  "began with, or start a new run");
    }
    for (size_t s = 0; s < state_->walks.size(); ++s) state_->restore_walk(s, state);
    state_->number = natural(state.at("number"));
  } catch (const json::exception& error) {
    throw_error(ErrorKind::bad_format, "mixture state", "{}; the checkpoint is damaged",
                error.what());
  }
}

const std::vector<MixtureSource>& Mixture::sources() const { return state_->sources; }
std::vector<double> Mixture::probabilities() const { return state_->probabilities; }
double Mixture::epochs(size_t source) const { return state_->walks.at(source).epochs(); }
uint64_t Mixture::left_out(size_t source) const { return state_->walks.at(source).left_out(); }

}  // namespace akin::data
