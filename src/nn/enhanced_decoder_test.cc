// RetroMAE's decoder against its formula in double loops, for both kinds of decoding; gradients
// against central differences of that.
//
// Shapes: L tokens of a text, D hidden, H heads, d head_dim, F ffn_hidden.
#include "nn/enhanced_decoder.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

#include "base/error.h"
#include "base/rng.h"

namespace akin::nn {
namespace {

constexpr int64_t kHidden = 8, kHeads = 2, kFfn = 12, kVocabulary = 11, kPositions = 9;
using Values = std::map<std::string, std::vector<double>>;
using Row = std::vector<double>;
using Rows = std::vector<Row>;

ArchSpec make_arch() {
  ArchSpec arch;
  arch.family = "test";
  arch.vocab_size = kVocabulary;
  arch.hidden = kHidden;
  arch.heads = kHeads;
  arch.head_dim = kHidden / kHeads;
  arch.ffn_hidden = kFfn;
  arch.max_positions = kPositions;
  arch.type_vocab = 2;
  return arch;
}

struct Case {
  ArchSpec arch = make_arch();
  TokenBatch texts;
  std::vector<std::vector<uint8_t>> visible;
  NamedTensors weights;
  at::Tensor sentences, out_weights;

  Case() {
    texts.ids = {2, 5, 7, 9, 3, 2, 4, 10, 3};
    texts.offsets = {0, 5, 9};
    Rng rng(6);
    for (const size_t length : {size_t{5}, size_t{4}}) {
      std::vector<uint8_t> seen(length * length);
      for (size_t i = 0; i < length; ++i) {
        for (size_t j = 0; j < length; ++j) seen[i * length + j] = j != i && rng.below(2) == 0;
        if (i > 0) seen[i * length] = 1;
        if (i + 1 < length) seen[i * length + length - 1] = 1;
      }
      visible.push_back(seen);
    }
    const auto add = [&](const std::string& name, std::vector<int64_t> shape, double deviation,
                         double mean) {
      at::Tensor value = at::empty(shape, at::kFloat);
      for (int64_t i = 0; i < value.numel(); ++i) {
        value.data_ptr<float>()[i] = static_cast<float>(mean + deviation * rng.normal());
      }
      weights[name] = value.set_requires_grad(true);
      return value;
    };
    add("embed.token", {kVocabulary, kHidden}, 0.7, 0);
    add("embed.position", {kPositions, kHidden}, 0.7, 0);
    add("embed.type", {2, kHidden}, 0.7, 0);
    add("embed.norm.weight", {kHidden}, 0.1, 1);
    add("embed.norm.bias", {kHidden}, 0.1, 0);
    sentences = add("sentences", {2, kHidden}, 0.7, 0);
    out_weights = add("out", {9, kHidden}, 1, 0).detach();
    weights.erase("out");
  }
};

Values doubles(const NamedTensors& tensors, const std::vector<Parameter>& parameters) {
  Values out;
  const auto add = [&](const std::string& name, const at::Tensor& value) {
    const at::Tensor flat = value.detach().contiguous();
    out[name].assign(flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel());
  };
  for (const auto& [name, value] : tensors) add(name, value);
  for (const auto& parameter : parameters) add(parameter.name, parameter.value);
  return out;
}

class Naive {
 public:
  Naive(const Case& c, const Values& values) : c_(c), values_(values) {}

  double loss(bool enhanced) const {
    double sum = 0;
    for (size_t b = 0; b < c_.texts.size(); ++b) {
      const Rows rows = text(b, enhanced);
      for (size_t i = 0; i < rows.size(); ++i) {
        for (size_t d = 0; d < kHidden; ++d) {
          const auto at = static_cast<int64_t>((c_.texts.offsets[b] + i) * kHidden + d);
          sum += rows[i][d] * c_.out_weights.data_ptr<float>()[at];
        }
      }
    }
    return sum;
  }

 private:
  Row row(const std::string& name, size_t r) const {
    const auto begin = values_.at(name).begin() + static_cast<ptrdiff_t>(r * kHidden);
    return {begin, begin + kHidden};
  }
  static Row sum(const Row& a, const Row& b) {
    Row out = a;
    for (size_t i = 0; i < a.size(); ++i) out[i] += b[i];
    return out;
  }
  Row norm(const std::string& name, const Row& x) const {
    double mean = 0, square = 0;
    for (const double value : x) mean += value / static_cast<double>(x.size());
    for (const double value : x) square += (value - mean) * (value - mean);
    const double sigma =
        std::sqrt(square / static_cast<double>(x.size()) + static_cast<double>(c_.arch.norm_eps));
    Row out(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      out[i] =
          (x[i] - mean) / sigma * values_.at(name + ".weight")[i] + values_.at(name + ".bias")[i];
    }
    return out;
  }
  Row linear(const std::string& name, const Row& x) const {
    Row out = values_.at("decoder." + name + ".bias");
    const Row& weight = values_.at("decoder." + name + ".weight");
    for (size_t o = 0; o < out.size(); ++o) {
      for (size_t i = 0; i < x.size(); ++i) out[o] += weight[o * x.size() + i] * x[i];
    }
    return out;
  }

