#include "loss/matryoshka.h"

#include "loss/test_support.h"

namespace akin::loss {
namespace {

// The inner loss without its way over cosines: Matryoshka then cuts vectors.
class Plain final : public Loss {
 public:
  explicit Plain(std::unique_ptr<Loss> inner) : inner_(std::move(inner)) {}
  LossNeeds needs() const override { return inner_->needs(); }
  LossOutput forward(const LossInput& in) const override { return inner_->forward(in); }

 private:
  const std::unique_ptr<Loss> inner_;
};

LossInput full_batch() {
  auto in = random_batch(6, 2, 8);
  in.labels = numbers({0, 1, 0.5, 0, 1, 0});
  in.query_ids = whole({0, 1, 2, 3, 4, 5});
  in.document_ids = whole({10, 11, 12, 11, 14, 15});
  in.negative_ids = whole({20, 11, 21, 22, 23, 24, 25, 26, 14, 27, 28, 29}).view({6, 2});
  in.scores = noise({6, 3}, 9);
  in.teacher_queries = noise({6, 8}, 10);
  in.teacher_documents = noise({6, 8}, 11);
  return in;
}

TEST(Matryoshka, FullWidthAloneIsTheInnerLoss) {
  const auto in = full_batch();
  for (const auto& info : loss_infos()) {
    const auto inner = make_loss(info.name, {});
    const auto wrapped = make_matryoshka(make_loss(info.name, {}), {.dims = {8}, .weights = {}});
    const auto a = inner->forward(in), b = wrapped->forward(in);
    EXPECT_EQ(a.loss.item<double>(), b.loss.item<double>()) << info.name;
    EXPECT_EQ(a.solved, b.solved) << info.name;
    EXPECT_EQ(a.negatives_per_query, b.negatives_per_query) << info.name;
  }
}

TEST(Matryoshka, SharedProductsGiveWhatCutVectorsGive) {
  const auto in = full_batch();
  const MatryoshkaOptions options{.dims = {8, 2, 5}, .weights = {1, 0.5, 2}};
  for (const auto& info : loss_infos()) {
    const auto fast = make_matryoshka(make_loss(info.name, {}), options);
    const auto slow = make_matryoshka(std::make_unique<Plain>(make_loss(info.name, {})), options);
    const auto a = fast->forward(in), b = slow->forward(in);
    EXPECT_NEAR(a.loss.item<double>(), b.loss.item<double>(), 1e-12) << info.name;
    EXPECT_EQ(a.solved, b.solved) << info.name;
    EXPECT_EQ(a.negatives_per_query, b.negatives_per_query) << info.name;
    const auto ga = gradients(*fast, in), gb = gradients(*slow, in);
    ASSERT_EQ(ga.size(), gb.size());
    for (size_t k = 0; k < ga.size(); ++k) {
      EXPECT_LT((ga[k] - gb[k]).abs().max().item<double>(), 1e-11) << info.name << " field " << k;
    }
  }
}

TEST(Matryoshka, IsTheWeightedSumOfItsPrefixes) {
  const auto in = random_batch(5, 1, 6);
  const auto inner = make_loss("infonce", {.temperature = .2});
  double expected = 0;
  for (const auto& [dim, weight] : {std::pair{2, 0.5}, {6, 3.0}}) {
    LossInput cut = in;
    cut.queries = in.queries.slice(1, 0, dim);
    cut.documents = in.documents.slice(1, 0, dim);
    cut.negatives = in.negatives.slice(2, 0, dim);
    expected += weight * loss_value(*inner, cut);
  }
  const auto loss = make_matryoshka(make_loss("infonce", {.temperature = .2}),
                                    {.dims = {6, 2}, .weights = {3, 0.5}});
  EXPECT_NEAR(loss_value(*loss, in), expected, 1e-12);
}

TEST(Matryoshka, GradientOfEveryLoss) {
  const auto in = full_batch();
  for (const auto& info : loss_infos()) {
    const auto loss = make_matryoshka(make_loss(info.name, {.temperature = .3, .margin = .31}),
                                      {.dims = {3, 8}, .weights = {}});
    expect_gradient(*loss, in, std::string(info.name));
  }
}

TEST(Matryoshka, RefusesDimsThatMakeNoSense) {
  const auto make = [](MatryoshkaOptions options) {
    return [options] { make_matryoshka(make_loss("infonce", {}), options); };
  };
  expect_usage(make({.dims = {}, .weights = {}}), "no dims");
  expect_usage(make({.dims = {4, 4}, .weights = {}}), "twice");
  expect_usage(make({.dims = {0, 4}, .weights = {}}), "less than 1");
  expect_usage(make({.dims = {2, 4}, .weights = {1}}), "1 weights for 2 dims");
  expect_usage(make({.dims = {2}, .weights = {-1}}), "below 0");
  expect_usage(make({.dims = {2, 4}, .weights = {0, 0}}), "all weights are 0");
  const auto loss = make_matryoshka(make_loss("infonce", {}), {.dims = {16}, .weights = {}});
  expect_usage([&] { loss->forward(random_batch(3, 0, 8)); }, "16 is more than the 8 dims");
}

}  // namespace
}  // namespace akin::loss
