// Orders of epochs, draws of sources, distinct batches, and going on from any batch.
#include "data/mixture.h"

#include <cmath>
#include <map>
#include <set>

#include "base/rng.h"
#include "data/shuffle.h"
#include "data/test_store.h"
#include "store/test_files.h"

namespace akin::data {
namespace {

using store::expect_error;

MixtureSource source_of(std::string name, std::shared_ptr<const RecordStore> store, size_t batch) {
  MixtureSource out;
  out.name = std::move(name);
  out.store = std::move(store);
  out.batch = batch;
  return out;
}

// Pearson's statistic against equal expected counts, in standard deviations from its mean.
double excess(const std::vector<uint64_t>& counts) {
  double total = 0, statistic = 0;
  for (const uint64_t count : counts) total += static_cast<double>(count);
  const double expected = total / static_cast<double>(counts.size());
  for (const uint64_t count : counts) {
    const double off = static_cast<double>(count) - expected;
    statistic += off * off / expected;
  }
  const auto freedom = static_cast<double>(counts.size() - 1);
  return (statistic - freedom) / std::sqrt(2 * freedom);
}

TEST(Shuffle, IsAPermutationOfAnySize) {
  for (const uint64_t size : {1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 1000, 4097}) {
    const Shuffle order(size, size * 77);
    std::set<uint64_t> seen;
    for (uint64_t i = 0; i < size; ++i) seen.insert(order.at(i));
    EXPECT_EQ(seen.size(), size);
    EXPECT_LT(*seen.rbegin(), size);
  }
  const Shuffle large(uint64_t{1'600'000'000} * 100, 5);
  EXPECT_LT(large.at(uint64_t{1'600'000'000} * 100 - 1), large.size());
}

TEST(Shuffle, EveryOrderIsAsLikely) {
  std::map<std::vector<uint64_t>, uint64_t> orders;
  for (uint64_t key = 0; key < 24'000; ++key) {
    const Shuffle order(5, key);
    std::vector<uint64_t> numbers(5);
    for (uint64_t i = 0; i < 5; ++i) numbers[i] = order.at(i);
    ++orders[numbers];
  }
  ASSERT_EQ(orders.size(), 120U);
  std::vector<uint64_t> counts;
  for (const auto& [order, count] : orders) counts.push_back(count);
  EXPECT_LT(std::abs(excess(counts)), 4.5);
}

TEST(Shuffle, PlacesAndNeighboursAreUniform) {
  constexpr uint64_t kSize = 40;
  std::vector<uint64_t> places(kSize * kSize), neighbours(kSize * kSize), steps(kSize - 1);
  for (uint64_t key = 0; key < 20'000; ++key) {
    const Shuffle order(kSize, key << 32);
    uint64_t last = order.at(0);
    ++places[last];
    for (uint64_t i = 1; i < kSize; ++i) {
      const uint64_t here = order.at(i);
      ++places[i * kSize + here];
      ++neighbours[last * kSize + here];
      ++steps[(here + kSize - last) % kSize - 1];
      last = here;
    }
  }
  EXPECT_LT(std::abs(excess(places)), 4.5);
  EXPECT_LT(std::abs(excess(steps)), 4.5);
  std::vector<uint64_t> possible;
  for (uint64_t i = 0; i < neighbours.size(); ++i) {
    if (i % (kSize + 1) != 0) possible.push_back(neighbours[i]);
  }
  EXPECT_LT(std::abs(excess(possible)), 4.5);
}

TEST(Mixture, EachEpochIsAnOrderOfItsOwn) {
  Mixture mixture({source_of("a", MemoryStore::of_size(60), 10)}, {});
  std::vector<std::vector<uint64_t>> epochs(3);
  for (auto& epoch : epochs) {
    for (int i = 0; i < 6; ++i) {
      const auto records = mixture.next().records;
      ASSERT_EQ(records.size(), 10U);
      epoch.insert(epoch.end(), records.begin(), records.end());
    }
    EXPECT_EQ(std::set(epoch.begin(), epoch.end()).size(), 60U);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  EXPECT_DOUBLE_EQ(mixture.epochs(0), 3);
}

TEST(Mixture, SourcesComeAsOftenAsTheirShare) {
  std::vector<MixtureSource> sources = {source_of("a", MemoryStore::of_size(100, "a"), 2),
                                        source_of("b", MemoryStore::of_size(900, "b"), 3),
                                        source_of("c", MemoryStore::of_size(5000, "c"), 4)};
  sources[0].weight = 2;
  Mixture mixture(sources, {.alpha = 0.5, .cap = 2500, .seed = 3});
  // 2 * 10, 30 and 50.
  const double expected[] = {0.2, 0.3, 0.5};
  constexpr int kBatches = 20'000;
  int counts[3] = {};
  for (int i = 0; i < kBatches; ++i) {
    const auto drawn = mixture.next();
    EXPECT_EQ(drawn.number, static_cast<uint64_t>(i));
    EXPECT_EQ(drawn.records.size(), sources[drawn.source].batch);
    ++counts[drawn.source];
  }
  for (size_t s = 0; s < 3; ++s) {
    const double p = expected[s];
    EXPECT_NEAR(mixture.probabilities()[s], p, 1e-12);
    EXPECT_NEAR(counts[s], kBatches * p, 4.5 * std::sqrt(kBatches * p * (1 - p)));
    EXPECT_NEAR(mixture.epochs(s),
                counts[s] * static_cast<double>(sources[s].batch) /
                    static_cast<double>(sources[s].store->size()),
                1e-9);
  }
}

// Queries that repeat, positives that repeat, and a positive that is another's query.
std::shared_ptr<MemoryStore> repeating(uint64_t size, uint64_t texts) {
  Rng rng(9);
  std::vector<Record> records(size);
  for (auto& record : records) {
    record.query = fmt::format("Text {}", rng.below(texts));
    record.positive = fmt::format("text  {}", rng.below(texts));
  }
  return std::make_shared<MemoryStore>(std::move(records));
}

void expect_distinct(const RecordStore& store, const std::vector<uint64_t>& records) {
  std::map<uint64_t, uint64_t> owner;
  for (const uint64_t record : records) {
    for (const uint64_t key : {store.keys(record).query, store.keys(record).positive}) {
      const auto [at, added] = owner.try_emplace(key, record);
      EXPECT_EQ(at->second, record) << "two records of a batch share a text";
    }
  }
}

TEST(Mixture, BatchesAreDistinctAndNothingIsLost) {
  const auto store = repeating(1000, 700);
  Mixture mixture({source_of("a", store, 20)}, {.seed = 4});
  std::map<uint64_t, int> seen;
  size_t late = 0;
  for (int i = 0; i < 500; ++i) {
    const auto drawn = mixture.next();
    expect_distinct(*store, drawn.records);
    for (const uint64_t record : drawn.records) ++seen[record];
    late = std::max(late, drawn.state_after["aside"][0].size());
  }
  EXPECT_GT(late, 0U) << "the test puts nothing aside";
  EXPECT_EQ(mixture.left_out(0), 0U);
  EXPECT_EQ(seen.size(), 1000U);
  uint64_t given = 0;
  for (const auto& [record, times] : seen) {
    given += static_cast<uint64_t>(times);
    EXPECT_NEAR(times, 10, 1);
  }
  EXPECT_EQ(given, 10'000U);
}

TEST(Mixture, LeavesOutWhatCannotWaitAndSaysHowMuch) {
  // Half of the positives are "yes": a batch has room for one of them.
  std::vector<Record> records(2000);
  for (size_t i = 0; i < records.size(); ++i) {
    records[i].query = fmt::format("q{}", i);
    records[i].positive = i % 2 == 0 ? "yes" : fmt::format("p{}", i);
  }
  const auto store = std::make_shared<MemoryStore>(std::move(records));
  Mixture mixture({source_of("a", store, 50)}, {});
  uint64_t given = 0;
  nlohmann::json state;
  for (int i = 0; i < 100; ++i) {
    const auto drawn = mixture.next();
    expect_distinct(*store, drawn.records);
    given += drawn.records.size();
    state = drawn.state_after;
    EXPECT_LE(state["aside"][0].size(), Mixture::kAside * 50);
  }
  EXPECT_GT(mixture.left_out(0), 0U);
  EXPECT_EQ(given + mixture.left_out(0) + state["aside"][0].size(),
            static_cast<uint64_t>(std::llround(mixture.epochs(0) * 2000)));
}

TEST(Mixture, StopsWhenNoBatchCanBeDistinct) {
  std::vector<Record> records(100);
  for (size_t i = 0; i < records.size(); ++i) records[i].query = fmt::format("q{}", i % 5);
  Mixture mixture({source_of("few", std::make_shared<MemoryStore>(std::move(records)), 6)}, {});
  expect_error(ErrorKind::usage, "few: a batch of 6", [&] { mixture.next(); });
}

std::vector<MixtureSource> three_sources() {
  std::vector<MixtureSource> out = {source_of("a", repeating(300, 200), 16),
                                    source_of("b", MemoryStore::of_size(50, "b"), 16),
                                    source_of("c", MemoryStore::of_size(7, "c"), 16)};
  out[2].distinct = false;
  return out;
}

bool same(const DrawnBatch& a, const DrawnBatch& b) {
  return a.number == b.number && a.source == b.source && a.records == b.records &&
         a.seed == b.seed && a.state_after == b.state_after;
}

TEST(Mixture, GoesOnFromEveryBatch) {
  const MixtureOptions options{.alpha = 0.3, .seed = 11};
  Mixture mixture(three_sources(), options);
  std::vector<DrawnBatch> drawn;
  for (int i = 0; i < 120; ++i) drawn.push_back(mixture.next());
  for (size_t i = 0; i + 1 < drawn.size(); ++i) {
    Mixture other(three_sources(), options);
    for (size_t before = 0; before < i % 4; ++before) other.next();
    other.restore(nlohmann::json::parse(drawn[i].state_after.dump()));
    for (size_t k = i + 1; k < std::min(i + 20, drawn.size()); ++k) {
      ASSERT_TRUE(same(other.next(), drawn[k])) << "from " << i << " to " << k;
    }
  }
}

TEST(Mixture, DependsOnTheSeedAlone) {
  Mixture a(three_sources(), {.seed = 1}), b(three_sources(), {.seed = 1}),
      c(three_sources(), {.seed = 2});
  int equal = 0;
  for (int i = 0; i < 50; ++i) {
    const auto drawn = a.next();
    EXPECT_TRUE(same(drawn, b.next()));
    const auto other = c.next();
    equal += drawn.records == other.records ? 1 : 0;
  }
  EXPECT_LT(equal, 5);
}

TEST(Mixture, RefusesWhatCannotBe) {
  const auto make = [](const std::function<void(MixtureSource&)>& change, double alpha = 1) {
    return [=] {
      auto source = source_of("a", MemoryStore::of_size(9), 4);
      change(source);
      Mixture({source}, {.alpha = alpha});
    };
  };
  expect_error(ErrorKind::usage, "no sources", [] { Mixture({}, {}); });
  expect_error(ErrorKind::usage, "alpha is 2", make([](auto&) {}, 2));
  expect_error(ErrorKind::usage, "0 rows", make([](auto& s) { s.batch = 0; }));
  expect_error(ErrorKind::usage, "weight of -1", make([](auto& s) { s.weight = -1; }));
  expect_error(ErrorKind::usage, "weight", make([](auto& s) { s.weight = NAN; }));
  expect_error(ErrorKind::usage, "cannot fill a batch of 10", make([](auto& s) { s.batch = 10; }));
  expect_error(ErrorKind::usage, "9 of 9 records have none",
               make([](auto& s) { s.negatives = 1; }));
}

TEST(Mixture, RefusesStatesOfOthersAndDamagedOnes) {
  Mixture mixture(three_sources(), {});
  const auto state = mixture.next().state_after;
  Mixture seeded(three_sources(), {.seed = 9});
  expect_error(ErrorKind::usage, "other sources", [&] { seeded.restore(state); });
  const auto damaged = [&](const std::function<void(nlohmann::json&)>& change) {
    return [&, change] {
      auto changed = state;
      change(changed);
      mixture.restore(changed);
    };
  };
  const auto expect_bad = [&](const std::function<void(nlohmann::json&)>& change) {
    expect_error(ErrorKind::bad_format, "mixture state", damaged(change));
  };
  expect_bad([](auto& s) { s = nullptr; });
  expect_bad([](auto& s) { s.erase("number"); });
  expect_bad([](auto& s) { s["of"] = 3; });
  expect_bad([](auto& s) { s["number"] = -1; });
  expect_bad([](auto& s) { s["number"] = 1.5; });
  expect_bad([](auto& s) { s["epoch"] = {1}; });
  expect_bad([](auto& s) { s["position"][1] = 51; });
  expect_bad([](auto& s) { s["aside"][0] = {300}; });
  expect_bad([](auto& s) { s["aside"][0] = "x"; });
}

}  // namespace
}  // namespace akin::data
