// Values worked out independently for one small matrix of cosines.
#include "loss/test_support.h"

namespace akin::loss {
namespace {

const Grid kDocuments = {{.80, .30, .10}, {.25, .70, .20}, {.05, .15, .60}};
const Grid kNegatives = {{.5, .2, .1}, {.1, .6, .3}, {.2, 0, .4}};

LossInput batch(bool negatives) {
  LossInput in;
  in.queries = axes(3);
  in.documents = with_cosines(kDocuments);
  if (negatives) in.negatives = with_cosines(kNegatives).unsqueeze(1);
  return in;
}

double value(std::string_view name, const LossOptions& options, const LossInput& in) {
  return loss_value(*make_loss(name, options), in);
}

TEST(Golden, InfoNce) {
  const auto in = batch(false);
  EXPECT_NEAR(value("infonce", {.temperature = .05, .symmetric = false}, in), 1.18375856e-4, 1e-12);
  EXPECT_NEAR(value("infonce", {.temperature = .2, .symmetric = false}, in), .144893173, 1e-9);
  EXPECT_NEAR(value("infonce", {.temperature = .02, .symmetric = false}, in), 1.22433619e-10,
              1e-13);
  EXPECT_NEAR(value("infonce", {.temperature = .05}, in), 3.68342469e-4, 1e-12);
  LossInput swapped = in;
  std::swap(swapped.queries, swapped.documents);
  EXPECT_NEAR(value("infonce", {.temperature = .05, .symmetric = false}, swapped), 2.49966613e-4,
              1e-12);
}

TEST(Golden, InfoNceOverAllNegatives) {
  EXPECT_NEAR(value("infonce", {.temperature = .2, .symmetric = false}, batch(true)), .524582812,
              1e-9);
}

TEST(Golden, Uniem) {
  EXPECT_NEAR(value("sigmoid_pair", {.temperature = .2}, batch(false)), .0749850989, 1e-9);
  EXPECT_NEAR(value("triplet_softmax", {.temperature = .2, .symmetric = false}, batch(true)),
              .429361872, 1e-9);
  const double pairs = value("infonce", {.temperature = .2, .symmetric = false}, batch(false));
  EXPECT_NEAR(pairs, .144893173, 1e-9);  // its softmax over pairs
}

TEST(Golden, SimCse) {
  EXPECT_NEAR(value("simcse_unsup", {.temperature = .2}, batch(false)), .144893173, 1e-9);
  EXPECT_NEAR(value("simcse_sup", {.temperature = .2}, batch(true)), .524582812, 1e-9);
}

TEST(Golden, TripletMargin) {
  EXPECT_EQ(value("triplet", {.margin = .05}, batch(true)), 0);
  // By hand: only 0.5 - 0.8 + 0.4 = 0.1, 0.6 - 0.7 + 0.4 = 0.3 and 0.4 - 0.6 + 0.4 = 0.2 remain.
  EXPECT_NEAR(value("triplet", {.margin = .4}, batch(true)), .2, 1e-12);
}

TEST(Golden, JinaTripletIsThreeTerms) {
  const auto in = batch(true);
  LossInput pairs_swapped = batch(false);
  std::swap(pairs_swapped.queries, pairs_swapped.documents);
  const double forward = value("infonce", {.temperature = .2, .symmetric = false}, in);
  const double back = value("infonce", {.temperature = .2, .symmetric = false}, pairs_swapped);
  EXPECT_NEAR(value("jina_triplet", {.temperature = .2, .margin = .4}, in), forward + back + .2,
              1e-12);
}

TEST(Golden, CoSent) {
  LossInput in;
  in.queries = axes(4);
  Grid cosines(4, Numbers(4, 0));
  const Numbers diagonal = {.9, .4, .6, .1};
  for (size_t i = 0; i < 4; ++i) cosines[i][i] = diagonal[i];
  in.documents = with_cosines(cosines);
  in.labels = numbers({1, .5, .2, .2});
  EXPECT_NEAR(value("cosent", {.temperature = .05}, in), 4.01823991, 1e-8);
  EXPECT_NEAR(value("cosent", {.temperature = .2}, in), 1.45042877, 1e-8);
  in.labels = numbers({.2, .2, .2, .2});
  EXPECT_EQ(value("cosent", {}, in), 0);
}

TEST(Golden, EqualEmbeddingsGiveTheLogOfTheBatch) {
  LossInput in;
  in.queries = in.documents = at::ones({7, 3}, at::kDouble);
  EXPECT_NEAR(value("infonce", {.symmetric = false}, in), std::log(7), 1e-12);
}

}  // namespace
}  // namespace akin::loss
