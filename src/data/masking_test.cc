// The rules of masking: words whole, shares reached, 80/10/10, special tokens never; and what every
// row of the enhanced decoder sees.
#include "data/masking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "data/test_letters.h"
#include "text/whole_words.h"

namespace akin::data {
namespace {

constexpr uint32_t kNone = text::WholeWords::kNone;

// [CLS], words of 1 to 3 tokens, [SEP].
std::vector<uint32_t> make_words(size_t words, Rng& rng) {
  std::vector<uint32_t> out = {kNone};
  for (uint32_t w = 0; w < words; ++w) out.insert(out.end(), 1 + rng.below(3), w);
  out.push_back(kNone);
  return out;
}

TEST(Masking, TakesWholeWordsUpToTheShare) {
  Rng rng(1);
  for (int round = 0; round < 200; ++round) {
    const auto words = make_words(3 + rng.below(40), rng);
    const double share = 0.1 + 0.1 * static_cast<double>(rng.below(6));
    const auto chosen = choose_tokens(words, share, rng);
    const std::set<uint32_t> set(chosen.begin(), chosen.end());
    const auto tokens = static_cast<double>(words.size() - 2);
    ASSERT_EQ(set.size(), chosen.size());
    EXPECT_FALSE(set.contains(0) || set.contains(static_cast<uint32_t>(words.size() - 1)));
    const auto wanted = std::max(1LL, std::llround(share * tokens));
    EXPECT_LE(static_cast<long long>(chosen.size()), std::max(wanted, 3LL));
    EXPECT_GE(static_cast<long long>(chosen.size()), std::min(wanted, wanted - 2));
    for (size_t i = 1; i + 1 < words.size(); ++i) {  // no word in part
      for (size_t j = i + 1; j < words.size() && words[j] == words[i]; ++j) {
        EXPECT_EQ(set.contains(static_cast<uint32_t>(i)), set.contains(static_cast<uint32_t>(j)));
      }
    }
  }
  // One word that is longer than its share is still masked; no words, nothing.
  EXPECT_EQ(choose_tokens(std::vector<uint32_t>{kNone, 0, 0, 0, 0, kNone}, 0.15, rng).size(), 4U);
  EXPECT_TRUE(choose_tokens(std::vector<uint32_t>{kNone, kNone}, 0.5, rng).empty());
}

TEST(Masking, HidesByEightyTenTen) {
  const auto tokenizer = letters();
  const MaskTokens tokens(*tokenizer);
  EXPECT_EQ(tokens.mask_id(), 4);
  constexpr size_t kTokens = 40000;
  const int32_t a = *tokenizer->token_id("a");
  std::vector<int32_t> ids(kTokens, a);
  std::vector<uint32_t> all(kTokens - 1);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint32_t>(i);
  Rng rng(7);
  tokens.hide(all, rng, ids);
  size_t masked = 0, kept = 0;
  for (const int32_t id : ids) {
    EXPECT_GE(id, 4);
    masked += id == 4 ? 1 : 0;
    kept += id == a ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(masked) / kTokens, 0.8, 0.01);
  EXPECT_NEAR(static_cast<double>(kept) / kTokens, 0.1 + 0.1 / 26, 0.01);
  EXPECT_EQ(ids.back(), a);  // not chosen
}

TEST(Masking, BatchesAreMaskedByTheirSeed) {
  const auto tokenizer = letters();
  TokenBatch batch;
  for (const char* text : {"a b c d e f g h", "k", "m n o p"}) {
    tokenizer->encode(text, false, batch.ids);
    batch.offsets.push_back(static_cast<uint32_t>(batch.ids.size()));
  }
  const Masker masker(*tokenizer, true, {});
  const auto masked = masker.mask(batch, 0.3, 5), again = masker.mask(batch, 0.3, 5);
  EXPECT_EQ(masked.texts.ids, again.texts.ids);
  EXPECT_NE(masked.positions, masker.mask(batch, 0.3, 6).positions);
  EXPECT_EQ(masked.positions.size(), 2U + 1U + 1U);
  for (size_t i = 0; i < masked.positions.size(); ++i) {
    EXPECT_EQ(masked.labels[i], batch.ids[masked.positions[i]]);
  }
  for (uint32_t t = 0; t < batch.ids.size(); ++t) {
    if (std::ranges::find(masked.positions, t) == masked.positions.end()) {
      EXPECT_EQ(masked.texts.ids[t], batch.ids[t]);
    }
  }
}

TEST(Masking, DecoderRowsSeeWhatTheRulesSay) {
  Rng rng(3);
  for (int round = 0; round < 20; ++round) {
    const auto words = make_words(20 + rng.below(150), rng);
    const size_t length = words.size();
    const auto visible = decoder_visibility(words, 0.5, rng);
    ASSERT_EQ(visible.size(), length * length);
    const auto at = [&](size_t i, size_t j) { return visible[i * length + j] != 0; };
    std::set<std::vector<bool>> choices;
    for (size_t i = 0; i < length; ++i) {
      EXPECT_FALSE(at(i, i));
      if (i > 0) {
        EXPECT_TRUE(at(i, 0));
      }
      if (i + 1 < length) {
        EXPECT_TRUE(at(i, length - 1));
      }
      size_t hidden = 0;
      std::vector<bool> row;
      for (size_t j = 1; j + 1 < length; ++j) {
        hidden += j != i && !at(i, j) ? 1 : 0;
        // A word is hidden as a whole, but for row i's own token, which is hidden by itself.
        if (words[j] == words[j - 1] && j != i && j - 1 != i) {
          EXPECT_EQ(at(i, j), at(i, j - 1));
        }
        row.push_back(at(i, j));
      }
      const double share = static_cast<double>(hidden) / static_cast<double>(length - 2);
      EXPECT_NEAR(share, 0.5, 0.12);
      choices.insert(row);
    }
    EXPECT_GT(choices.size(), length / 3);  // rows differ
  }
}

}  // namespace
}  // namespace akin::data
