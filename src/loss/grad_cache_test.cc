#include "loss/grad_cache.h"

#include <ATen/core/grad_mode.h>

#include "loss/advice.h"
#include "loss/matryoshka.h"
#include "loss/test_support.h"

namespace akin::loss {
namespace {

// A linear layer with dropout whose mask hangs on a seed alone.
struct Toy {
  at::Tensor inputs = noise({12, 6}, 3), weight = noise({6, 8}, 4).requires_grad_(true);
  uint64_t pass = 0;
  bool replay = true;

  at::Tensor encode(int64_t from, int64_t to, uint64_t seed) const {
    const auto keep = noise({to - from, 8}, seed).gt(-0.5);
    return inputs.slice(0, from, to).mm(weight).tanh() * keep / 0.75;
  }
  // Chunks of 5, 5 and 2 rows.
  at::Tensor chunk(size_t chunk) {
    const auto from = static_cast<int64_t>(chunk) * 5;
    const uint64_t seed = 100 + chunk + (replay ? 0 : 10 * ++pass);
    return encode(from, std::min<int64_t>(from + 5, 12), seed);
  }
  at::Tensor gradient() {
    auto out = weight.grad().clone();
    weight.mutable_grad() = at::Tensor();
    return out;
  }
};

// Six queries, then their six documents.
LossOutput loss_of(const at::Tensor& vectors) {
  static const auto loss =
      make_matryoshka(make_loss("infonce", {.temperature = 0.1}), {.dims = {4, 8}});
  LossInput in;
  in.queries = vectors.slice(0, 0, 6);
  in.documents = vectors.slice(0, 6, 12);
  return loss->forward(in);
}

TEST(GradCache, EqualsTheBigBatchWithDropout) {
  Toy toy;
  const auto cached = grad_cache(
      3,
      [&](size_t chunk, bool with_graph) {
        const at::AutoGradMode mode(with_graph);
        return toy.chunk(chunk);
      },
      loss_of);
  const auto got = toy.gradient();
  const auto whole_batch = loss_of(at::cat({toy.chunk(0), toy.chunk(1), toy.chunk(2)}));
  whole_batch.loss.backward();
  const auto expected = toy.gradient();
  EXPECT_NEAR(cached.loss.item<double>(), whole_batch.loss.item<double>(), 1e-12);
  EXPECT_FALSE(cached.loss.requires_grad());
  EXPECT_EQ(cached.negatives_per_query, 5);
  EXPECT_EQ(cached.solved, whole_batch.solved);
  EXPECT_LT((got - expected).abs().max().item<double>(), 1e-12);
  EXPECT_GT(expected.abs().max().item<double>(), 1e-3);
}

// What the check guards against: other masks in the second pass give another gradient.
TEST(GradCache, WithoutReplayTheGradientWouldBeWrong) {
  Toy toy;
  const auto encode = [&](size_t chunk, bool) { return toy.chunk(chunk); };
  grad_cache(3, encode, loss_of);
  const auto right = toy.gradient();
  auto vectors = at::cat({toy.chunk(0), toy.chunk(1), toy.chunk(2)}).detach().requires_grad_(true);
  loss_of(vectors).loss.backward();
  toy.encode(0, 12, 999).backward(vectors.grad());
  EXPECT_GT((toy.gradient() - right).abs().max().item<double>(),
            0.01 * right.abs().max().item<double>());
}

TEST(GradCache, NoticesThatDropoutIsNotReplayed) {
  Toy toy;
  toy.replay = false;
  const auto encode = [&](size_t chunk, bool) { return toy.chunk(chunk); };
  try {
    grad_cache(3, encode, loss_of);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::internal);
    EXPECT_NE(std::string(error.what()).find("dropout is not replayed"), std::string::npos);
  }
  expect_usage([&] { grad_cache(0, encode, loss_of); }, "at least one chunk");
}

std::vector<std::string> names(const DataFields& fields) {
  std::vector<std::string> out;
  for (const auto& proposal : propose_losses(fields)) {
    make_loss(proposal.loss, {});  // is a loss
    EXPECT_FALSE(proposal.reason.empty());
    out.emplace_back(proposal.loss);
  }
  return out;
}

TEST(Advice, FollowsTheFields) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(names({}), Names{});
  EXPECT_EQ(names({.records = 9, .positives = 9}), Names{"infonce"});
  EXPECT_EQ(names({.records = 9}), Names{"simcse_unsup"});
  EXPECT_EQ(names({.records = 9, .positives = 9, .positives_like_query = 9}),
            Names{"simcse_unsup"});
  EXPECT_EQ(names({.records = 9, .positives = 9, .negatives = 9}),
            (Names{"jina_triplet", "infonce", "simcse_sup"}));
  EXPECT_EQ(names({.records = 9, .positives = 9, .negatives = 9, .scores = 9}).front(),
            "kl_distill");
  EXPECT_EQ(names({.records = 9, .teacher_vectors = 9}).front(), "vector_distill");
  EXPECT_EQ(names({.records = 9, .positives = 9, .labels = 9, .label_kind = LabelKind::binary}),
            (Names{"cosent", "infonce"}));
  EXPECT_EQ(names({.records = 9,
                   .positives = 9,
                   .labels = 9,
                   .label_kind = LabelKind::graded,
                   .greatest_label = 5}),
            Names{"cosent"});
  EXPECT_EQ(names({.records = 9,
                   .positives = 9,
                   .labels = 9,
                   .label_kind = LabelKind::graded,
                   .greatest_label = 1}),
            (Names{"cosent", "cosine_regression"}));
  const auto same = propose_losses({.records = 9,
                                    .positives = 9,
                                    .labels = 9,
                                    .label_kind = LabelKind::graded,
                                    .least_label = 0.3,
                                    .greatest_label = 0.3});
  EXPECT_NE(same[0].reason.find("every label is 0.3:"), std::string::npos) << same[0].reason;
  EXPECT_EQ(names({.records = 9, .labels = 9, .label_kind = LabelKind::classes}),
            (Names{"label_softmax", "label_rank"}));
  const auto some = propose_losses({.records = 9, .positives = 9, .negatives = 4});
  ASSERT_EQ(some.size(), 1U);
  EXPECT_NE(some[0].reason.find("only 4 of 9"), std::string::npos);
  EXPECT_NE(propose_losses({.records = 9, .positives = 3})[0].reason.find("3 of 9"),
            std::string::npos);
}

}  // namespace
}  // namespace akin::loss
