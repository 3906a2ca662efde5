#include "kernels/attention_backward.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention_backward.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "kernels/activation-inl.h"
#include "kernels/attention-inl.h"
#include "kernels/dropout-inl.h"

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kKeyBlock = 256;   // keys per tile
constexpr size_t kQueryBlock = 48;  // queries per tile

// Query i against keys [k0, k0 + padded): those in [lo, hi) are seen.
struct RowPlace {
  size_t i, k0, lo, hi, padded;
};

RowPlace row_place(const AttentionArgs& args, size_t i, size_t k0, size_t count, size_t padded) {
  RowPlace place{i, k0, 0, count, padded};
  if (args.window > 0) {
    const size_t half = args.window / 2;
    place.lo = i > half + k0 ? HWY_MIN(i - half - k0, count) : 0;
    place.hi = i + half + 1 > k0 ? HWY_MIN(i + half + 1 - k0, count) : 0;
  }
  return place;
}

// weights: raw products q.k to the weights as they met the values (after dropout). gradients:
// d_out.v to the gradient of the raw products. level: d_out.out of the row.
HWY_INLINE void gradient_row(const AttentionGradientArgs& args, size_t head, const RowPlace& place,
                             float level, float* weights, float* gradients) {
  const DF d;
  const size_t lanes = hn::Lanes(d), length = args.forward.k.rows();
  const AttentionArgs& forward = args.forward;
  const VF scale = hn::Set(d, forward.scale), vlevel = hn::Set(d, level),
           log_sum = hn::Set(d, forward.log_sums[place.i * forward.heads + head]);
  const float* bias = forward.bias == nullptr ? nullptr
                                              : forward.bias + head * forward.bias_stride +
                                                    forward.bias_center + place.k0 - place.i;
  float* d_bias = args.d_bias == nullptr ? nullptr
                                         : args.d_bias + head * args.bias_stride +
                                               args.bias_center + place.k0 - place.i;
  const auto element = static_cast<uint32_t>((head * length + place.i) * length + place.k0);
  for (size_t j = 0; j < place.padded; j += lanes) {
    VF x = hn::Mul(hn::Load(d, weights + j), scale);
    if (bias != nullptr) x = hn::Add(x, hn::LoadU(d, bias + j));
    VF p = exp_f32(d, hn::Sub(x, log_sum));
    if (j < place.lo || j + lanes > place.hi) {
      const auto index = hn::Iota(d, static_cast<float>(j));  // exact: below 2^24
      const auto inside = hn::And(hn::Ge(index, hn::Set(d, static_cast<float>(place.lo))),
                                  hn::Lt(index, hn::Set(d, static_cast<float>(place.hi))));
      p = hn::IfThenElseZero(inside, p);
    }
    VF g = hn::Load(d, gradients + j), kept = p;
    if (forward.dropout != nullptr) {
      const uint32_t first = element + static_cast<uint32_t>(j);
      g = drop_f32(d, g, *forward.dropout, first);
      kept = drop_f32(d, p, *forward.dropout, first);
    }
    const VF ds = hn::Mul(p, hn::Sub(g, vlevel));
    hn::Store(kept, d, weights + j);
    hn::Store(hn::Mul(ds, scale), d, gradients + j);
    if (d_bias != nullptr) hn::StoreU(hn::Add(ds, hn::LoadU(d, d_bias + j)), d, d_bias + j);
  }
}

// d_out.out of every row: what all weights of a row share.
void row_levels(const AttentionGradientArgs& args, size_t head, float* levels) {
  const DF d;
  const size_t lanes = hn::Lanes(d), head_dim = args.forward.head_dim, col = head * head_dim;
  for (size_t i = 0; i < args.d_out.rows(); ++i) {
    const float* a = args.d_out.row(i) + col;
    const float* b = args.forward.out.row(i) + col;
    VF sum = hn::Zero(d);
    size_t c = 0;
    for (; c + lanes <= head_dim; c += lanes) {
      sum = hn::MulAdd(hn::LoadU(d, a + c), hn::LoadU(d, b + c), sum);
    }
    levels[i] = hn::GetLane(hn::SumOfLanes(d, sum));
    for (; c < head_dim; ++c) levels[i] += a[c] * b[c];  // nothing is promised behind a row of out
  }
}

