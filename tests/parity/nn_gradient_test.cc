// Gradients of nn/ for every family: torch operations against central differences in float64, the
// kernels against torch operations, a recomputed layer against a kept one.
#ifdef AKIN_TRAIN

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "model/model.h"
#include "nn/named_tensors.h"
#include "nn/text_model.h"
#include "nn/torch_stack.h"
#include "tiny_folder.h"

namespace akin::parity {
namespace {

std::vector<std::string> transformer_kinds() {
  std::vector<std::string> out;
  for (const std::string& kind : tiny_kinds()) {
    if (!is_static_kind(kind)) out.push_back(kind);
  }
  return out;
}

TokenBatch some_texts(const model::Model& model, size_t longest) {
  TokenBatch batch;
  Rng rng(9);
  for (const size_t words : {size_t{2}, longest, size_t{2}, size_t{5}}) {
    model.tokenizer->encode(tiny_text(rng, words), true, batch.ids);
    batch.offsets.push_back(static_cast<uint32_t>(batch.ids.size()));
    batch.prompt_tokens.push_back(0);
  }
  return batch;
}

at::Tensor noise_like(const at::Tensor& t, uint64_t seed) {
  Rng rng(seed);
  at::Tensor out = at::empty(t.sizes(), at::kDouble);
  for (int64_t i = 0; i < out.numel(); ++i) out.data_ptr<double>()[i] = rng.normal();
  return out.to(t.scalar_type());
}

class NnGradient : public testing::TestWithParam<std::string> {};
std::string kind_name(const testing::TestParamInfo<std::string>& kind) { return kind.param; }
INSTANTIATE_TEST_SUITE_P(All, NnGradient, testing::ValuesIn(transformer_kinds()), kind_name);

// The derivative along one random direction of each weight that a layer, the embeddings and the
// end have.
TEST_P(NnGradient, TorchEqualsCentralDifferences) {
  TinySpec spec;
  spec.kind = GetParam();
  spec.layers = 2;
  const TinyFolder folder(spec);
  nn::TextModelOptions options;
  options.stack = nn::StackKind::torch;
  const auto model = nn::TextModel::open(folder.path(), options);
  nn::NamedTensors weights;
  for (const nn::Parameter& p : model->parameters())
    weights[p.name] = p.value.detach().to(at::kDouble).requires_grad_(true);
  nn::StackOptions numbers;
  numbers.dropout = numbers.attention_dropout = 0.2;
  const nn::TorchStack stack(model->description().arch, numbers, /*sparse_tokens=*/false);
  const TokenBatch batch = some_texts(model->description(), 9);
  const nn::DropoutSeed seed{3, 0};
  const at::Tensor out = stack.forward(weights, batch, seed), direction = noise_like(out, 1);
  (out * direction).sum().backward();
  const auto value = [&](const nn::NamedTensors& at_weights) {
    const at::NoGradGuard no_graph;
    return (stack.forward(at_weights, batch, seed) * direction).sum().item<double>();
  };
  constexpr double kStep = 1e-6;
  for (const auto& [name, weight] : weights) {
    if (name.starts_with("layer.0.") || name.starts_with("dense.")) continue;
    const at::Tensor gradient = weight.grad(), along = noise_like(weight, 2);
    ASSERT_TRUE(gradient.defined()) << name;
    const double expected = (gradient * along).sum().item<double>();
    nn::NamedTensors moved = weights;
    moved[name] = weight.detach() + along * kStep;
    const double up = value(moved);
    moved[name] = weight.detach() - along * kStep;
    const double slope = (up - value(moved)) / (2 * kStep);
    const double size = (gradient.norm() * along.norm()).item<double>();
    EXPECT_NEAR(slope, expected, 2e-6 * std::max(1.0, size)) << name;
  }
}

// Gradients of all parameters for one batch, dense.
std::map<std::string, at::Tensor> gradients(const std::filesystem::path& folder,
                                            const nn::TextModelOptions& options, bool dropout) {
  const auto model = nn::TextModel::open(folder, options);
  nn::EmbedOptions embed;
  embed.train = true;
  embed.dropout_seed = dropout ? 11 : 0;
  const TokenBatch batch = some_texts(model->description(), 30);
  std::map<std::string, at::Tensor> out;
  for (int repeat = 0; repeat < 2; ++repeat) {  // twice: gradients add up
    const at::Tensor vectors = model->embed(batch, embed);
    (vectors * noise_like(vectors, 1)).sum().backward();
  }
  for (const nn::Parameter& p : model->parameters()) {
    if (!p.value.grad().defined()) continue;
    EXPECT_EQ(p.value.grad().is_sparse(), p.sparse_rows) << p.name;
    out[p.name] = p.sparse_rows ? p.value.grad().to_dense() : p.value.grad();
  }
  return out;
}

void expect_near(const std::map<std::string, at::Tensor>& got,
                 const std::map<std::string, at::Tensor>& expected, double tolerance) {
  double largest = 0;
  for (const auto& [name, gradient] : expected)
    largest = std::max(largest, gradient.norm().item<double>());
  for (const auto& [name, gradient] : expected) {
    ASSERT_TRUE(got.contains(name)) << name;
    // A gradient that is zero in exact arithmetic (the keys' bias) is measured by the others.
    const double size = std::max(gradient.norm().item<double>(), 1e-3 * largest);
    EXPECT_LE((got.at(name) - gradient).norm().item<double>(), tolerance * size) << name;
  }
}

TEST_P(NnGradient, KernelsEqualTorch) {
  TinySpec spec;
  spec.kind = GetParam();
  const TinyFolder folder(spec);
  nn::TextModelOptions torch, kernels;
  torch.stack = nn::StackKind::torch;
  kernels.stack = nn::StackKind::kernels;
  kernels.threads = 2;
  const auto expected = gradients(folder.path(), torch, false);
  expect_near(gradients(folder.path(), kernels, false), expected, 1e-4);
}

TEST_P(NnGradient, ARecomputedLayerChangesNothing) {
  TinySpec spec;
  spec.kind = GetParam();
  const TinyFolder folder(spec);
  nn::TextModelOptions kept, again;
  kept.stack = nn::StackKind::torch;
  kept.numbers.dropout = kept.numbers.attention_dropout = 0.1;
  again = kept;
  again.numbers.recompute = true;
  expect_near(gradients(folder.path(), again, true), gradients(folder.path(), kept, true), 1e-5);
}

}  // namespace
}  // namespace akin::parity

#endif  // AKIN_TRAIN
