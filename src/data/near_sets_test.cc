// Sets that are nearly equal: as comparing each with all finds them.
#include "data/near_sets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/rng.h"

namespace akin::data {
namespace {

double jaccard(const std::set<uint64_t>& a, const std::set<uint64_t>& b) {
  size_t both = 0;
  for (const uint64_t word : a) both += b.count(word);
  return static_cast<double>(both) / static_cast<double>(a.size() + b.size() - both);
}

// Words as they occur: few are frequent, most are rare.
std::vector<uint64_t> random_text(Rng& rng, size_t words) {
  std::vector<uint64_t> out;
  for (size_t i = 0; i < words; ++i) out.push_back(1 + rng.below(1 + rng.below(60)));
  return out;
}

TEST(NearSets, FindsWhatComparingWithAllFinds) {
  for (const double similarity : {0.5, 0.6, 0.75, 0.8, 0.9, 1.0}) {
    Rng rng(7);
    NearSets sets(similarity);
    std::vector<std::set<uint64_t>> texts;
    for (uint32_t i = 0; i < 400; ++i) {
      const auto text = random_text(rng, 3 + rng.below(20));
      sets.add(text, i);
      texts.emplace_back(text.begin(), text.end());
    }
    sets.finish();
    size_t found = 0;
    for (size_t i = 0; i < 3000; ++i) {
      auto text = random_text(rng, 3 + rng.below(20));
      if (i % 3 == 0) {  // a text that is there, with another word or one less
        text.assign(texts[i % texts.size()].begin(), texts[i % texts.size()].end());
        if (i % 2 == 0) text.push_back(1000);
        if (i % 4 == 1) text.pop_back();
      }
      const std::set<uint64_t> set(text.begin(), text.end());
      const bool right_size = set.size() >= NearSets::kLeastWords;
      const bool near =
          right_size && std::any_of(texts.begin(), texts.end(), [&](const auto& t) {
            return t.size() >= NearSets::kLeastWords && jaccard(t, set) >= similarity - 1e-12;
          });
      const auto match = sets.find(text);
      ASSERT_EQ(match.has_value(), near) << similarity << " " << i;
      if (!match) continue;
      ++found;
      EXPECT_NEAR(match->similarity, jaccard(texts[match->value], set), 1e-12);
      EXPECT_GE(match->similarity, similarity - 1e-12);
    }
    EXPECT_GT(found, 50U) << similarity;
  }
}

TEST(NearSets, LongAndEmptyTextsMatchNothing) {
  NearSets none(0.8);
  none.finish();
  const std::vector<uint64_t> few = {1, 2, 3, 4, 5};
  EXPECT_FALSE(none.find(few));
  NearSets sets(0.8);
  std::vector<uint64_t> many(NearSets::kMostWords + 1);
  for (size_t i = 0; i < many.size(); ++i) many[i] = i + 1;
  sets.add(many, 1);
  sets.add({}, 2);
  many.pop_back();
  sets.add(many, 3);
  sets.add(many, 4);  // there already
  sets.finish();
  EXPECT_EQ(sets.size(), 1U);
  EXPECT_FALSE(sets.find({}));
  const auto match = sets.find(many);
  ASSERT_TRUE(match);
  EXPECT_EQ(match->value, 3U);
  EXPECT_EQ(match->similarity, 1);
}

}  // namespace
}  // namespace akin::data
