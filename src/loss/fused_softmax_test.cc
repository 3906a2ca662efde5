// The fused softmax losses in f32 against the same losses over float64 matrices of cosines.
#include "loss/fused_softmax.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include "loss/matryoshka.h"
#include "loss/test_support.h"

namespace akin::loss {
namespace {

LossInput as(at::ScalarType type, LossInput in) {
  for (auto* field : embeddings_of(in)) *field = field->to(type);
  return in;
}

// Ids out of a few, so that there are duplicates of every kind.
at::Tensor few_ids(at::IntArrayRef sizes, uint64_t seed, double kinds) {
  return ((noise(sizes, seed) + 1) * kinds / 2).floor().to(at::kLong);
}

LossInput batch(int64_t rows, int64_t negatives, int64_t dim, bool ids) {
  auto in = random_batch(rows, negatives, dim, static_cast<uint64_t>(rows));
  if (ids) {
    const auto kinds = static_cast<double>(rows) * 1.5 + 1;
    in.query_ids = few_ids({rows}, 3, kinds);
    in.document_ids = few_ids({rows}, 4, kinds);
    if (negatives > 0) in.negative_ids = few_ids({rows, negatives}, 5, kinds);
  }
  return as(at::kFloat, in);
}

double largest(const at::Tensor& values) { return values.abs().max().item<double>(); }

void expect_same(const Loss& loss, const LossInput& in, const std::string& name) {
  ASSERT_TRUE(has_fused_softmax(in));
  const auto exact = as(at::kDouble, in);
  ASSERT_FALSE(has_fused_softmax(exact));
  const auto got = loss.forward(in), expected = loss.forward(exact);
  ASSERT_EQ(got.loss.scalar_type(), at::kFloat);
  const double value = expected.loss.item<double>();
  ASSERT_NEAR(got.loss.item<double>(), value, 1e-5 * std::abs(value) + 1e-9) << name;
  ASSERT_EQ(got.solved, expected.solved) << name;
  ASSERT_NEAR(got.negatives_per_query, expected.negatives_per_query, 1e-9) << name;
  const auto a = gradients(loss, in), b = gradients(loss, exact);
  ASSERT_EQ(a.size(), b.size());
  for (size_t f = 0; f < a.size(); ++f)
    ASSERT_LE(largest(a[f] - b[f]), 1e-5 * largest(b[f]) + 1e-9) << name << " field " << f;
}

std::unique_ptr<Loss> prefixes_of(std::unique_ptr<Loss> loss) {
  return make_matryoshka(std::move(loss), {.dims = {19, 5, 12}, .weights = {1, 0.5, 2}});
}

TEST(FusedSoftmax, IsTheLossOverMatricesForEverySize) {
  for (int64_t rows = 1; rows <= 70; rows += rows < 20 ? 1 : 7) {
    for (const bool ids : {false, true}) {
      const auto in = batch(rows, rows % 3, 19, ids);
      for (const bool symmetric : {false, true}) {
        const LossOptions options{.temperature = 0.07, .symmetric = symmetric};
        const std::string name = fmt::format("{} rows, ids {}, symmetric {}", rows, ids, symmetric);
        expect_same(*make_loss("infonce", options), in, name);
        expect_same(*prefixes_of(make_loss("infonce", options)), in, name + ", prefixes");
      }
    }
  }
}

TEST(FusedSoftmax, EveryLossThatHasIt) {
  const auto in = batch(23, 2, 19, true);
  for (const char* name : {"infonce", "simcse_sup", "simcse_unsup", "jina_triplet"}) {
    for (const double temperature : {0.01, 0.05, 1.0}) {
      const LossOptions options{.temperature = temperature, .margin = 0.3};
      const std::string words = fmt::format("{} at {}", name, temperature);
      expect_same(*make_loss(name, options), in, words);
      expect_same(*prefixes_of(make_loss(name, options)), in, words + ", prefixes");
    }
  }
}

TEST(FusedSoftmax, EachFieldOfIdsAlone) {
  const auto in = batch(31, 2, 19, true);
  const auto loss = make_loss("infonce", {});
  for (const int left_out : {0, 1, 2}) {
    auto part = in;
    (left_out == 0   ? part.query_ids
     : left_out == 1 ? part.document_ids
                     : part.negative_ids) = at::Tensor();
    expect_same(*loss, part, fmt::format("without ids {}", left_out));
  }
  expect_same(*make_loss("infonce", {.mask_duplicates = false}), in, "no masks");
}

TEST(FusedSoftmax, SameBytesForAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  const auto in = batch(301, 1, 40, true);
  const auto loss = make_matryoshka(make_loss("infonce", {}), {.dims = {40, 16}, .weights = {}});
  at::set_num_threads(1);
  const auto value = loss->forward(in).loss;
  const auto one = gradients(*loss, in);
  for (const int threads : {2, 3}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(loss->forward(in).loss.equal(value));
    const auto more = gradients(*loss, in);
    for (size_t f = 0; f < one.size(); ++f) EXPECT_TRUE(more[f].equal(one[f])) << f;
  }
  at::set_num_threads(before);
  expect_same(*loss, in, "301 rows");
}

TEST(FusedSoftmax, TakesGradientsFromAboveAndHalfPrecision) {
  auto in = batch(9, 0, 8, false);
  const auto loss = make_loss("infonce", {});
  const auto plain = gradients(*loss, in);
  in.queries.requires_grad_(true);
  (loss->forward(in).loss * 3).backward();
  EXPECT_LE(largest(in.queries.grad() - 3 * plain[0]), 1e-6 * largest(plain[0]));
  const at::NoGradGuard no_grad;
  EXPECT_FALSE(loss->forward(in).loss.requires_grad());
  const auto half = as(at::kBFloat16, in);
  EXPECT_NEAR(loss_value(*loss, half), loss_value(*loss, as(at::kDouble, half)), 1e-5);
}

TEST(FusedSoftmax, ZeroVectorsAndVectorsThatAreNoNumbers) {
  auto in = batch(7, 1, 19, true);
  in.queries[2].zero_();
  in.documents[4].zero_();
  in.negatives[1][0].zero_();
  in.documents[3].slice(0, 0, 5).zero_();  // a prefix alone
  expect_same(*prefixes_of(make_loss("infonce", {})), in, "zeros");
  for (auto* field : {&in.queries, &in.documents, &in.negatives}) {
    const auto whole_field = *field;
    *field = field->clone();
    field->view(-1)[3] = std::nan("");
    EXPECT_TRUE(std::isnan(loss_value(*make_loss("infonce", {}), in)));
    *field = whole_field;
  }
}

}  // namespace
}  // namespace akin::loss
