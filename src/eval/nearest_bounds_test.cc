// Nearest centres by ruling others out against those by all products: the same labels, ties
// included; and the pieces of nearest.h that k-means is made of, on every instruction set.
#include "eval/nearest_bounds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "base/test_mat.h"
#include "base/threads.h"
#include "eval/mini_batch_kmeans.h"
#include "kernels/cpu.h"

namespace akin::eval {
namespace {

using dense::BoundedCentres;

// Both kinds of packed centres.
struct Both {
  const Mat<float>& centres;
  AlignedArray<float> packed, norms;
  BoundedCentres bounded;
  explicit Both(const Mat<float>& c)
      : centres(c),
        packed(dense::panels_of(c.rows()) * c.cols() * dense::kPanel),
        norms((c.rows() + 31) / 32 * 32),
        bounded(c.rows(), c.cols()) {
    std::fill_n(packed.data(), packed.size(), 0.0F);
    std::fill_n(norms.data(), norms.size(), std::numeric_limits<float>::infinity());
    dense::squared_norms(c.view(), norms.data());
    for (size_t r = 0; r < c.rows(); ++r) {
      for (size_t k = 0; k < c.cols(); ++k) packed[dense::packed_at(k, r, c.cols())] = c(r, k);
    }
    for (size_t g = 0; g < norms.size() / 32; ++g) bounded.pack(c.view(), g);
    bounded.finish();
  }
  dense::CentreView view() const { return {centres.view(), packed.data(), norms.data()}; }
};

void expect_same_labels(const Mat<float>& x, const Mat<float>& centres) {
  const Both both(centres);
  std::vector<int32_t> wanted(x.rows()), got(x.rows());
  std::vector<float> distances(x.rows()), again(x.rows());
  dense::nearest(x.view(), 0, x.rows(), both.view(), wanted.data(), distances.data());
  std::vector<kernels::Rounding> roundings;
  for (size_t r = 0; r < x.rows(); ++r)
    roundings.push_back(kernels::rounding_of(x.row(r), x.cols()));
  both.bounded.label(x.view(), roundings.data(), both.view(), got.data());
  EXPECT_EQ(got, wanted);
  dense::distances_to(x.view(), 0, x.rows(), centres.view(), nullptr, got.data(), again.data());
  EXPECT_EQ(again, distances);
}

TEST(BoundedCentres, LabelsAreThoseOfAllProducts) {
  if (!BoundedCentres::available(64, 64)) GTEST_SKIP() << "no bf16 products";
  for (const size_t dims : {33, 64, 300, 513}) {
    for (const size_t count : {2, 16, 37, 100}) {
      const Mat<float> x = random_mat(131, dims, dims);
      Mat<float> centres = random_mat(count, dims, count);
      expect_same_labels(x, centres);
      for (size_t c = 0; c < count; ++c) {  // alike but for the last bits, and some twice
        for (size_t k = 0; k < dims; ++k) {
          centres(c, k) = 0.5F * x(0, k) + 1e-6F * static_cast<float>(c / 2) * centres(c, k);
        }
      }
      expect_same_labels(x, centres);
    }
  }
}

TEST(BoundedCentres, LabelsOfRowsThatProveNothing) {
  if (!BoundedCentres::available(64, 64)) GTEST_SKIP() << "no bf16 products";
  Mat<float> x = random_mat(40, 50, 1), centres = random_mat(20, 50, 2);
  for (size_t k = 0; k < 50; ++k) {
    x(3, k) = 0;
    x(4, k) *= 1e-30F;
    x(5, k) *= 1e15F;
    x(6, k) *= 3e37F;  // products overflow
    centres(7, k) = 0;
  }
  expect_same_labels(x, centres);
  for (size_t k = 0; k < 50; ++k) centres(8, k) *= 1e18F;
  expect_same_labels(x, centres);
}

TEST(NearestParts, EqualLoopsOnEveryInstructionSet) {
  const Mat<float> rows = random_mat(37, 45, 3);
  for (const kernels::Isa isa : kernels::usable_isas()) {
    kernels::set_isa(isa);
    std::vector<float> got(37);
    dense::squared_norms(rows.view(), got.data());
    for (size_t r = 0; r < 37; ++r) {
      float wanted = 0;
      for (size_t k = 0; k < 45; ++k) wanted += rows(r, k) * rows(r, k);
      EXPECT_EQ(got[r], wanted);
    }
    AlignedArray<float> dots(48), norms(48);
    for (size_t c = 0; c < 48; ++c) {
      dots[c] = rows(0, c % 45);
      norms[c] = c < 41 ? rows(1, c) : std::numeric_limits<float>::infinity();
    }
    float least = norms[0] - 2 * dots[0];
    for (size_t c = 0; c < 41; ++c) least = std::min(least, norms[c] - 2 * dots[c]);
    for (const float margin : {0.0F, 1.5F, 100.0F}) {
      std::vector<uint32_t> wanted, near(48 + dense::kPanel);
      for (uint32_t c = 0; c < 41; ++c) {
        if (norms[c] - 2 * dots[c] <= least + margin) wanted.push_back(c);
      }
      near.resize(dense::contenders(dots.data(), norms.data(), 48, margin, near.data()));
      EXPECT_EQ(near, wanted);
    }
  }
  kernels::set_isa(kernels::detected_isa());
}

// All sets from VNNI on share their f32 products, so the whole of k-means must come out alike.
TEST(MiniBatchKMeans, SameWhicheverWayCentresAreFound) {
  ThreadPool pool(2);
  for (const size_t clusters : {3, 40}) {
    Mat<float> x = random_mat(2000, 96, clusters);
    for (size_t r = 0; r < x.rows(); ++r) x(r, r % clusters) += 4;
    std::copy_n(x.row(0), 96, x.row(1));
    for (const KMeansRegime regime : {KMeansRegime::randint, KMeansRegime::choice_centre}) {
      const KMeansOptions options = {.clusters = clusters, .batch_rows = 200, .regime = regime};
      kernels::set_isa(kernels::detected_isa());
      const KMeansResult got = mini_batch_kmeans(x.view(), options, pool);
      kernels::set_isa(kernels::Isa::vnni);
      const KMeansResult wanted = mini_batch_kmeans(x.view(), options, pool);
      kernels::set_isa(kernels::detected_isa());
      EXPECT_EQ(got.labels, wanted.labels);
      EXPECT_EQ(got.steps, wanted.steps);
      EXPECT_EQ(got.inertia, wanted.inertia);
      EXPECT_TRUE(std::equal(got.centres.data(), got.centres.data() + clusters * 96,
                             wanted.centres.data()));
    }
  }
}

}  // namespace
}  // namespace akin::eval
