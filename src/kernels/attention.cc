#include "kernels/attention.h"

#include <algorithm>
#include <cmath>

#include "kernels/matmul.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention.cc"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include "kernels/activation-inl.h"
#include "kernels/attention-inl.h"
#include "kernels/dropout-inl.h"
#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kKeyBlock = 256;   // keys per tile
constexpr size_t kQueryBlock = 24;  // queries per tile
constexpr float kMasked = -3.0e38F;

// values [count, padded] = v, aligned; columns past head_dim are zero.
void pack_values(const float* v, size_t stride, size_t count, size_t head_dim, size_t padded,
                 float* values) {
  for (size_t j = 0; j < count; ++j, v += stride, values += padded) {
    std::copy_n(v, head_dim, values);
    std::fill(values + head_dim, values + padded, 0.0F);
  }
}

// One row of raw products s[0..padded) to exp(s - max), with the largest so far; returns the
// block's sum.
HWY_INLINE float softmax_row(float* s, size_t padded, size_t lo, size_t hi, float scale,
                             const float* bias, float& running_max) {
  const DF d;
  const size_t lanes = hn::Lanes(d);
  const VF vscale = hn::Set(d, scale), masked = hn::Set(d, kMasked);
  VF largest = masked;
  for (size_t j = 0; j < padded; j += lanes) {
    VF x = hn::Mul(hn::Load(d, s + j), vscale);
    if (bias != nullptr) x = hn::Add(x, hn::LoadU(d, bias + j));
    if (j < lo) x = hn::IfThenElse(hn::FirstN(d, HWY_MIN(lo - j, lanes)), masked, x);
    if (j + lanes > hi) x = hn::IfThenElse(hn::FirstN(d, hi > j ? hi - j : 0), x, masked);
    largest = hn::Max(largest, x);
    hn::Store(x, d, s + j);
  }
  running_max = HWY_MAX(running_max, hn::GetLane(hn::MaxOfLanes(d, largest)));
  const VF max = hn::Set(d, running_max);
  VF sum = hn::Zero(d);
  for (size_t j = 0; j < padded; j += lanes) {
    const VF p = exp_of_negative(d, hn::Sub(hn::Load(d, s + j), max));
    sum = hn::Add(sum, p);
    hn::Store(p, d, s + j);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

HWY_INLINE void scale_row(float* x, size_t padded, float factor) {
  const DF d;
  for (size_t c = 0; c < padded; c += hn::Lanes(d))
    hn::Store(hn::Mul(hn::Load(d, x + c), hn::Set(d, factor)), d, x + c);
}

// Values of a tile's keys, a head's columns; behind them up to whole vectors lies anything.
struct Values {
  const float* data;
  size_t stride;
};

// Queries [q0, q0 + rows) against keys [k0, k0 + count), whose transpose is in `keys`.
void attend_tile(const AttentionArgs& args, size_t head, size_t q0, size_t rows, size_t k0,
                 size_t count, const float* keys, Values values, float* scores, float* sums,
                 float* maxima, float* totals) {
  const DF d;
  const size_t lanes = hn::Lanes(d), head_col = head * args.head_dim;
  const size_t key_padded = round_up(count, lanes), dim_padded = round_up(args.head_dim, lanes);
  product<false>(rows, key_padded / lanes, args.q.data() + q0 * args.q.stride() + head_col,
                 args.q.stride(), keys, key_stride(count), args.head_dim, false, scores,
                 key_padded);
  bool first = true;
  for (size_t r = 0; r < rows; ++r) {
    const size_t i = q0 + r;
    size_t lo = 0, hi = count;
    if (args.window > 0) {
      const size_t half = args.window / 2;
      lo = i > half + k0 ? HWY_MIN(i - half - k0, count) : 0;
      hi = i + half + 1 > k0 ? HWY_MIN(i + half + 1 - k0, count) : 0;
    }
    float* s = scores + r * key_padded;
    if (lo >= hi) {
      std::fill(s, s + key_padded, 0.0F);
      first = false;
      continue;
    }
    const float* bias = args.bias == nullptr
                            ? nullptr
                            : args.bias + head * args.bias_stride + args.bias_center + k0 - i;
    const float before = maxima[r];
    const float sum = softmax_row(s, key_padded, lo, hi, args.scale, bias, maxima[r]);
    if (totals[r] != 0.0F) {  // what came before is in terms of another maximum
      const float rescale = hn::GetLane(exp_f32(d, hn::Set(d, before - maxima[r])));
      scale_row(sums + r * dim_padded, dim_padded, rescale);
      totals[r] *= rescale;
      first = false;
    }
    totals[r] += sum;
    if (args.dropout != nullptr) {
      const auto element = static_cast<uint32_t>((head * args.k.rows() + i) * args.k.rows() + k0);
      for (size_t j = 0; j < key_padded; j += lanes) {
        hn::Store(
            drop_f32(d, hn::Load(d, s + j), *args.dropout, element + static_cast<uint32_t>(j)), d,
            s + j);
      }
    }
  }
  product<false>(rows, dim_padded / lanes, scores, key_padded, values.data, values.stride, count,
                 !first, sums, dim_padded);
}

void store_rows(const AttentionArgs& args, size_t head, size_t q0, size_t rows, const float* sums,
                size_t dim_padded, const float* maxima, const float* totals) {
  for (size_t r = 0; r < rows; ++r) {
    const float inverse = 1.0F / totals[r];
    float* out = args.out.row(q0 + r) + head * args.head_dim;
    map_lanes(args.head_dim, [&](auto d, size_t c) HWY_ATTR {
      hn::StoreU(hn::Mul(hn::LoadU(d, sums + r * dim_padded + c), hn::Set(d, inverse)), d, out + c);
    });
    if (args.log_sums != nullptr)
      args.log_sums[(q0 + r) * args.heads + head] = maxima[r] + std::log(totals[r]);
  }
}

void attention_chunk(const AttentionArgs& args, size_t head, size_t begin, size_t end,
                     AttentionScratch& scratch) {
  const size_t lanes = hn::Lanes(DF());
  const size_t length = args.k.rows(), dim_padded = round_up(args.head_dim, lanes),
               rows = end - begin, col = head * args.head_dim;
  scratch.keys.ensure(args.head_dim * key_stride(kKeyBlock));
  scratch.values.ensure(kKeyBlock * dim_padded);
  scratch.scores.ensure(kQueryBlock * kKeyBlock);
  scratch.sums.ensure(kQueryChunk * dim_padded);
  scratch.state.ensure(2 * kQueryChunk);
  float* maxima = scratch.state.data();
  float* totals = maxima + kQueryChunk;
  std::fill_n(maxima, rows, kMasked);
  std::fill_n(totals, rows, 0.0F);
  std::fill_n(scratch.sums.data(), rows * dim_padded, 0.0F);
  const size_t half = args.window / 2;
  for (size_t k0 = 0; k0 < length; k0 += kKeyBlock) {
    const size_t count = HWY_MIN(kKeyBlock, length - k0);
    if (args.window > 0 && (k0 > end - 1 + half || k0 + count + half <= begin)) continue;
    transpose_keys(args.k.row(k0) + col, args.k.stride(), count, args.head_dim, key_stride(count),
                   scratch.keys.data());
    Values values = {args.v.row(k0) + col, args.v.stride()};
    if (rows > 72) {  // read more than once: worth a copy on whole cache lines
      pack_values(values.data, values.stride, count, args.head_dim, dim_padded,
                  scratch.values.data());
      values = {scratch.values.data(), dim_padded};
    }
    for (size_t r = 0; r < rows; r += kQueryBlock) {
      attend_tile(args, head, begin + r, HWY_MIN(kQueryBlock, rows - r), k0, count,
                  scratch.keys.data(), values, scratch.scores.data(),
                  scratch.sums.data() + r * dim_padded, maxima + r, totals + r);
    }
  }
  store_rows(args, head, begin, rows, scratch.sums.data(), dim_padded, maxima, totals);
}

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace akin::kernels {

HWY_EXPORT(attention_chunk);

void attention(const AttentionArgs& args, size_t head, size_t query_begin, size_t query_end,
               AttentionScratch& scratch) {
  AKIN_CHECK(query_begin % kQueryChunk == 0 && query_end <= args.q.rows());
  for (size_t q = query_begin; q < query_end; q += kQueryChunk) {
    HWY_DYNAMIC_DISPATCH(attention_chunk)
    (args, head, q, std::min(q + kQueryChunk, query_end), scratch);
  }
}

}  // namespace akin::kernels
#endif  // HWY_ONCE
