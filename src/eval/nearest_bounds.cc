#include "eval/nearest_bounds.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <span>

#include "kernels/elementwise.h"
#include "kernels/gathered.h"
#include "kernels/linear.h"

namespace akin::eval::dense {
namespace {

using kernels::Rounding;

constexpr size_t kRows = kernels::kRowBlock;            // multiplied at once
constexpr size_t kLeastDepth = 32, kLeastCentres = 32;  // below, all products cost no more

void raise_to(Rounding& most, const Rounding& other) {
  most.norm = std::max(most.norm, other.norm);
  most.lost = std::max(most.lost, other.lost);
  most.usable = most.usable && other.usable;
}

// How far norms - 2 dots of rounded vectors can be from what nearest() finds, twice: what one
// centre loses and another wins.
float margin_of(const Rounding& row, const Rounding& centres, size_t depth) {
  const float sizes = centres.norm * (centres.norm + 2 * row.norm);
  return 4 * rounding_bound(row, centres, depth) + 1e-6F * sizes;
}

// Those of the candidates that are near by plain f32 products, in whatever order these are summed;
// most often one. The same bound for vectors that rounding takes nothing from.
size_t thin_out(const float* x, const Rounding& row, const Rounding& most,
                const CentreView& centres, size_t n, uint32_t* candidates, float* dots) {
  const size_t depth = centres.rows.cols();
  float least = std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < n; ++i) {
    dots[i] =
        centres.norms[candidates[i]] - 2 * kernels::dot(x, centres.rows.row(candidates[i]), depth);
    least = std::min(least, dots[i]);
  }
  const float margin = margin_of({.norm = row.norm}, {.norm = most.norm}, depth);
  size_t left = 0;
  for (size_t i = 0; i < n; ++i) {
    if (dots[i] <= least + margin) candidates[left++] = candidates[i];
  }
  return left;
}

// The first of the candidates with the least norms[c] - 2 x . rows[c].
int32_t first_least(const float* x, const CentreView& centres, std::span<const uint32_t> candidates,
                    float* dots) {
  kernels::gathered_products(x, centres.rows, candidates, kNearestPiece, dots);
  float least = std::numeric_limits<float>::infinity();
  int32_t label = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const float value = centres.norms[candidates[i]] - 2 * dots[i];
    if (!(value < least)) continue;
    least = value;
    label = static_cast<int32_t>(candidates[i]);
  }
  return label;
}

}  // namespace

bool BoundedCentres::available(size_t centres, size_t depth) {
  return kernels::bf16_products_available() && centres >= kLeastCentres && depth >= kLeastDepth;
}

BoundedCentres::BoundedCentres(size_t centres, size_t depth)
    : count_(centres),
      columns_((centres + kColumns - 1) / kColumns * kColumns),
      zeros_(1, depth),
      group_most_(columns_ / kColumns) {
  right_.reserve(kernels::ProductNumbers::bf16, depth, columns_);
  AKIN_CHECK(right_.panels() == group_most_.size());
}

void BoundedCentres::pack(MatView<const float> centres, size_t group) {
  Rounding& most = group_most_[group] = {};
  std::vector<const float*> rows(columns_, zeros_.row(0));
  for (size_t c = group * kColumns; c < std::min(count_, (group + 1) * kColumns); ++c) {
    rows[c] = centres.row(c);
    raise_to(most, kernels::rounding_of(rows[c], centres.cols()));
  }
  right_.pack_transposed(rows, group, group + 1);
}

void BoundedCentres::finish() {
  most_ = {};
  for (const auto& most : group_most_) raise_to(most_, most);
}

void BoundedCentres::label(MatView<const float> x, const Rounding* roundings,
                           const CentreView& centres, int32_t* labels) const {
  thread_local kernels::LeftOperand left;
  thread_local AlignedArray<float> dots, exact;
  thread_local AlignedArray<uint32_t> near;
  dots.ensure(kRows * columns_);
  exact.ensure(columns_);
  near.ensure(columns_ + kPanel);
  for (size_t begin = 0; begin < x.rows(); begin += kRows) {
    const size_t rows = std::min(kRows, x.rows() - begin);
    left.set(kernels::ProductNumbers::bf16, x.row_range(begin, rows));
    const MatView<float> products(dots.data(), rows, columns_);
    right_.multiply(left, {}, products);
    for (size_t r = 0; r < rows; ++r) {
      const Rounding& rounding = roundings[begin + r];
      size_t n = count_;
      if (rounding.usable && most_.usable) {
        n = contenders(products.row(r), centres.norms, columns_,
                       margin_of(rounding, most_, x.cols()), near.data());
        if (n > 1) {
          n = thin_out(x.row(begin + r), rounding, most_, centres, n, near.data(), exact.data());
        }
      } else {
        std::iota(near.data(), near.data() + n, 0U);
      }
      labels[begin + r] =
          n == 1 ? static_cast<int32_t>(near[0])
                 : first_least(x.row(begin + r), centres, {near.data(), n}, exact.data());
    }
  }
}

}  // namespace akin::eval::dense
