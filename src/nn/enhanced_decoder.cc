#include "nn/enhanced_decoder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "nn/torch_ops.h"
#include "nn/torch_positions.h"

namespace akin::nn {
namespace {

// Places of dropout, away from those of the encoder's layers.
constexpr uint64_t kPlaces = uint64_t{1} << 22;
enum Place : uint64_t { kEmbedded = kPlaces, kWeights, kAttended, kFed };

// 0 where a row sees a column, else -infinity: [L, L].
at::Tensor visibility_bias(const std::vector<uint8_t>& visible, int64_t length,
                           const at::Tensor& like) {
  AKIN_CHECK(visible.size() == static_cast<size_t>(length * length));
  at::Tensor out = at::empty({length, length}, at::kFloat);
  std::transform(visible.begin(), visible.end(), out.data_ptr<float>(), [](uint8_t seen) {
    return seen != 0 ? 0.0F : -std::numeric_limits<float>::infinity();
  });
  return out.to(like.options());
}

}  // namespace

EnhancedDecoder::EnhancedDecoder(const ArchSpec& arch, const StackOptions& numbers,
                                 const NewWeights& weights)
    : arch_(arch), numbers_(numbers) {
  if (arch.position != PositionKind::absolute && arch.position != PositionKind::rotary) {
    throw_error(ErrorKind::unsupported, arch.family,
                "RetroMAE's decoder needs learned or rotary positions; pre-train this model with "
                "objective = \"mlm\"");
  }
  const int64_t hidden = arch.hidden, width = arch.heads * arch.head_dim, ffn = arch.ffn_hidden;
  const auto add = [&](Parameter parameter) {
    own_[parameter.name] = parameter.value;
    parameters_.push_back(std::move(parameter));
  };
  const auto linear = [&](const std::string& name, int64_t out, int64_t in) {
    add(weights.matrix("decoder." + name + ".weight", out, in));
    add(weights.vector("decoder." + name + ".bias", out, 0));
  };
  for (const char* name : {"attn.q", "attn.k", "attn.v"}) linear(name, width, hidden);
  linear("attn.out", hidden, width);
  linear("ffn.up", ffn, hidden);
  linear("ffn.down", hidden, ffn);
  for (const char* name : {"attn.norm", "ffn.norm"}) {
    add(weights.vector(std::string("decoder.") + name + ".weight", hidden, 1));
    add(weights.vector(std::string("decoder.") + name + ".bias", hidden, 0));
  }
}

at::Tensor EnhancedDecoder::weight(std::string_view name) const {
  return tensor_at(own_, fmt::format("decoder.{}", name));
}

at::Tensor EnhancedDecoder::dropped(const Input& in, const at::Tensor& x, uint64_t place) const {
  if (numbers_.dropout <= 0 || in.seed.seed == 0) return x;
  return drop(x, dropout_keys(in.seed, in.texts, place).to(x.device()), numbers_.dropout);
}

at::Tensor EnhancedDecoder::norm(std::string_view name, const at::Tensor& x) const {
  return at::layer_norm(x, {arch_.hidden}, weight(fmt::format("{}.weight", name)),
                        weight(fmt::format("{}.bias", name)), static_cast<double>(arch_.norm_eps));
}

// The model's own embeddings of the tokens, [T, D].
at::Tensor EnhancedDecoder::embed(const Input& in, const at::Tensor& positions) const {
  const at::Tensor& table = tensor_at(in.weights, "embed.token");
  const at::Tensor ids =
      at::tensor(std::vector<int64_t>(in.texts.ids.begin(), in.texts.ids.end()), at::kLong)
          .to(table.device());
  at::Tensor x = at::embedding(table, ids, -1, false, /*sparse=*/table.device().is_cpu());
  if (const at::Tensor places = tensor_or_none(in.weights, "embed.position"); places.defined()) {
    x = x + places.index_select(0, positions + arch_.position_offset);
  }
  if (const at::Tensor types = tensor_or_none(in.weights, "embed.type"); types.defined()) {
    x = x + types[0];
  }
  if (const at::Tensor gamma = tensor_or_none(in.weights, "embed.norm.weight"); gamma.defined()) {
    x = norm_rows(arch_, x, gamma, tensor_or_none(in.weights, "embed.norm.bias"));
  }
  return dropped(in, x, kEmbedded);
}

at::Tensor EnhancedDecoder::attend(const Input& in, const at::Tensor& queries,
                                   const at::Tensor& keys, const at::Tensor& positions) const {
  const auto heads_of = [&](const char* name, const at::Tensor& x) {
    return linear_rows(x, weight(fmt::format("{}.weight", name)),
                       weight(fmt::format("{}.bias", name)))
        .view({-1, arch_.heads, arch_.head_dim});
  };
  at::Tensor q = heads_of("attn.q", queries), k = heads_of("attn.k", keys);
  const at::Tensor v = heads_of("attn.v", keys);
  if (arch_.position == PositionKind::rotary && positions.numel() > 0) {
    const int64_t dim = arch_.rotary_dim == 0 ? arch_.head_dim : arch_.rotary_dim;
    const RotaryAngles angles =
        rotary_angles(positions.max().item<int64_t>() + 1, dim, arch_.rotary_base);
    const auto rows = [&](const at::Tensor& table) {
      return table.to(q.options()).index_select(0, positions).unsqueeze(1);
    };
    const at::Tensor cosine = rows(angles.cosine), sine = rows(angles.sine);
    q = rotate(q, cosine, sine, arch_.rotary_interleaved);
    k = rotate(k, cosine, sine, arch_.rotary_interleaved);
  }
  q = q * static_cast<double>(arch_.resolved_attention_scale());
  std::vector<at::Tensor> contexts;
  for (size_t b = 0; b < in.texts.size(); ++b) {
    const auto begin = static_cast<int64_t>(in.texts.offsets[b]);
    const auto length = static_cast<int64_t>(in.texts.text(b).size());
    const auto rows = [&](const at::Tensor& x) {
      return x.narrow(0, begin, length).transpose(0, 1);  // [H, L, d]
    };
    at::Tensor scores = at::matmul(rows(q), rows(k).transpose(1, 2));
    if (!in.visible.empty()) scores = scores + visibility_bias(in.visible[b], length, scores);
    at::Tensor shares = at::softmax(scores, -1);
    if (numbers_.attention_dropout > 0 && in.seed.seed != 0) {
      const at::Tensor of_text = dropout_keys(in.seed, {b}, {length}, arch_.heads, kWeights);
      shares = drop(shares, of_text.to(shares.device()), numbers_.attention_dropout);
    }
    contexts.push_back(at::matmul(shares, rows(v)).transpose(0, 1));
  }
  return at::cat(contexts).reshape({-1, arch_.heads * arch_.head_dim});
}

at::Tensor EnhancedDecoder::forward(const Input& in) const {
  const at::Device device = in.sentences.device();
  std::vector<int64_t> place, text;
  for (size_t b = 0; b < in.texts.size(); ++b) {
    for (size_t i = 0; i < in.texts.text(b).size(); ++i) {
      place.push_back(static_cast<int64_t>(i));
      text.push_back(static_cast<int64_t>(b));
    }
  }
  const at::Tensor positions = at::tensor(place, at::kLong).to(device);
  const at::Tensor sentence = in.sentences.index_select(0, at::tensor(text, at::kLong).to(device));
  const at::Tensor first = positions.eq(0).unsqueeze(1);
  const at::Tensor keys = at::where(first, sentence, embed(in, positions));
  at::Tensor queries = keys;
  if (!in.visible.empty()) {
    queries = sentence;
    if (const at::Tensor table = tensor_or_none(in.weights, "embed.position"); table.defined()) {
      queries = queries + table.index_select(0, positions + arch_.position_offset);
    }
  }
  const auto linear = [&](const char* name, const at::Tensor& x) {
    return linear_rows(x, weight(fmt::format("{}.weight", name)),
                       weight(fmt::format("{}.bias", name)));
  };
  const at::Tensor attended = linear("attn.out", attend(in, queries, keys, positions));
  const at::Tensor middle = norm("attn.norm", dropped(in, attended, kAttended) + queries);
  const at::Tensor fed =
      linear("ffn.down", activate_rows(linear("ffn.up", middle), arch_.activation));
  return norm("ffn.norm", dropped(in, fed, kFed) + middle);
}

}  // namespace akin::nn
