// Averages of weights: linear sums exactly, slerp after its formula, straight lines where two
// vectors are parallel. Folders: tests/cli/merge_test.cc.
#include "model/merge.h"

#include <gtest/gtest.h>

#include <cmath>

namespace akin::model {
namespace {

using Values = std::vector<std::vector<float>>;

std::vector<float> merged(MergeMethod method, const Values& values,
                          const std::vector<double>& weights) {
  std::vector<float> out(values[0].size());
  merge_values(method, values, weights, out);
  return out;
}

TEST(Merge, LinearIsTheWeightedMean) {
  const Values values = {{1, -2, 0.25F}, {3, 2, 0.75F}, {5, 6, -1}};
  EXPECT_EQ(merged(MergeMethod::linear, values, {0.5, 0.25, 0.25}),
            (std::vector<float>{2.5F, 1, 0.0625F}));
  EXPECT_EQ(merged(MergeMethod::linear, values, {0, 1, 0}), values[1]);
}

TEST(Merge, SlerpFollowsItsFormula) {
  const Values values = {{3, 0}, {0, 2}};  // a right angle
  const double t = 0.25, angle = std::acos(0.0);
  const auto out = merged(MergeMethod::slerp, values, {1 - t, t});
  EXPECT_NEAR(out[0], 3 * std::sin((1 - t) * angle), 1e-6);
  EXPECT_NEAR(out[1], 2 * std::sin(t * angle), 1e-6);
  // Unit vectors stay unit vectors.
  const Values units = {{0.6F, 0.8F}, {0.8F, -0.6F}};
  const auto unit = merged(MergeMethod::slerp, units, {0.5, 0.5});
  EXPECT_NEAR(std::hypot(unit[0], unit[1]), 1, 1e-6);
  // The ends are the models; parallel and zero vectors go straight.
  EXPECT_EQ(merged(MergeMethod::slerp, units, {1, 0}), units[0]);
  EXPECT_EQ(merged(MergeMethod::slerp, {{1, 2}, {2, 4}}, {0.5, 0.5}),
            (std::vector<float>{1.5F, 3}));
  EXPECT_EQ(merged(MergeMethod::slerp, {{0, 0}, {2, 4}}, {0.5, 0.5}), (std::vector<float>{1, 2}));
}

}  // namespace
}  // namespace akin::model
