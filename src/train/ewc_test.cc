// Elastic weight consolidation: what the penalty is and does, and the Fisher information against
// gradients taken by differences, one text at a time.
#include "train/ewc.h"

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"
#include "train/adamw.h"
#include "train/fisher.h"
#include "train/movement.h"
#include "train/step.h"

namespace akin::train {
namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path path = fs::temp_directory_path() / fmt::format("akin_ewc_test_{}", getpid());
  Folder() { fs::create_directories(path); }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

at::Tensor values(std::vector<int64_t> shape, uint64_t seed, bool positive = false) {
  at::Tensor out = at::empty(at::IntArrayRef(shape), at::kFloat);
  Rng rng(seed);
  for (int64_t i = 0; i < out.numel(); ++i) {
    const double draw = rng.normal();
    out.data_ptr<float>()[i] = static_cast<float>(positive ? draw * draw : draw);
  }
  return out;
}

nn::Parameter parameter(const std::string& name, const at::Tensor& value) {
  nn::Parameter out;
  out.name = name;
  out.value = value.clone().requires_grad_(true);
  return out;
}

Importance some_importance() {
  Importance out;
  out.fisher = {{"a", values({4, 3}, 1, true)}, {"table", values({6, 3}, 2, true)}};
  out.anchor = {{"a", values({4, 3}, 3)}, {"table", values({6, 3}, 4)}};
  normalize(out, 1);
  return out;
}

double brute_penalty(const Importance& held, const std::vector<nn::Parameter>& parameters,
                     double lambda) {
  double sum = 0;
  for (const nn::Parameter& p : parameters) {
    const at::Tensor moved = (p.value.detach() - held.anchor.at(p.name)).to(at::kDouble);
    sum += (held.fisher.at(p.name).to(at::kDouble) * moved * moved).sum().item<double>();
  }
  return lambda / 2 * sum;
}

TEST(Ewc, ThePenaltyIsInTheGradientOfDenseAndOfSparseWeights) {
  ThreadPool pool(2);
  const Importance held = some_importance();
  std::vector<nn::Parameter> parameters = {parameter("a", held.anchor.at("a") + 0.3),
                                           parameter("table", held.anchor.at("table"))};
  parameters[1].value.detach()[4].add_(0.5);  // this row is away from its anchor
  parameters[0].value.mutable_grad() = at::ones({4, 3});
  const at::Tensor rows = at::tensor({1, 2}, at::kLong).unsqueeze(0);
  parameters[1].value.mutable_grad() =
      at::sparse_coo_tensor(rows, at::ones({2, 3}), {6, 3}, at::kFloat);
  Ewc ewc(held, parameters, {}, 7, pool);
  const double penalty = ewc.add(parameters);
  EXPECT_NEAR(penalty, brute_penalty(held, parameters, 7), 1e-6);
  const at::Tensor dense = 1 + 7 * held.fisher.at("a") * 0.3;
  EXPECT_LT((parameters[0].value.grad() - dense).abs().max().item<double>(), 1e-6);
  const at::Tensor sparse = parameters[1].value.grad();
  ASSERT_TRUE(sparse.is_sparse());
  EXPECT_TRUE(sparse._indices()[0].equal(at::tensor({1, 2, 4}, at::kLong)));
  EXPECT_LT((sparse._values()[2] - 7 * held.fisher.at("table")[4] * 0.5).abs().max().item<double>(),
            1e-6);
  EXPECT_TRUE(sparse._values()[0].equal(at::ones({3})));
}

TEST(Ewc, AnInfiniteLambdaKeepsTheOldWeights) {
  ThreadPool pool(1);
  for (const double lambda : {0.0, 1e9}) {
    Importance held;
    held.fisher = {{"a", values({40}, 1, true) + 0.01}};
    held.anchor = {{"a", values({40}, 3)}};
    normalize(held, 1);
    std::vector<nn::Parameter> parameters = {parameter("a", held.anchor.at("a"))};
    AdamW optimizer(parameters, {}, pool);
    Ewc ewc(held, parameters, {}, lambda, pool);
    constexpr double kRate = 1e-3;
    for (int step = 0; step < 500; ++step) {  // new data that wants every weight at 5
      parameters[0].value.mutable_grad() = parameters[0].value.detach() - 5;
      if (lambda > 0) ewc.add(parameters);
      optimizer.step(kRate);
    }
    const double moved =
        (parameters[0].value.detach() - held.anchor.at("a")).abs().max().item<double>();
    if (lambda > 0) {
      EXPECT_LT(moved, 5 * kRate);
    } else {
      EXPECT_GT(moved, 100 * kRate);
    }
  }
}

TEST(Ewc, LambdaMeansTheSameWhateverTheScales) {
  ThreadPool pool(1);
  const auto penalty_of = [&](float weights, float fisher, int64_t copies) {
    Importance held;
    held.fisher["a"] = (values({50}, 1, true) * fisher).repeat({copies});
    held.anchor["a"] = (values({50}, 2) * weights).repeat({copies});
    normalize(held, 1);
    std::vector<nn::Parameter> parameters = {parameter("a", held.anchor.at("a") * 1.01)};
    return Ewc(held, parameters, {}, 1000, pool).add(parameters);
  };
  EXPECT_NEAR(penalty_of(1, 1, 1), 0.05, 1e-4);  // 1 % of every weight: lambda / 20,000
  EXPECT_NEAR(penalty_of(30, 1e-6F, 9), 0.05, 1e-4);
}

TEST(Ewc, StagesAreSummedExactlyOrFade) {
  ThreadPool pool(1);
  const Importance one = some_importance();
  Importance two = some_importance();
  two.anchor["a"] = two.anchor["a"] + 1;
  two.fisher["a"] = values({4, 3}, 9, true);
  const Importance sum = combine(one, two, KeepFisher::sum, 0);
  const auto at_place = [&](const Importance& held, uint64_t seed) {
    std::vector<nn::Parameter> parameters = {parameter("a", values({4, 3}, seed)),
                                             parameter("table", values({6, 3}, seed + 1))};
    return brute_penalty(held, parameters, 3);
  };
  const double constant = at_place(one, 20) + at_place(two, 20) - at_place(sum, 20);
  EXPECT_NEAR(at_place(one, 31) + at_place(two, 31) - at_place(sum, 31), constant, 1e-3);

  const Importance online = combine(one, two, KeepFisher::online, 0.5);
  EXPECT_TRUE(online.anchor.at("a").equal(two.anchor.at("a")));
  EXPECT_LT((online.fisher.at("a") - (one.fisher.at("a") * 0.5 + two.fisher.at("a")))
                .abs()
                .max()
                .item<double>(),
            1e-6);
}

TEST(Ewc, FilesComeBackAndForeignOnesAreRefused) {
  const Folder folder;
  Importance written = some_importance();
  written.about["stages"] = {{{"queries", 12}}};
  write_importance(folder.path / "f.safetensors", written);
  const Importance read = read_importance(folder.path / "f.safetensors");
  EXPECT_TRUE(read.fisher.at("a").equal(written.fisher.at("a")));
  EXPECT_TRUE(read.anchor.at("table").equal(written.anchor.at("table")));
  EXPECT_EQ(read.about, written.about);

  ThreadPool pool(1);
  const std::vector<nn::Parameter> other = {parameter("b", values({4, 3}, 1))},
                                   shape = {parameter("a", values({4, 4}, 1))};
  EXPECT_THROW(Ewc(read, other, {}, 1, pool), Error);
  EXPECT_THROW(Ewc(read, shape, {}, 1, pool), Error);
  Importance nothing = some_importance();
  for (auto& [name, fisher] : nothing.fisher) fisher.zero_();
  EXPECT_THROW(normalize(nothing, 1), Error);
}

// A tiny model, a batch of pairs, and ln p of one text by the definition.
class FisherTest : public testing::TestWithParam<const char*> {
 protected:
  FisherTest() {
    std::string vocab;
    const char* const words[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "ka", "ri", "la", "pa"};
    for (size_t i = 0; i < std::size(words); ++i)
      vocab += fmt::format("{}\"{}\": {}", i > 0 ? ", " : "", words[i], i);
    write_file(folder_.path / "tokenizer.json", fmt::format(R"({{"version": "1.0",
"added_tokens": [], "normalizer": null, "pre_tokenizer": {{"type": "Whitespace"}},
"post_processor": null, "decoder": null, "model": {{"type": "WordPiece", "unk_token": "[UNK]",
"continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {{{}}}}}}})",
                                                            vocab));
    nn::ScratchSpec spec;
    spec.family = GetParam();
    spec.layers = 1;
    spec.hidden = 8;
    spec.heads = 2;
    spec.ffn_hidden = 8;
    spec.max_positions = 8;
    spec.init_std = 0.4;
    spec.tokenizer = folder_.path / "tokenizer.json";
    nn::TextModelOptions options;
    options.threads = 1;
    options.numbers.dropout = 0.3;  // must not matter
    model_ = nn::TextModel::from_scratch(spec, options);
    const std::vector<std::vector<int32_t>> texts = {{4, 5}, {6},    {7, 4, 5},
                                                     {5, 7}, {6, 6}, {4, 7}};
    batch_.rows = 3;
    for (const auto& ids : texts) {
      batch_.texts.ids.insert(batch_.texts.ids.end(), ids.begin(), ids.end());
      batch_.texts.offsets.push_back(static_cast<uint32_t>(batch_.texts.ids.size()));
      batch_.texts.prompt_tokens.push_back(0);
      batch_.text_ids.push_back(static_cast<int64_t>(batch_.text_ids.size()));
    }
  }

  at::Tensor vectors() {
    const at::NoGradGuard no_graph;
    model_->parameters_changed();
    const at::Tensor all = model_->embed(batch_.texts, {}).to(at::kDouble);
    return all / all.norm(2, 1, true);
  }
  // ln p of text i's own partner among `fixed` candidates, with the weights as they are now.
  double log_p(size_t i, const at::Tensor& fixed) {
    const int64_t side = i < 3 ? 3 : 0, own = static_cast<int64_t>(i % 3);
    const at::Tensor logits = at::matmul(fixed.narrow(0, side, 3), vectors()[i]) / kTemperature;
    return (logits[own] - logits.logsumexp(0)).item<double>();
  }

  static constexpr double kTemperature = 0.2;
  Folder folder_;
  std::unique_ptr<nn::TextModel> model_;
  data::TrainBatch batch_;
};

TEST_P(FisherTest, EqualsSquaredDifferencesTextByText) {
  FisherEstimate estimate(*model_, FisherLabels::empirical, 1);
  estimate.add(batch_, kTemperature);
  estimate.add(batch_, kTemperature);  // the same again: the mean stays
  EXPECT_EQ(estimate.queries(), 6U);
  const Importance found = estimate.finish();
  const at::Tensor fixed = vectors();
  Rng rng(5);
  for (nn::Parameter& p : model_->parameters()) {
    const at::Tensor& fisher = found.fisher.at(p.name);
    const double most = fisher.max().item<double>();
    for (int n = 0; n < 6; ++n) {
      const auto at_place = static_cast<int64_t>(rng.below(static_cast<uint64_t>(fisher.numel())));
      float& weight = p.value.data_ptr<float>()[at_place];
      const float value = weight;
      constexpr float kStep = 4e-3F;
      double sum = 0;
      for (size_t i = 0; i < 6; ++i) {
        weight = value + kStep;
        const double up = log_p(i, fixed);
        weight = value - kStep;
        const double slope = (up - log_p(i, fixed)) / (2 * static_cast<double>(kStep));
        weight = value;
        sum += slope * slope / 3;
      }
      EXPECT_NEAR(fisher.data_ptr<float>()[at_place], sum, 0.02 * most + 1e-4)
          << p.name << " " << at_place;
    }
  }
  model_->parameters_changed();
}

TEST_P(FisherTest, SampledLabelsAreDrawnFromTheModel) {
  FisherEstimate one(*model_, FisherLabels::sampled, 1), again(*model_, FisherLabels::sampled, 1),
      other(*model_, FisherLabels::sampled, 2);
  for (FisherEstimate* estimate : {&one, &again, &other}) estimate->add(batch_, kTemperature);
  const std::string name = model_->parameters().front().name;
  EXPECT_TRUE(one.finish().fisher.at(name).equal(again.finish().fisher.at(name)));
  EXPECT_FALSE(one.finish().fisher.at(name).equal(other.finish().fisher.at(name)));
}

INSTANTIATE_TEST_SUITE_P(Families, FisherTest, testing::Values("bert", "static_embedding"),
                         [](const auto& family) { return std::string(family.param); });

TEST(Movement, ByLayerWithWhatHeldIt) {
  Importance held;
  held.fisher = {{"layer.0.attn.q.weight", at::full({2, 2}, 0.25)}};
  held.anchor = {{"layer.0.attn.q.weight", at::ones({2, 2})}};
  const NamedValues start = {{"layer.10.ffn.up.weight", at::ones({2})},
                             {"layer.0.attn.q.weight", at::ones({2, 2})},
                             {"embed.token", at::ones({3, 2})},
                             {"adapter.retrieval.query.layer.0.attn.q.lora_a", at::ones({1, 2})}};
  NamedValues end = start;
  end["layer.0.attn.q.weight"] = at::full({2, 2}, 1.5);
  const auto rows = movement(start, end, &held, 8);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0].group, "embed");
  EXPECT_EQ(rows[0].moved, 0);
  EXPECT_EQ(rows[1].group, "layer.0");
  EXPECT_DOUBLE_EQ(rows[1].moved, 0.5);
  EXPECT_DOUBLE_EQ(rows[1].importance, 1);
  EXPECT_DOUBLE_EQ(rows[1].held_moved, 0.5);
  EXPECT_DOUBLE_EQ(rows[1].largest, 4 * 0.25 * 0.25);
  EXPECT_EQ(rows[2].group, "layer.10");
  EXPECT_LT(rows[2].importance, 0);
  EXPECT_EQ(rows[3].group, "adapter retrieval.query");
}

}  // namespace
}  // namespace akin::train
