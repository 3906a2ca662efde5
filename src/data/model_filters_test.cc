// The filters that ask a model, with one whose vectors are known: similarity, margin, consistency
// against a naive count, also in a chain that is stopped and resumed.
#include <cmath>
#include <map>
#include <set>

#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "data/chain.h"
#include "data/passage_pool.h"
#include "store/test_files.h"

namespace akin::data {
namespace {

namespace fs = std::filesystem;
using store::expect_error;
using store::TempFolder;

// A text is the bag of its words, each hashed to one of 64 axes; unit length.
class BagEncoder final : public Encoder {
 public:
  BagEncoder() {
    info_.name = info_.fingerprint = "bag";
    info_.dim = 64;
  }
  const EncoderInfo& info() const override { return info_; }
  EncodeReport encode(std::span<const std::string_view> texts, const EncodeOptions& /*options*/,
                      MatView<float> out) override {
    for (size_t i = 0; i < texts.size(); ++i) {
      std::fill_n(out.row(i), out.cols(), 0.0F);
      float squares = 0;
      for (std::string_view rest = texts[i]; !rest.empty();) {
        const std::string_view word = rest.substr(0, rest.find(' '));
        out(i, hash64(word) % out.cols()) += 1;
        rest.remove_prefix(std::min(word.size() + 1, rest.size()));
      }
      for (size_t c = 0; c < out.cols(); ++c) squares += out(i, c) * out(i, c);
      for (size_t c = 0; c < out.cols() && squares > 0; ++c) out(i, c) /= std::sqrt(squares);
    }
    return {};
  }
  TokenVectors encode_tokens(std::string_view, const EncodeOptions&) override {
    throw_error(ErrorKind::unsupported, "bag", "no token vectors");
  }
  std::vector<uint32_t> count_tokens(std::span<const std::string_view> texts,
                                     const EncodeOptions&) override {
    return std::vector<uint32_t>(texts.size(), 1);
  }

