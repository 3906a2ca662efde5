// Adaptive retrieval: stages against the same done by hand, schedules, recall on vectors whose
// first dims carry most.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/rng.h"
#include "index/vector_store.h"
#include "store/test_files.h"

namespace akin::index {
namespace {

constexpr size_t kRows = 20'000, kDims = 128;

class FunnelTest : public testing::Test {
 protected:
  void SetUp() override {
    rows_ = Mat<float>(kRows, kDims);
    // Groups, as texts about the same thing are.
    constexpr size_t kGroups = 400;
    Rng rng(1);
    Mat<float> centres(kGroups, kDims);
    for (size_t i = 0; i < kGroups * kDims; ++i)
      centres.data()[i] = static_cast<float>(rng.normal());
    for (size_t r = 0; r < kRows; ++r) {
      double squares = 0;
      for (size_t d = 0; d < kDims; ++d) {
        rows_(r, d) = centres(r % kGroups, d) + static_cast<float>(0.7 * rng.normal());
        squares += double{rows_(r, d)} * rows_(r, d);
      }
      for (size_t d = 0; d < kDims; ++d) rows_(r, d) /= static_cast<float>(std::sqrt(squares));
    }
    store_ = VectorStore::create(temporary_ / "vectors", spec_);
    store_->append(rows_.view());
  }

  const store::TempFolder temporary_;
  const VectorStoreSpec spec_{
      kDims, Code::f32, {{Code::int8, 32}, {Code::int8, kDims}, {Code::binary, kDims}}};
  Mat<float> rows_;
  std::unique_ptr<VectorStore> store_;
  ThreadPool pool_{2};
};

TEST_F(FunnelTest, StagesOneAfterAnother) {
  const FunnelStage stages[] = {
      {{Code::binary, kDims}, 900}, {{Code::int8, 32}, 300}, {{Code::f32, kDims}, 20}};
  std::vector<uint64_t> mask((kRows + 63) / 64, 0x5555555555555555ULL);
  for (const uint32_t q : {5, 11, 19999}) {
    const std::span<const float> query(rows_.row(q), kDims);
    const MatView<const float> queries(query.data(), 1, kDims);
    for (const RowMask allowed : {RowMask{}, RowMask{mask}}) {
      std::vector<uint64_t> left(mask.size());
      auto hits = store_->scan(queries, 900, stages[0].code, allowed, pool_)[0];
      for (const FunnelStage& stage : {stages[1], stages[2]}) {
        std::fill(left.begin(), left.end(), 0);
        for (const RowHit& hit : hits) left[hit.row / 64] |= uint64_t{1} << (hit.row % 64);
        hits = store_->scan(queries, stage.keep, stage.code, left, pool_)[0];
      }
      const auto got = store_->funnel(query, stages, allowed, pool_);
      ASSERT_EQ(got.size(), 20U);
      for (size_t i = 0; i < 20; ++i) {
        EXPECT_EQ(got[i].row, hits[i].row);
        EXPECT_EQ(got[i].score, hits[i].score);
      }
    }
  }
}

TEST_F(FunnelTest, DefaultScheduleFindsWhatExactSearchFinds) {
  const auto stages = funnel_schedule(spec_, kRows, 10);
  ASSERT_GE(stages.size(), 2U);
  EXPECT_EQ(stages.back().code, (CodeSpec{Code::f32, kDims}));
  EXPECT_EQ(stages.back().keep, 10U);
  for (size_t s = 1; s < stages.size(); ++s) EXPECT_GE(stages[s - 1].keep, stages[s].keep);
  size_t found = 0;
  for (uint32_t q = 0; q < 100; ++q) {
    std::vector<float> query(rows_.row(q), rows_.row(q) + kDims);
    for (size_t d = 0; d < kDims; ++d) query[d] += 0.3F * rows_(q + 100, d);
    const auto exact = store_->scan({query.data(), 1, kDims}, 10, {Code::f32, kDims}, {}, pool_)[0];
    std::set<uint32_t> wanted;
    for (const RowHit& hit : exact) wanted.insert(hit.row);
    for (const RowHit& hit : store_->funnel(query, stages, {}, pool_))
      found += wanted.count(hit.row);
  }
  EXPECT_GE(found, 980U);
}

TEST(FunnelSchedule, Edges) {
  const auto plain = funnel_schedule({64, Code::f16, {}}, 1000, 10);
  ASSERT_EQ(plain.size(), 1U);
  EXPECT_EQ(plain[0].code, (CodeSpec{Code::f16, 64}));
  EXPECT_EQ(plain[0].keep, 10U);
  for (const FunnelStage& stage : funnel_schedule({64, Code::f32, {{Code::binary, 64}}}, 7, 10))
    EXPECT_LE(stage.keep, 10U);
}

}  // namespace
}  // namespace akin::index
