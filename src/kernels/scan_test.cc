// Scores of a scan against loops, on every instruction set: odd sizes, rows by number, one query
// and many.
#include "kernels/scan.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "base/rng.h"
#include "base/test_mat.h"
#include "core/tensor.h"
#include "kernels/cpu.h"
#include "kernels/elementwise.h"
#include "kernels/quantize.h"

namespace akin::kernels {
namespace {

constexpr size_t kBefore = 64;

class ScanOnEveryIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (GetParam() > detected_isa())
      GTEST_SKIP() << "skipped: this CPU has no " << isa_name(GetParam());
    set_isa(GetParam());
  }
  void TearDown() override { set_isa(detected_isa()); }
};

// Rows in memory of exactly their size, so that a sanitizer sees a read behind the last.
struct Stored {
  Stored(size_t rows, size_t row_stride)
      : stride(row_stride), count(rows), bytes(kBefore + rows * row_stride, 0xA5) {}
  uint8_t* row(size_t i) { return bytes.data() + kBefore + i * stride; }
  ScanRows all() const { return {bytes.data() + kBefore, stride, count, nullptr}; }
  ScanRows some(const std::vector<uint32_t>& ids) const {
    return {bytes.data() + kBefore, stride, ids.size(), ids.data()};
  }
  size_t stride, count;
  std::vector<uint8_t> bytes;
};

std::vector<uint32_t> every_third(size_t n) {
  std::vector<uint32_t> out;
  for (size_t i = n; i > 0; i -= std::min<size_t>(i, 3))
    out.push_back(static_cast<uint32_t>(i - 1));
  return out;
}

// scan(rows, out) scores `queries` queries; wanted(q, row) is what each must be, to the bit.
template <class Scan, class Wanted>
void expect_scores(const Stored& stored, size_t queries, const Scan& scan, const Wanted& wanted) {
  Mat<float> out(queries, stored.count + 3);
  scan(stored.all(), out.view());
  for (size_t q = 0; q < queries; ++q) {
    for (size_t i = 0; i < stored.count; ++i) ASSERT_EQ(out(q, i), wanted(q, i)) << q << ' ' << i;
  }
  const std::vector<uint32_t> ids = every_third(stored.count);
  scan(stored.some(ids), out.view());
  for (size_t q = 0; q < queries; ++q) {
    for (size_t i = 0; i < ids.size(); ++i)
      ASSERT_EQ(out(q, i), wanted(q, ids[i])) << q << ' ' << i;
  }
}

TEST_P(ScanOnEveryIsa, FloatsAreDotsToTheBit) {
  for (const size_t dims : {1, 15, 16, 17, 47, 64, 100, 256, 312}) {
    for (const size_t count : {1, 5, 23}) {
      const size_t stride = 4 * dims + 12;
      const Mat<float> rows = random_mat(count, dims, dims + count);
      Stored stored(count, stride);
      for (size_t i = 0; i < count; ++i) std::memcpy(stored.row(i), rows.row(i), 4 * dims);
      for (const size_t queries : {1, 2, 9}) {
        const Mat<float> q = random_mat(queries, dims, queries);
        expect_scores(
            stored, queries,
            [&](const ScanRows& r, MatView<float> out) { scan_f32(q.view(), r, out); },
            [&](size_t a, size_t b) { return dot(q.row(a), rows.row(b), dims); });
      }
      std::vector<float> squares(count);
      scan_squares_f32(dims, stored.all(), squares.data());
      for (size_t i = 0; i < count; ++i) ASSERT_EQ(squares[i], dot(rows.row(i), rows.row(i), dims));
    }
  }
}

TEST_P(ScanOnEveryIsa, Halves) {
  for (const size_t dims : {1, 31, 32, 33, 96, 100, 256}) {
    const size_t padded = (dims + kScanHalves - 1) / kScanHalves * kScanHalves, count = 11;
    Stored stored(count, 2 * padded);
    Mat<float> rows = random_mat(count, padded, dims);
    rows(1, 0) = 3e-7F;  // subnormal as a half
    rows(2, 0) = 65504;
    for (size_t i = 0; i < count; ++i) {
      for (size_t d = 0; d < padded; ++d) {
        const uint16_t half = float_to_half(rows(i, d));
        std::memcpy(stored.row(i) + 2 * d, &half, 2);
        rows(i, d) = half_to_float(half);
      }
    }
    for (const size_t queries : {1, 5}) {
      Mat<float> q = random_mat(queries, padded, 3);
      for (size_t a = 0; a < queries; ++a) std::fill(q.row(a) + dims, q.row(a) + padded, 0.0F);
      expect_scores(
          stored, queries,
          [&](const ScanRows& r, MatView<float> out) { scan_f16(q.view(), r, out); },
          [&](size_t a, size_t b) { return dot(q.row(a), rows.row(b), padded); });
    }
    std::vector<float> squares(count);
    scan_squares_f16(dims, stored.all(), squares.data());
    for (size_t i = 0; i < count; ++i) ASSERT_EQ(squares[i], dot(rows.row(i), rows.row(i), dims));
  }
}

