// The random streams and splits against numpy, CPython and Hugging Face's split, bit for bit.
#include "eval/rng.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"
#include "eval/split.h"
#include "eval/test_goldens.h"

namespace akin::eval {
namespace {

using Sizes = std::vector<size_t>;

Sizes range(size_t n) {
  Sizes values(n);
  std::iota(values.begin(), values.end(), size_t{0});
  return values;
}

template <class Random>
Sizes shuffled(Random&& rng, size_t n) {
  auto values = range(n);
  rng.shuffle(std::span<size_t>(values));
  return values;
}

TEST(Rng, PublishedVectors) {
  const Json& v = goldens("streams").at("vectors");
  NumpyRandom words(42);
  for (const auto& word : v.at("RandomState(42) first u32"))
    EXPECT_EQ(words.u32(), word.get<uint32_t>());
  EXPECT_EQ(shuffled(NumpyRandom(42), 10), v.at("RandomState(42).shuffle(range(10))").get<Sizes>());
  EXPECT_EQ(NumpyRandom(42).randint(1000, 8),
            v.at("RandomState(42).randint(0,1000,8)").get<Sizes>());
  NumpyRandom reals(42);
  for (const auto& real : v.at("RandomState(42).random_sample(3)"))
    EXPECT_EQ(reals.uniform(), real.get<double>());
  EXPECT_EQ(PythonRandom(42).sample(1000, 6),
            v.at("random.Random(42).sample(range(1000),6)").get<Sizes>());
  EXPECT_EQ(PythonRandom(42).sample(10, 6),
            v.at("random.Random(42).sample(range(10),6) (pool branch)").get<Sizes>());
  EXPECT_EQ(PythonRandom(42).choices(1000, 6),
            v.at("random.Random(42).choices(range(1000),k=6)").get<Sizes>());
  PythonRandom both(42);
  both.sample(1000, 40);
  EXPECT_EQ(
      both.choices(40, 6),
      v.at("random.Random(42): sample(range(1000),40) then choices(range(40),k=6)").get<Sizes>());
  EXPECT_EQ(shuffled(PythonRandom(42), 10),
            v.at("random.Random(42).shuffle(range(10))").get<Sizes>());
  Pcg64 pcg(42);
  for (const auto& word : v.at("default_rng(42) first u64"))
    EXPECT_EQ(pcg.u64(), word.get<uint64_t>());
  EXPECT_EQ(Pcg64(42).permutation(10), v.at("default_rng(42).permutation(10)").get<Sizes>());
  EXPECT_EQ(shuffled(Pcg64(42), 10), v.at("default_rng(42).shuffle(list(range(10)))").get<Sizes>());
  EXPECT_EQ(Pcg64(42).choice(10, 3),
            v.at("default_rng(42).choice(10,3,replace=False)").get<Sizes>());
  auto tail = Pcg64(42).choice(20000, 5000);
  EXPECT_EQ(tail.size(), 5000U);
  tail.resize(5);
  EXPECT_EQ(tail, v.at("default_rng(42).choice(20000,5000,replace=False)[:5] (tail shuffle branch)")
                      .get<Sizes>());
}

TEST(Rng, ManySeeds) {
  for (const auto& row : goldens("streams").at("draws")) {
    const auto seed = row.at("seed").get<uint64_t>();
    SCOPED_TRACE(seed);
    Pcg64 pcg(seed);
    for (const auto& word : row.at("pcg_u64"))
      EXPECT_EQ(std::to_string(pcg.u64()), word.get<std::string>());
    EXPECT_EQ(pcg.uniform(), row.at("pcg_real").get<double>());
    EXPECT_EQ(pcg.permutation(23), row.at("pcg_permutation").get<Sizes>());
    EXPECT_EQ(pcg.choice(5000, 12), row.at("pcg_choice_floyd").get<Sizes>());
    EXPECT_EQ(pcg.choice(10500, 300), row.at("pcg_choice_tail").get<Sizes>());
    PythonRandom python(seed);
    EXPECT_EQ(python.uniform(), row.at("python_real").get<double>());
    EXPECT_EQ(python.sample(100000, 40), row.at("python_sample").get<Sizes>());
    EXPECT_EQ(python.sample(50, 30), row.at("python_pool").get<Sizes>());
    EXPECT_EQ(python.choices(12345, 20), row.at("python_choices").get<Sizes>());
    EXPECT_EQ(shuffled(python, 31), row.at("python_shuffle").get<Sizes>());
    if (!row.contains("numpy_real")) continue;
    NumpyRandom numpy(static_cast<uint32_t>(seed));
    for (const auto& real : row.at("numpy_real")) EXPECT_EQ(numpy.uniform(), real.get<double>());
    EXPECT_EQ(numpy.randint(1000003, 20), row.at("numpy_randint").get<Sizes>());
    Sizes ones;
    for (const size_t n : {size_t{1}, size_t{2}, size_t{7}, size_t{1} << 20})
      ones.push_back(numpy.randint(n));
    EXPECT_EQ(ones, row.at("numpy_one").get<Sizes>());
    EXPECT_EQ(numpy.permutation(29), row.at("numpy_permutation").get<Sizes>());
    EXPECT_EQ(numpy.choice(100, 9), row.at("numpy_choice").get<Sizes>());
    std::vector<double> cdf;
    double sum = 0;
    for (int i = 1; i <= 10; ++i) cdf.push_back(sum += i / 55.0);
    for (auto& c : cdf) c /= sum;
    Sizes weighted(25);
    for (auto& w : weighted) w = numpy.choice(std::span<const double>(cdf));
    EXPECT_EQ(weighted, row.at("numpy_weighted").get<Sizes>());
  }
}

TEST(Split, EqualsHuggingFace) {
  for (const auto& row : goldens("streams").at("splits")) {
    const auto seed = row.at("seed").get<uint64_t>();
    const auto test_rows = row.at("test_rows").get<size_t>();
    const auto labels = whole_column<int32_t>(row.at("labels"));
    const auto split = stratified_train_test_split(labels, test_rows, seed);
    EXPECT_EQ(split.train, row.at("train").get<Sizes>());
    EXPECT_EQ(split.test, row.at("test").get<Sizes>());
    const auto plain = train_test_split(labels.size(), test_rows, seed);
    EXPECT_EQ(plain.train, row.at("plain_train").get<Sizes>());
    EXPECT_EQ(plain.test, row.at("plain_test").get<Sizes>());
  }
}

TEST(Split, UndersampleComposesOnePermutation) {
  const Json& lists = goldens("streams").at("vectors").at(
      "classification idxs n=10, experiments 0..2 (same shuffle re-applied to the previous list)");
  auto order = range(10);
  const std::vector<int32_t> labels = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1};
  for (const auto& expected : lists) {
    const auto kept = undersample(labels, 2, order);
    EXPECT_EQ(order, expected.get<Sizes>());
    EXPECT_EQ(kept.size(), 4U);
    size_t even = 0;
    for (const size_t row : kept) even += row % 2 == 0 ? 1 : 0;
    EXPECT_EQ(even, 2U);
  }
}

TEST(Split, LabelsSortAsText) {
  const std::vector<std::string_view> labels = {"2", "10", "2", "\xC3\xA9", "z"};
  const auto encoded = encode_labels(labels);
  EXPECT_EQ(encoded.classes, (std::vector<std::string_view>{"10", "2", "z", "\xC3\xA9"}));
  EXPECT_EQ(encoded.ids, (std::vector<int32_t>{1, 0, 1, 3, 2}));
  EXPECT_EQ(stratified_subsample(labels, 5), range(5));
}

TEST(Split, UndersampleMultilabel) {
  const std::vector<std::vector<int32_t>> labels = {{0}, {0, 1}, {}, {1}, {0}, {2}};
  auto order = range(6);
  Pcg64 rng(42);
  const auto kept = undersample_multilabel(labels, 1, order, rng);
  EXPECT_EQ(order, Pcg64(42).permutation(6));
  std::vector<size_t> counts(3);
  for (const size_t row : kept) {
    EXPECT_NE(row, 2U);
    for (const int32_t label : labels[row]) ++counts[static_cast<size_t>(label)];
  }
  for (const size_t count : counts) EXPECT_GE(count, 1U);
}

TEST(Split, SaysWhatIsWrong) {
  const std::vector<int32_t> once = {0, 0, 0, 1, 0};
  try {
    stratified_train_test_split(once, 2);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    EXPECT_NE(e.message().find("row 3 occurs once"), std::string::npos) << e.message();
  }
  EXPECT_THROW(train_test_split(5, 5), Error);
  EXPECT_THROW(train_test_split(0, 0), Error);
  const std::vector<int32_t> many = {0, 0, 1, 1, 2, 2, 3, 3};
  EXPECT_THROW(stratified_train_test_split(many, 2), Error);
}

}  // namespace
}  // namespace akin::eval
