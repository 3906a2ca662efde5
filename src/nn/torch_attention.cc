#include "nn/torch_attention.h"

#include <ATen/ATen.h>
#include <torch/version.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "nn/torch_positions.h"

namespace akin::nn {
namespace {

constexpr int64_t kMaxScores = int64_t{1} << 24;  // elements of one group's [n, H, L, L]
constexpr double kShortestShare = 0.8;            // of the longest text of a padded group

at::Tensor plus(const at::Tensor& a, const at::Tensor& b) {
  if (!a.defined()) return b;
  return b.defined() ? a + b : a;
}

}  // namespace

TorchAttention::TorchAttention(const ArchSpec& arch, const TokenBatch& batch,
                               const at::Tensor& like)
    : arch_(arch) {
  std::vector<uint64_t> order(batch.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](uint64_t a, uint64_t b) {
    return batch.text(a).size() > batch.text(b).size();
  });
  const double share = like.is_cpu() ? 1.0 : kShortestShare;
  std::vector<int64_t> place_of(batch.tokens());
  for (size_t i = 0; i < order.size();) {
    const auto longest = static_cast<int64_t>(batch.text(order[i]).size());
    if (longest == 0) break;
    const int64_t most = std::max<int64_t>(1, kMaxScores / (arch.heads * longest * longest));
    std::vector<uint64_t> texts;
    for (; i < order.size() && static_cast<int64_t>(texts.size()) < most; ++i) {
      const size_t length = batch.text(order[i]).size();
      if (length == 0 || static_cast<double>(length) < share * static_cast<double>(longest)) break;
      texts.push_back(order[i]);
    }
    groups_.push_back(make_group(batch, std::move(texts), like, place_of));
  }
  places_ = at::tensor(place_of, at::kLong).to(like.device());
}

TorchAttention::Group TorchAttention::make_group(const TokenBatch& batch,
                                                 std::vector<uint64_t> texts,
                                                 const at::Tensor& like,
                                                 std::vector<int64_t>& place_of) const {
  Group group;
  group.length = static_cast<int64_t>(batch.text(texts.front()).size());
  int64_t first = 0;
  for (const Group& before : groups_) first += before.rows.size(0);
  const auto count = static_cast<int64_t>(texts.size());
  std::vector<int64_t> rows(static_cast<size_t>(count * group.length), 0);
  at::Tensor padding = at::zeros({count, 1, 1, group.length}, at::kFloat);
  bool padded = false;
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t text = texts[static_cast<size_t>(i)];
    const auto length = static_cast<int64_t>(batch.text(text).size());
    for (int64_t t = 0; t < length; ++t) {
      const int64_t token = batch.offsets[text] + t, place = i * group.length + t;
      rows[static_cast<size_t>(place)] = token;
      place_of[static_cast<size_t>(token)] = first + place;
    }
    if (length == group.length) continue;
    padding[i]
        .narrow(-1, length, group.length - length)
        .fill_(-std::numeric_limits<float>::infinity());
    padded = true;
  }
  group.texts = std::move(texts);
  group.rows = at::tensor(rows, at::kLong).to(like.device());
  if (padded) group.padding = padding.to(like.options());
  if (arch_.position == PositionKind::alibi)
    group.bias = alibi_bias(group.length, arch_.heads).to(like.options());
  if (arch_.position == PositionKind::relative_bias) {
    group.relative_rows =
        relative_bias_rows(group.length, arch_.relative_buckets, arch_.relative_max_distance)
            .to(like.device());
  }
  if (arch_.local_window > 0)
    group.window = window_bias(group.length, arch_.local_window).to(like.options());
  return group;
}

at::Tensor TorchAttention::total_bias(const Group& group, const Args& args) const {
  at::Tensor bias = group.bias;
  if (args.relative_bias.defined() && group.relative_rows.defined()) {
    bias = plus(bias, args.relative_bias.index_select(0, group.relative_rows)
                          .view({group.length, group.length, arch_.heads})
                          .permute({2, 0, 1}));
  }
  if (args.local) bias = plus(bias, group.window);
  return plus(group.padding, bias);
}

at::Tensor TorchAttention::attend(const Group& group, const Args& args) const {
  const auto count = static_cast<int64_t>(group.texts.size());
  const at::Tensor qkv = args.qkv.index_select(0, group.rows)
                             .view({count, group.length, 3, arch_.heads, arch_.head_dim})
                             .permute({2, 0, 3, 1, 4});  // [3, n, H, L, d]
  const double scale = static_cast<double>(arch_.resolved_attention_scale());
  at::Tensor bias = total_bias(group, args);
  if (bias.defined()) bias = bias.to(qkv.scalar_type());
  const bool drops = args.dropout > 0 && args.seed.seed != 0;
#if TORCH_VERSION_MAJOR >= 2
  if (!drops && qkv.is_cuda()) {
    // Its own scale is 1 / sqrt(d); what differs goes into q.
    const double own = 1.0 / std::sqrt(static_cast<double>(arch_.head_dim));
    const c10::optional<at::Tensor> mask =
        bias.defined() ? c10::optional<at::Tensor>(
                             bias.expand({count, arch_.heads, group.length, group.length}))
                       : c10::optional<at::Tensor>();
    return at::scaled_dot_product_attention(qkv[0] * (scale / own), qkv[1], qkv[2], mask, 0.0,
                                            false)
        .transpose(1, 2)
        .reshape({count * group.length, arch_.heads, arch_.head_dim});
  }
#endif
  at::Tensor scores = at::matmul(qkv[0] * scale, qkv[1].transpose(-1, -2));
  if (bias.defined()) scores = scores + bias;
  const auto wide = scores.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  at::Tensor weights = at::softmax(scores, -1, wide);
  if (drops) {
    const std::vector<int64_t> rows(group.texts.size(), group.length);
    const at::Tensor keys = dropout_keys(args.seed, group.texts, rows, arch_.heads, args.place);
    weights = drop(weights, keys.to(weights.device()), args.dropout);
  }
  return at::matmul(weights.to(qkv.scalar_type()), qkv[2])
      .transpose(1, 2)
      .reshape({count * group.length, arch_.heads, arch_.head_dim});
}

at::Tensor TorchAttention::run(const Args& args) const {
  if (groups_.empty()) return args.qkv.select(1, 0);
  std::vector<at::Tensor> outs;
  outs.reserve(groups_.size());
  for (const Group& group : groups_) outs.push_back(attend(group, args));
  return at::cat(outs, 0).index_select(0, places_);
}

}  // namespace akin::nn
