// MinHash against exact similarity; the near-duplicate filter in a chain against a naive one, with
// several numbers of threads, stopped and resumed.
#include <set>

#include "base/file.h"
#include "base/rng.h"
#include "data/chain.h"
#include "data/first_keys.h"
#include "data/minhash.h"
#include "store/test_files.h"

namespace akin::data {
namespace {

namespace fs = std::filesystem;
using store::expect_error;
using store::TempFolder;

std::string words_of(const std::vector<uint64_t>& words) {
  std::string out;
  for (const uint64_t word : words) out += fmt::format("w{} ", word);
  return out;
}
std::string signature_of(std::string_view text, size_t words) {
  std::string out;
  for (const uint32_t value : min_hashes(text, words)) out += static_cast<char>(value & 0xFF);
  return out;
}
double similarity(std::string_view a, std::string_view b, size_t words = 1) {
  return estimated_similarity(signature_of(a, words).data(), signature_of(b, words).data());
}

TEST(MinHash, EstimatesJaccardSimilarity) {
  Rng rng(2);
  double error = 0;
  constexpr int kTexts = 200;
  for (int i = 0; i < kTexts; ++i) {
    std::vector<uint64_t> a, b;
    const uint64_t common = 5 + rng.below(60), rest = rng.below(40);
    const auto first = static_cast<uint64_t>(i) * 10'000;
    for (uint64_t n = 0; n < common; ++n) {
      a.push_back(first + n);
      b.push_back(first + n);
    }
    for (uint64_t n = 0; n < rest; ++n) {
      a.push_back(first + 1000 + n);
      b.push_back(first + 2000 + n);
    }
    const double exact = static_cast<double>(common) / static_cast<double>(common + 2 * rest);
    const double estimate = similarity(words_of(a), words_of(b));
    EXPECT_NEAR(estimate, exact, 0.2);
    error += estimate - exact;
  }
  EXPECT_NEAR(error / kTexts, 0, 0.01);
}

TEST(MinHash, SeesWordsNotTheirDress) {
  EXPECT_EQ(similarity("One, two!", "one TWO"), 1);
  EXPECT_EQ(similarity("one two three", "three two one"), 1);
  EXPECT_LT(similarity("one two three", "three two one", 2), 0.2);
  EXPECT_EQ(similarity("!!", "!!"), 1);
  EXPECT_LT(similarity("!!", "??"), 0.1);
  EXPECT_LT(similarity("", "x"), 0.1);
  EXPECT_EQ(similarity("short", "short", 5), 1);
}

// `count` records; every third is an earlier one with one of 40 words changed in each side.
std::string noisy_pairs(size_t count, uint64_t seed, std::vector<bool>& planted) {
  Rng rng(seed);
  std::vector<std::pair<std::vector<uint64_t>, std::vector<uint64_t>>> pairs;
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    planted.push_back(i % 3 == 2);
    if (planted.back()) {
      pairs.push_back(pairs[rng.below(pairs.size())]);
      pairs.back().first[rng.below(40)] = rng.below(100'000);
      pairs.back().second[rng.below(40)] = rng.below(100'000);
    } else {
      pairs.emplace_back();
      for (int n = 0; n < 40; ++n) {
        pairs.back().first.push_back(rng.below(100'000));
        pairs.back().second.push_back(rng.below(100'000));
      }
    }
    out += fmt::format("{{\"query\":\"{}{}\",\"positive\":\"{}\"}}\n", words_of(pairs.back().first),
                       i, words_of(pairs.back().second));
  }
  return out;
}

ChainOptions options_for(const TempFolder& folder, const fs::path& input, size_t threads) {
  ChainOptions out;
  out.inputs = {input.string()};
  out.filters = {"dedup", "near", "length"};
  out.list_removed = {"near"};
  out.out = (folder / fmt::format("out{}.jsonl", threads)).string();
  out.threads = threads;
  return out;
}

TEST(Near, FindsPlantedOnesWhateverTheThreads) {
  const TempFolder folder;
  std::vector<bool> planted;
  const auto input = folder.put("in.jsonl", noisy_pairs(3000, 7, planted));
  std::string expected, expected_removed;
  for (const size_t threads : {1, 2, 4}) {
    const ChainOptions options = options_for(folder, input, threads);
    const auto report = run_chain(options, {});
    EXPECT_EQ(report["passes"], 3);
    const std::string out = read_file(options.out);
    const std::string removed = read_file(options.out + ".removed.jsonl");
    if (threads == 1) {
      expected = out;
      expected_removed = removed;
      EXPECT_GT(report["filters"][1]["reasons"]["nearly equal"]["count"], 950);
    }
    EXPECT_TRUE(out == expected);
    EXPECT_TRUE(removed == expected_removed);
  }
  // Nothing but planted records is removed.
  size_t at = 0;
  while (at < expected_removed.size()) {
    const size_t end = expected_removed.find('\n', at);
    const auto line = nlohmann::json::parse(expected_removed.substr(at, end - at));
    EXPECT_TRUE(planted[line["row"].get<size_t>() - 1]) << line;
    at = end + 1;
  }
}

TEST(Near, KeepsPairsOfWhichOneSideDiffers) {
  const TempFolder folder;
  std::string lines;
  for (int i = 0; i < 50; ++i) {
    lines += fmt::format("{{\"query\":\"q{} r{} s{} t{}\",\"positive\":\"one passage for all\"}}\n",
                         i, i, i, i);
  }
  const auto report = run_chain(options_for(folder, folder.put("in.jsonl", lines), 2), {});
  EXPECT_EQ(report["records_out"], 50);
}

TEST(Near, GoesOnBehindEachPassToTheSameBytes) {
  const TempFolder folder;
  std::vector<bool> planted;
  const auto input = folder.put("in.jsonl", noisy_pairs(4000, 8, planted));
  ChainOptions options = options_for(folder, input, 2);
  run_chain(options, {});
  const std::string expected = read_file(options.out);
  const std::string expected_removed = read_file(options.out + ".removed.jsonl");
  options.out = (folder / "second.jsonl").string();
  // Stops as the n-th of a run's later passes begins.
  for (const int n : {1, 2}) {
    int begun = 0;
    const auto stop = [&](const Progress& now) {
      if (now.what == "filtering" && now.done == 1024 && ++begun == n) {
        throw Error(ErrorKind::interrupted, "stopped");
      }
    };
    expect_error(ErrorKind::interrupted, "stopped", [&] { run_chain(options, stop); });
    EXPECT_TRUE(fs::exists(options.out + ".work"));
  }
  options.threads = 3;
  const auto resumed = run_chain(options, {});
  EXPECT_EQ(resumed["passes_kept"], 2);
  EXPECT_TRUE(read_file(options.out) == expected);
  EXPECT_TRUE(read_file(options.out + ".removed.jsonl") == expected_removed);
  EXPECT_FALSE(fs::exists(options.out + ".work"));
}

TEST(Near, RefusesOptionsOutOfRange) {
  FilterOptions options;
  options.near_similarity = 0.3;
  expect_error(ErrorKind::usage, "--near-similarity", [&] { make_filter("near", options); });
  options.near_similarity = 1;
  options.near_words = 0;
  expect_error(ErrorKind::usage, "--near-words", [&] { make_filter("near", options); });
  for (const double value : {0.4, 0.6, 0.95, 1.0}) {
    options.near_words = 2;
    options.near_similarity = value;
    const FilterPlan plan = make_filter("near", options)->plan();
    EXPECT_GE(plan.keys, 16U);
    EXPECT_LE(plan.keys, 64U);
  }
}

TEST(FirstKeys, LetsSignaturesDecideAmongRowsOfOneKey) {
  const TempFolder folder;
  const FilterPlan plan{.keys = 2, .signature_bytes = 1};
  FirstKeys first(folder / "keys", plan,
                  [](std::string_view a, std::string_view b) { return a == b; });
  // Both keys of all rows are the same, and in every partition only a few are alike.
  const std::string signatures = "abacbbd";
  for (const char& c : signatures) {
    const RecordKey keys[] = {{1, 0}, {uint64_t{1} << 63, 0}};
    first.add(keys, {&c, 1});
  }
  ThreadPool pool(2);
  EXPECT_EQ(first.mark_repeats(folder / "bits", pool), 3U);
  const RepeatBits bits(folder / "bits");
  std::string repeats;
  for (size_t i = 0; i < signatures.size(); ++i) repeats += bits.repeated(i) ? '1' : '0';
  EXPECT_EQ(repeats, "0010110");
}

}  // namespace
}  // namespace akin::data