TEST_P(ScanOnEveryIsa, IntegersAreExact) {
  for (const size_t dims : {1, 7, 8, 31, 63, 64, 65, 128, 200, 256, 5000}) {
    const size_t count = 13, stride = kScanScaleBytes + (dims + 3) / 4 * 4;
    Stored stored(count, stride);
    Mat<int8_t> rows(count, dims);
    std::vector<float> scales(count);
    const Mat<float> from = random_mat(count, dims, dims);
    for (size_t i = 0; i < count; ++i) {
      scales[i] = quantize_row(from.row(i), dims, rows.row(i));
      if (i == 3) std::fill_n(rows.row(i), dims, int8_t{-127});
      std::memcpy(stored.row(i), &scales[i], 4);
      std::memcpy(stored.row(i) + 4, rows.row(i), dims);
    }
    for (const size_t queries : {1, 3}) {
      Mat<int8_t> q(queries, dims);
      std::vector<float> query_scales(queries);
      const Mat<float> query = random_mat(queries, dims, 9);
      for (size_t a = 0; a < queries; ++a)
        query_scales[a] = quantize_row(query.row(a), dims, q.row(a));
      std::fill_n(q.row(0), dims, int8_t{127});
      expect_scores(
          stored, queries,
          [&](const ScanRows& r, MatView<float> out) {
            scan_int8(q.view(), query_scales.data(), r, out);
          },
          [&](size_t a, size_t b) {
            int32_t sum = 0;
            for (size_t d = 0; d < dims; ++d) sum += q(a, d) * rows(b, d);
            return static_cast<float>(sum) * (query_scales[a] * scales[b]);
          });
    }
  }
}

TEST_P(ScanOnEveryIsa, BitsThatDiffer) {
  for (const size_t dims : {1, 64, 100, 128, 192, 256, 320, 512, 768, 1000, 1024, 1100}) {
    const size_t words = (dims + 63) / 64, count = 37;
    Rng rng(dims);
    const auto fill = [&](uint64_t* to) {
      for (size_t w = 0; w < words; ++w) to[w] = rng.next();
      if (dims % 64 != 0) to[words - 1] &= (uint64_t{1} << (dims % 64)) - 1;
    };
    Mat<uint64_t> rows(count, words);
    Stored stored(count, words * 8);
    for (size_t i = 0; i < count; ++i) {
      fill(rows.row(i));
      std::memcpy(stored.row(i), rows.row(i), words * 8);
    }
    for (const size_t queries : {1, 3}) {
      Mat<uint64_t> q(queries, words);
      for (size_t a = 0; a < queries; ++a) fill(q.row(a));
      expect_scores(
          stored, queries,
          [&](const ScanRows& r, MatView<float> out) { scan_binary(q.view(), dims, r, out); },
          [&](size_t a, size_t b) {
            int bits = 0;
            for (size_t w = 0; w < words; ++w) bits += std::popcount(q(a, w) ^ rows(b, w));
            return 1.0F - 2.0F / static_cast<float>(dims) * static_cast<float>(bits);
          });
    }
  }
}

TEST_P(ScanOnEveryIsa, EveryByteCounts) {
  std::vector<uint8_t> bytes(1000, 0);
  const uint64_t none = scan_bytes(bytes.data(), bytes.size());
  for (const size_t i : {0, 255, 256, 511, 999}) {
    bytes[i] = 1;
    EXPECT_NE(scan_bytes(bytes.data(), bytes.size()), none);
    bytes[i] = 0;
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, ScanOnEveryIsa,
                         testing::Values(Isa::baseline, Isa::sse4, Isa::avx2, Isa::avx512,
                                         Isa::vnni),
                         [](const auto& test) { return std::string(isa_name(test.param)); });

}  // namespace
}  // namespace akin::kernels