  Rows text(size_t b, bool enhanced) const {
    const auto ids = c_.texts.text(b);
    const size_t length = ids.size();
    const Row sentence = row("sentences", b);
    Rows keys, queries;
    for (size_t i = 0; i < length; ++i) {
      const Row embedded =
          norm("embed.norm",
               sum(sum(row("embed.token", static_cast<size_t>(ids[i])), row("embed.position", i)),
                   row("embed.type", 0)));
      keys.push_back(i == 0 ? sentence : embedded);
      queries.push_back(enhanced ? sum(sentence, row("embed.position", i)) : keys.back());
    }
    Rows out;
    for (size_t i = 0; i < length; ++i) {
      const Row attended = linear("attn.out", attend(b, i, queries[i], keys, enhanced));
      const Row middle = norm("decoder.attn.norm", sum(attended, queries[i]));
      Row wide = linear("ffn.up", middle);
      for (double& x : wide) x = 0.5 * x * std::erfc(-x / std::sqrt(2.0));
      out.push_back(norm("decoder.ffn.norm", sum(linear("ffn.down", wide), middle)));
    }
    return out;
  }
  Row attend(size_t b, size_t i, const Row& query, const Rows& keys, bool enhanced) const {
    constexpr size_t kDim = kHidden / kHeads;
    const Row q = linear("attn.q", query);
    Row out(kHidden, 0.0);
    for (size_t h = 0; h < kHeads; ++h) {
      double total = 0;
      Row mixed(kDim, 0.0);
      for (size_t j = 0; j < keys.size(); ++j) {
        if (enhanced && c_.visible[b][i * keys.size() + j] == 0) continue;
        const Row k = linear("attn.k", keys[j]), v = linear("attn.v", keys[j]);
        double score = 0;
        for (size_t d = 0; d < kDim; ++d) score += q[h * kDim + d] * k[h * kDim + d];
        const double weight = std::exp(score / std::sqrt(static_cast<double>(kDim)));
        total += weight;
        for (size_t d = 0; d < kDim; ++d) mixed[d] += weight * v[h * kDim + d];
      }
      for (size_t d = 0; d < kDim; ++d) out[h * kDim + d] = mixed[d] / total;
    }
    return out;
  }

  const Case& c_;
  const Values& values_;
};

class Decoder : public testing::TestWithParam<bool> {};

TEST_P(Decoder, EqualsItsFormula) {
  const bool enhanced = GetParam();
  Case c;
  NewWeights weights;
  weights.deviation = 0.4;
  const EnhancedDecoder decoder(c.arch, {}, weights);
  const at::Tensor out =
      decoder.forward({c.weights,
                       c.sentences,
                       c.texts,
                       enhanced ? std::span<const std::vector<uint8_t>>(c.visible)
                                : std::span<const std::vector<uint8_t>>(),
                       {}});
  const at::Tensor loss = (out * c.out_weights).sum();
  Values values = doubles(c.weights, decoder.parameters());
  const double expected = Naive(c, values).loss(enhanced);
  EXPECT_NEAR(loss.item<double>(), expected, 1e-4);
  loss.backward();
  const auto check = [&](const std::string& name, const at::Tensor& value) {
    const at::Tensor gradient = value.grad().is_sparse() ? value.grad().to_dense() : value.grad();
    ASSERT_TRUE(gradient.defined()) << name;
    constexpr double kStep = 1e-4;
    for (size_t n = 0; n < 6; ++n) {
      const size_t at = (n * 7 + 1) % values[name].size();
      double& x = values[name][at];
      const double kept = x;
      x = kept + kStep;
      const double above = Naive(c, values).loss(enhanced);
      x = kept - kStep;
      const double below = Naive(c, values).loss(enhanced);
      x = kept;
      EXPECT_NEAR(gradient.contiguous().data_ptr<float>()[at], (above - below) / (2 * kStep), 2e-3)
          << name << " " << at;
    }
  };
  for (const auto& [name, value] : c.weights) check(name, value);
  for (const auto& parameter : decoder.parameters()) check(parameter.name, parameter.value);
}

INSTANTIATE_TEST_SUITE_P(Decodings, Decoder, testing::Bool());

TEST(DecoderModels, RefusesOtherPositions) {
  ArchSpec arch = make_arch();
  arch.position = PositionKind::alibi;
  EXPECT_THROW(EnhancedDecoder(arch, {}, {}), Error);
}

// The head's cross-entropy is that of torch, gradients too.
TEST(MlmHead, LossIsCrossEntropy) {
  Case c;
  NewWeights weights;
  weights.deviation = 0.4;
  const MlmHead head(c.arch, weights);
  ThreadPool pool(2);
  const at::Tensor table = c.weights.at("embed.token");
  const std::vector<int32_t> labels = {3, 10};
  const at::Tensor loss = head.loss(head.transform(c.sentences), table, labels, pool);
  const at::Tensor logits =
      at::addmm(head.parameters().back().value, head.transform(c.sentences), table.t());
  const at::Tensor expected =
      at::nll_loss(at::log_softmax(logits, 1), at::tensor({int64_t{3}, int64_t{10}}, at::kLong));
  EXPECT_NEAR(loss.item<double>(), expected.item<double>(), 1e-5);
  (loss * 2).backward();
  const at::Tensor got = table.grad().clone(), got_rows = c.sentences.grad().clone();
  table.mutable_grad().reset();
  c.sentences.mutable_grad().reset();
  (expected * 2).backward();
  EXPECT_LT((got - table.grad()).abs().max().item<double>(), 1e-5);
  EXPECT_LT((got_rows - c.sentences.grad()).abs().max().item<double>(), 1e-5);
}

}  // namespace
}  // namespace akin::nn