// Queries [q0, q0 + rows) against the `count` keys from k0 whose transposes are in scratch.
void gradient_tile(const AttentionGradientArgs& args, size_t head, size_t q0, size_t rows,
                   size_t k0, size_t count, AttentionGradientScratch& scratch) {
  const AttentionArgs& forward = args.forward;
  const size_t lanes = hn::Lanes(DF()), col = head * forward.head_dim;
  const size_t padded = round_up(count, lanes), dim = round_up(forward.head_dim, lanes);
  const float* q = forward.q.row(q0) + col;
  const float* d_out = args.d_out.row(q0) + col;
  float* weights = scratch.weights.data();
  float* gradients = scratch.gradients.data();
  product<false>(rows, padded / lanes, q, forward.q.stride(), scratch.keys.data(),
                 key_stride(count), forward.head_dim, false, weights, padded);
  product<false>(rows, padded / lanes, d_out, args.d_out.stride(), scratch.values.data(),
                 key_stride(count), forward.head_dim, false, gradients, padded);
  for (size_t r = 0; r < rows; ++r) {
    gradient_row(args, head, row_place(forward, q0 + r, k0, count, padded), scratch.levels[q0 + r],
                 weights + r * padded, gradients + r * padded);
  }
  product<false>(rows, dim / lanes, gradients, padded, forward.k.row(k0) + col, forward.k.stride(),
                 count, true, scratch.dq.data() + q0 * dim, dim);
  product<true>(count, dim / lanes, gradients, padded, q, forward.q.stride(), rows, true,
                scratch.dk.data(), dim);
  product<true>(count, dim / lanes, weights, padded, d_out, args.d_out.stride(), rows, true,
                scratch.dv.data(), dim);
}

void store_head(const float* from, size_t dim, size_t rows, size_t head, size_t head_dim,
                MatView<float> to) {
  for (size_t r = 0; r < rows; ++r)
    std::copy_n(from + r * dim, head_dim, to.row(r) + head * head_dim);
}

void backward_head(const AttentionGradientArgs& args, size_t head,
                   AttentionGradientScratch& scratch) {
  const AttentionArgs& forward = args.forward;
  const size_t lanes = hn::Lanes(DF()), length = forward.k.rows(), head_dim = forward.head_dim,
               dim = round_up(head_dim, lanes), col = head * head_dim;
  const size_t block = HWY_MIN(kKeyBlock, length), block_padded = round_up(block, lanes);
  scratch.keys.ensure(head_dim * key_stride(block));
  scratch.values.ensure(head_dim * key_stride(block));
  scratch.weights.ensure(kQueryBlock * block_padded);
  scratch.gradients.ensure(kQueryBlock * block_padded);
  scratch.dq.ensure(length * dim);
  scratch.dk.ensure(block * dim);
  scratch.dv.ensure(block * dim);
  scratch.levels.ensure(length);
  row_levels(args, head, scratch.levels.data());
  std::fill_n(scratch.dq.data(), length * dim, 0.0F);
  for (size_t k0 = 0; k0 < length; k0 += kKeyBlock) {
    const size_t count = HWY_MIN(kKeyBlock, length - k0), stride = key_stride(count);
    transpose_keys(forward.k.row(k0) + col, forward.k.stride(), count, head_dim, stride,
                   scratch.keys.data());
    transpose_keys(forward.v.row(k0) + col, forward.v.stride(), count, head_dim, stride,
                   scratch.values.data());
    std::fill_n(scratch.dk.data(), count * dim, 0.0F);
    std::fill_n(scratch.dv.data(), count * dim, 0.0F);
    for (size_t q0 = 0; q0 < length; q0 += kQueryBlock) {
      const size_t rows = HWY_MIN(kQueryBlock, length - q0), half = forward.window / 2;
      if (forward.window > 0 && (k0 > q0 + rows - 1 + half || k0 + count + half <= q0)) continue;
      gradient_tile(args, head, q0, rows, k0, count, scratch);
    }
    store_head(scratch.dk.data(), dim, count, head, head_dim, args.dk.row_range(k0, count));
    store_head(scratch.dv.data(), dim, count, head, head_dim, args.dv.row_range(k0, count));
  }
  store_head(scratch.dq.data(), dim, length, head, head_dim, args.dq);
}

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace akin::kernels {

HWY_EXPORT(backward_head);

void attention_backward(const AttentionGradientArgs& args, size_t head,
                        AttentionGradientScratch& scratch) {
  if (args.forward.k.rows() == 0) return;
  HWY_DYNAMIC_DISPATCH(backward_head)(args, head, scratch);
}

}  // namespace akin::kernels
#endif  // HWY_ONCE
