// The engine's parts that need no model: packing, cutting, pooling, position tables. Whole models
// are held in tests/parity.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "engine/pack.h"
#include "engine/pool.h"
#include "kernels/positions.h"

namespace akin::engine {
namespace {

TEST(Pack, EveryTextOnceWithinTheBudget) {
  Rng rng(5);
  TokenBatch all;
  for (uint32_t i = 0; i < 500; ++i) {
    const size_t length = i % 97 == 0 ? 700 : 1 + rng.below(60);
    all.ids.insert(all.ids.end(), length, static_cast<int32_t>(i));
    all.offsets.push_back(static_cast<uint32_t>(all.ids.size()));
    all.prompt_tokens.push_back(i);
  }
  std::vector<int> seen(all.size());
  for (const auto& texts : plan_batches(all, 256, kernels::Backend::simd_f32)) {
    TokenBatch batch;
    gather(all, texts, batch);
    EXPECT_TRUE(batch.tokens() <= 256 || texts.size() == 1);
    for (size_t b = 0; b < texts.size(); ++b) {
      ++seen[texts[b]];
      EXPECT_TRUE(std::ranges::equal(batch.text(b), all.text(texts[b])));
      EXPECT_EQ(batch.prompt_tokens[b], texts[b]);
    }
  }
  for (const int times : seen) EXPECT_EQ(times, 1);
  EXPECT_TRUE(plan_batches(TokenBatch{}, 256, kernels::Backend::simd_f32).empty());
}

TEST(Pool, EveryModeByHand) {
  Mat<float> tokens(3, 2);
  const float values[] = {1, -1, 2, 5, 6, 2};
  std::copy(std::begin(values), std::end(values), tokens.data());
  PoolingSpec spec;
  spec.modes = {PoolingMode::cls,           PoolingMode::max,           PoolingMode::mean,
                PoolingMode::mean_sqrt_len, PoolingMode::weighted_mean, PoolingMode::last_token};
  std::vector<float> out(12);
  pool_text(spec, tokens.view(), 0, out);
  const float root3 = std::sqrt(3.0F);
  const std::vector<float> expected = {1,         -1,        6,         5,         3, 2,
                                       9 / root3, 6 / root3, 23.0F / 6, 15.0F / 6, 6, 2};
  for (size_t i = 0; i < 12; ++i) EXPECT_NEAR(out[i], expected[i], 1e-6) << i;
  pool_text(spec, tokens.view(), 1, out);  // the first token belongs to a prompt
  EXPECT_EQ(out[0], 1);
  EXPECT_EQ(out[2], 6);
  EXPECT_EQ(out[4], 4);
  pool_text(spec, tokens.view(), 3, out);
  EXPECT_EQ(out[4], 0);
}

TEST(Positions, AlibiSlopesAndBuckets) {
  const kernels::BiasTable alibi = kernels::make_alibi_table(4, 8);
  EXPECT_FLOAT_EQ(alibi.values[alibi.center + 2], -1.0F);  // head 0: slope 1/2
  EXPECT_FLOAT_EQ(alibi.values[7 * alibi.stride + alibi.center - 3], -3.0F / 256);
  EXPECT_EQ(kernels::relative_bucket(0, 32, 128), 0);
  EXPECT_EQ(kernels::relative_bucket(-7, 32, 128), 7);
  EXPECT_EQ(kernels::relative_bucket(7, 32, 128), 23);
  EXPECT_EQ(kernels::relative_bucket(1000, 32, 128), 31);
  const kernels::RotaryTable rotary = kernels::make_rotary_table(3, 4, 10000);
  EXPECT_NEAR(rotary.cosine(2, 0), std::cos(2.0), 1e-6);
  EXPECT_NEAR(rotary.sine(2, 1), std::sin(0.02), 1e-6);
}

TEST(Normalize, UnitLengthAndZero) {
  std::vector<float> x = {3, 4}, zero = {0, 0};
  normalize(x);
  normalize(zero);
  EXPECT_FLOAT_EQ(x[1], 0.8F);
  EXPECT_EQ(zero[0], 0);
}

}  // namespace
}  // namespace akin::engine