 private:
  EncoderInfo info_;
};

Record record_of(std::string query, std::string positive, std::vector<std::string> negatives = {}) {
  Record out;
  out.query = std::move(query);
  out.positive = std::move(positive);
  out.negatives = std::move(negatives);
  return out;
}
Verdict judge(const Filter& filter, Record& record) {
  Record* const one = &record;
  Verdict out;
  filter.judge({&one, 1}, {&out, 1});
  return out;
}

TEST(Similarity, RemovesPairsBelowTheThreshold) {
  BagEncoder encoder;
  FilterOptions options;
  expect_error(ErrorKind::usage, "--model", [&] { make_filter("similarity", options); });
  options.encoder = &encoder;
  options.min_similarity = 0.6;
  const auto filter = make_filter("similarity", options);
  Record same = record_of("red fish", "red fish"), other = record_of("red fish", "blue sky");
  EXPECT_EQ(judge(*filter, same).reason, "");
  const Verdict verdict = judge(*filter, other);
  EXPECT_EQ(verdict.reason, "not similar");
  EXPECT_EQ(verdict.match, "cosine 0.000");
  other.label = 0;
  EXPECT_EQ(judge(*filter, other).reason, "");
  options.min_similarity = 2;
  expect_error(ErrorKind::usage, "--min-similarity", [&] { make_filter("similarity", options); });
}

TEST(Margin, RemovesNegativesAndRecordsWithoutAny) {
  BagEncoder encoder;
  FilterOptions options;
  options.encoder = &encoder;
  const auto filter = make_filter("margin", options);
  Record record = record_of("red fish", "red fish", {"red fish", "blue sky", "red"});
  record.scores = {4, 3, 2, 1};
  EXPECT_TRUE(judge(*filter, record).changed);  // 0, 1 and 1 - sqrt(1/2) = 0.29
  EXPECT_EQ(record.negatives, (std::vector<std::string>{"blue sky", "red"}));
  EXPECT_EQ(record.scores, (std::vector<float>{4, 2, 1}));
  EXPECT_FALSE(judge(*filter, record).changed);
  Record bad = record_of("red fish", "blue", {"red fish"});
  EXPECT_EQ(judge(*filter, bad).reason, "no negative left");
  EXPECT_EQ(bad.negatives.size(), 1U);
  Record pair = record_of("red", "blue");
  EXPECT_EQ(judge(*filter, pair).reason, "");
  options.keep_without_negatives = true;
  EXPECT_TRUE(judge(*make_filter("margin", options), bad).changed);
  EXPECT_TRUE(bad.negatives.empty());
  // Together as apart.
  Record one = record_of("red fish", "red fish", {"blue sky", "red fish"});
  Record* const records[] = {&pair, &one, &pair};
  Verdict verdicts[3];
  filter->judge(records, verdicts);
  EXPECT_TRUE(verdicts[1].changed);
  EXPECT_EQ(one.negatives, std::vector<std::string>{"blue sky"});
}

// Pairs of two sources; every fourth has the positive of another pair.
struct Pairs {
  std::vector<Record> records;
  std::string lines;
  explicit Pairs(size_t count) {
    Rng rng(11);
    const auto text = [&](uint64_t n) {
      return fmt::format("a{} b{} c{} d{}", n, n * 7 % 1000, n * 13 % 1000, n % 10);
    };
    for (size_t i = 0; i < count; ++i) {
      const uint64_t n = rng.below(600), m = i % 4 == 3 ? rng.below(600) : n;
      records.push_back(record_of(text(n) + " q", text(m) + " p"));
      records.back().source = i % 5 < 3 ? "x" : "y";
      lines += fmt::format("{{\"query\":\"{}\",\"positive\":\"{}\",\"source\":\"{}\"}}\n",
                           records.back().query, records.back().positive, records.back().source);
    }
  }
};

// How many records stay by the definition, each passage of a source once.
size_t naive_count(const Pairs& pairs, size_t top) {
  BagEncoder encoder;
  const auto vector = [&](const std::string& text) {
    std::vector<float> out(64);
    const std::string_view view = text;
    encoder.encode({&view, 1}, {}, {out.data(), 1, 64});
    return out;
  };
  std::map<std::string, std::map<std::string, std::vector<float>>> pools;
  for (const Record& record : pairs.records) {
    pools[record.source].try_emplace(record.positive, vector(record.positive));
  }
  size_t stay = 0;
  for (const Record& record : pairs.records) {
    const auto query = vector(record.query);
    const auto& pool = pools[record.source];
    const float score = cosine(query.data(), pool.at(record.positive).data(), 64);
    size_t nearer = 0;
    for (const auto& [text, row] : pool) {
      nearer += cosine(query.data(), row.data(), 64) > score + 1e-5F ? 1 : 0;
    }
    stay += nearer < top ? 1 : 0;
  }
  return stay;
}

TEST(Consistency, KeepsWhatANaiveCountKeepsWhateverTheThreads) {
  const TempFolder folder;
  const Pairs pairs(4000);
  const auto input = folder.put("in.jsonl", pairs.lines);
  BagEncoder encoder;
  std::string expected;
  for (const size_t threads : {1, 3}) {
    ChainOptions options;
    options.inputs = {input.string()};
    options.filters = {"consistency", "length"};
    options.filter.encoder = &encoder;
    options.out = (folder / "out.jsonl").string();
    options.threads = threads;
    const auto report = run_chain(options, {});
    EXPECT_EQ(report["passes"], 2);
    EXPECT_EQ(report["records_out"], naive_count(pairs, 2));
    EXPECT_GT(report["filters"][0]["reasons"]["outranked"]["count"], 500);
    const std::string out = read_file(options.out);
    if (threads == 1) expected = out;
    EXPECT_TRUE(out == expected);
  }
}

TEST(Consistency, GoesOnBehindEachPassToTheSameBytes) {
  const TempFolder folder;
  const Pairs pairs(5000);
  BagEncoder encoder;
  ChainOptions options;
  options.inputs = {folder.put("in.jsonl", pairs.lines).string()};
  options.filters = {"dedup", "normalise", "consistency", "near"};
  options.filter.encoder = &encoder;
  options.filter.pool = 300;
  options.filter.near_similarity = 0.9;
  options.list_removed = {"consistency", "near"};
  options.out = (folder / "whole.jsonl").string();
  options.threads = 2;
  const auto whole = run_chain(options, {});
  EXPECT_EQ(whole["passes"], 4);
  const std::string expected = read_file(options.out);
  const std::string removed = read_file(options.out + ".removed.jsonl");
  options.out = (folder / "second.jsonl").string();
  for (int n = 1; n < 4; ++n) {
    int begun = 0;  // a run that goes on is stopped in its second pass
    uint64_t before = UINT64_MAX;
    const auto stop = [&](const Progress& now) {
      if (now.what != "filtering") return;
      if (std::exchange(before, now.done) < now.done) return;
      if (++begun == std::min(n, 2)) throw Error(ErrorKind::interrupted, "stopped");
    };
    expect_error(ErrorKind::interrupted, "stopped", [&] { run_chain(options, stop); });
  }
  EncodeOptions other;
  other.prompt = "query: ";
  ChainOptions changed = options;
  changed.filter.query_encoding = other;
  expect_error(ErrorKind::usage, "--work", [&] { run_chain(changed, {}); });
  options.threads = 1;
  const auto resumed = run_chain(options, {});
  EXPECT_EQ(resumed["passes_kept"], 3);
  EXPECT_TRUE(read_file(options.out) == expected);
  EXPECT_TRUE(read_file(options.out + ".removed.jsonl") == removed);
  EXPECT_EQ(resumed["filters"], whole["filters"]);
}

TEST(TextSample, TakesTheSameTextsInWhateverOrder) {
  std::vector<std::string> texts;
  for (int i = 0; i < 5000; ++i) texts.push_back(fmt::format("text {}", i % 3000));
  const auto sample_of = [&](const std::vector<std::string>& from, uint64_t most) {
    TextSample sample(most, 3);
    for (const auto& text : from) sample.offer(text);
    sample.finish();
    std::set<std::string> out;
    for (const auto& text : from) {
      if (!sample.take(text)) continue;
      EXPECT_TRUE(out.insert(text).second);
    }
    EXPECT_EQ(out.size(), sample.size());
    return out;
  };
  const auto forwards = sample_of(texts, 100);
  EXPECT_EQ(forwards.size(), 100U);
  EXPECT_EQ(sample_of({texts.rbegin(), texts.rend()}, 100), forwards);
  EXPECT_EQ(sample_of(texts, 10'000).size(), 3000U);
}

TEST(PassagePool, CountsUpToTheBoundAcrossBlocks) {
  BagEncoder encoder;
  FilterOptions options;
  options.encoder = &encoder;
  const PairEncoder pairs(options, "test");
  PassagePool pool;
  for (int i = 0; i < 2500; ++i) pool.add(i % 2 == 0 ? "red fish" : "blue sky", pairs);
  pool.finish(pairs);
  EXPECT_EQ(pool.size(), 2500U);
  const std::vector<std::string_view> queries{"red fish", "blue", "green"};
  const auto rows = pairs.queries(queries);
  const std::vector<float> scores{1, 0.1F, 0};
  EXPECT_EQ(pool.count_nearer(rows.view(), scores, 100'000), (std::vector<uint32_t>{0, 1250, 0}));
  EXPECT_GE(pool.count_nearer(rows.view(), scores, 10)[1], 10U);
}

}  // namespace
}  // namespace akin::data
