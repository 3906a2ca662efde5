// Every loss against plain loops over plain cosines, its gradient, and what it refuses.
//
// Shapes: B rows, M negatives of each, E embedding dim.
#include "loss/test_support.h"

namespace akin::loss {
namespace {

constexpr int64_t kRows = 5, kNegatives = 2;

struct Plain {
  explicit Plain(const LossInput& in) {
    const auto flat = in.negatives.flatten(0, 1);
    documents = cosines_of(in.queries, in.documents);
    negatives = cosines_of(in.queries, flat);
  }
  double pair(size_t i) const { return documents[i][i]; }
  double own(size_t i, size_t m) const { return negatives[i][i * kNegatives + m]; }
  Grid documents, negatives;
};

double log_sigmoid(double x) { return -std::log1p(std::exp(-x)); }

// Mean over rows of -ln e^{positive} / (e^{positive} + sum over candidates).
double softmax_rows(const std::function<double(size_t)>& positive,
                    const std::function<Numbers(size_t)>& others) {
  double sum = 0;
  for (size_t i = 0; i < kRows; ++i) {
    double total = std::exp(positive(i));
    for (const double x : others(i)) total += std::exp(x);
    sum -= positive(i) - std::log(total);
  }
  return sum / kRows;
}

LossInput batch() {
  auto in = random_batch(kRows, kNegatives, 4, 7);
  in.labels = numbers({0, 1, 0.5, 0, 1});
  in.scores = noise({kRows, 1 + kNegatives}, 5) * 2;
  in.teacher_queries = noise({kRows, 4}, 6);
  in.teacher_documents = noise({kRows, 4}, 8);
  return in;
}

constexpr double kT = 0.3;

double value(std::string_view name, const LossInput& in, bool symmetric = false) {
  return loss_value(*make_loss(name, {.temperature = kT, .symmetric = symmetric, .margin = 0.4}),
                    in);
}

TEST(Losses, Softmaxes) {
  const auto in = batch();
  const Plain plain(in);
  const auto pair = [&](size_t i) { return plain.pair(i) / kT; };
  const auto documents = [&](size_t i, bool back) {
    Numbers out;
    for (size_t j = 0; j < kRows; ++j) {
      if (j != i) out.push_back((back ? plain.documents[j][i] : plain.documents[i][j]) / kT);
    }
    return out;
  };
  const auto negatives = [&](size_t i) {
    Numbers out;
    for (const double x : plain.negatives[i]) out.push_back(x / kT);
    return out;
  };
  const auto everything = [&](size_t i) {
    Numbers out = documents(i, false);
    for (const double x : negatives(i)) out.push_back(x);
    return out;
  };
  const double forward = softmax_rows(pair, everything);
  const double back = softmax_rows(pair, [&](size_t i) { return documents(i, true); });
  const double triplets = softmax_rows(pair, negatives);
  EXPECT_NEAR(value("infonce", in), forward, 1e-12);
  EXPECT_NEAR(value("infonce", in, true), forward + back, 1e-12);
  EXPECT_NEAR(value("simcse_sup", in), forward, 1e-12);
  EXPECT_NEAR(value("simcse_unsup", in),
              softmax_rows(pair, [&](size_t i) { return documents(i, false); }), 1e-12);
  EXPECT_NEAR(value("triplet_softmax", in), triplets, 1e-12);
  EXPECT_NEAR(value("triplet_softmax", in, true), triplets + back, 1e-12);
  double margin = 0;
  for (size_t i = 0; i < kRows; ++i) {
    for (size_t m = 0; m < kNegatives; ++m) {
      margin += std::max(0.0, plain.own(i, m) - plain.pair(i) + 0.4) / (kRows * kNegatives);
    }
  }
  EXPECT_GT(margin, 0);
  EXPECT_NEAR(value("triplet", in), margin, 1e-12);
  EXPECT_NEAR(value("jina_triplet", in), forward + back + margin, 1e-12);
  const auto own = make_loss("infonce", {.temperature = kT, .in_batch_negatives = false});
  EXPECT_NEAR(loss_value(*own, in),
              softmax_rows(pair,
                           [&](size_t i) {
                             return Numbers{plain.own(i, 0) / kT, plain.own(i, 1) / kT};
                           }),
              1e-12);
  const auto weighted = make_loss("simcse_sup", {.temperature = kT, .hard_negative_weight = 3});
  EXPECT_NEAR(loss_value(*weighted, in),
              softmax_rows(pair,
                           [&](size_t i) {
                             auto out = everything(i);
                             for (size_t m = 0; m < kNegatives; ++m) {
                               out[kRows - 1 + i * kNegatives + m] += std::log(3);
                             }
                             return out;
                           }),
              1e-12);
}

TEST(Losses, Sigmoids) {
  const auto in = batch();
  const Plain plain(in);
  double pairs = 0, back = 0, triplets = 0;
  for (size_t i = 0; i < kRows; ++i) {
    for (size_t j = 0; j < kRows; ++j) {
      if (i == j) continue;
      pairs -= log_sigmoid((plain.pair(i) - plain.documents[i][j]) / kT) / (kRows * (kRows - 1));
      back -= log_sigmoid((plain.pair(i) - plain.documents[j][i]) / kT) / (kRows * (kRows - 1));
    }
    for (const double x : plain.negatives[i]) {
      triplets -= log_sigmoid((plain.pair(i) - x) / kT) / (kRows * kRows * kNegatives);
    }
  }
  EXPECT_NEAR(value("sigmoid_pair", in), pairs, 1e-12);
  EXPECT_NEAR(value("sigmoid_triplet", in), triplets, 1e-12);
  EXPECT_NEAR(value("sigmoid_triplet", in, true), triplets + back, 1e-12);
}

TEST(Losses, Labels) {
  const auto in = batch();
  const Plain plain(in);
  const auto label = [&](size_t i) { return in.labels[static_cast<int64_t>(i)].item<double>(); };
  double ordered = 1, squares = 0;
  for (size_t i = 0; i < kRows; ++i) {
    squares += std::pow(plain.pair(i) - label(i), 2) / kRows;
    for (size_t j = 0; j < kRows; ++j) {
      if (label(i) > label(j)) ordered += std::exp((plain.pair(j) - plain.pair(i)) / kT);
    }
  }
  EXPECT_NEAR(value("cosent", in), std::log(ordered), 1e-12);
  EXPECT_NEAR(value("cosine_regression", in), squares, 1e-12);
}

// With documents a batch of classes has 2 B texts, without them B.
TEST(Losses, Classes) {
  for (const bool with_documents : {true, false}) {
    auto in = batch();
    if (!with_documents) in.documents = at::Tensor();
    const auto texts = with_documents ? at::cat({in.queries, in.documents}) : in.queries;
    const auto s = cosines_of(texts, texts);
    const size_t count = s.size();
    const auto label = [&](size_t i) {
      return in.labels[static_cast<int64_t>(i % kRows)].item<double>();
    };
    double softmax = 0, anchors = 0, rank = 1;
    for (size_t i = 0; i < count; ++i) {
      double others = 0, sum = 0, mates = 0;
      for (size_t n = 0; n < count; ++n) {
        if (label(n) != label(i)) others += std::exp(s[i][n] / kT);
      }
      for (size_t p = 0; p < count; ++p) {
        if (p == i || label(p) != label(i)) continue;
        ++mates;
        sum -= std::log(std::exp(s[i][p] / kT) / (std::exp(s[i][p] / kT) + others));
        if (p < i) continue;
        for (size_t a = 0; a < count; ++a) {
          for (size_t b = a + 1; b < count; ++b) {
            if (label(a) != label(b)) rank += std::exp((s[a][b] - s[i][p]) / kT);
          }
        }
      }
      if (mates > 0) softmax += sum / mates;
      if (mates > 0) ++anchors;
    }
    EXPECT_NEAR(value("label_softmax", in), softmax / anchors, 1e-12);
    EXPECT_NEAR(value("label_rank", in), std::log(rank), 1e-12);
    EXPECT_GE(make_loss("label_rank", {})->forward(in).solved, 0);
  }
}

TEST(Losses, Teachers) {
  auto in = batch();
  const Plain plain(in);
  double divergence = 0, cosines = 0;
  for (size_t i = 0; i < kRows; ++i) {
    const Numbers student = {plain.pair(i) / kT, plain.own(i, 0) / kT, plain.own(i, 1) / kT};
    double teacher_total = 0, student_total = 0;
    const auto score = [&](size_t k) {
      return in.scores[static_cast<int64_t>(i)][static_cast<int64_t>(k)].item<double>();
    };
    for (size_t k = 0; k < 3; ++k) {
      teacher_total += std::exp(score(k));
      student_total += std::exp(student[k]);
    }
    for (size_t k = 0; k < 3; ++k) {
      const double p = std::exp(score(k)) / teacher_total, q = std::exp(student[k]) / student_total;
      divergence += p * std::log(p / q) / kRows;
    }
    const auto row = static_cast<int64_t>(i);
    cosines += 1 - (cosine(in.queries[row], in.teacher_queries[row]) +
                    cosine(in.documents[row], in.teacher_documents[row])) /
                       2;
  }
  EXPECT_NEAR(value("kl_distill", in), divergence, 1e-12);
  EXPECT_NEAR(value("vector_distill", in), cosines / kRows, 1e-12);
  const auto difference =
      at::cat({in.queries, in.documents}) - at::cat({in.teacher_queries, in.teacher_documents});
  EXPECT_NEAR(value("vector_mse", in), difference.pow(2).mean().item<double>(), 1e-12);
  in.teacher_queries = in.queries * 3;
  in.teacher_documents = at::Tensor();
  EXPECT_NEAR(value("vector_distill", in), 0, 1e-12);
  // A narrower teacher is compared with the first dims; a wider one is refused.
  in.teacher_queries = in.queries.slice(1, 0, 2) * 3;
  EXPECT_NEAR(value("vector_distill", in), 0, 1e-12);
  in.teacher_queries = at::cat({in.queries, in.queries}, 1);
  EXPECT_THROW(value("vector_distill", in), Error);
}

TEST(Losses, GradientOfEveryLoss) {
  auto in = batch();
  for (const bool ids : {false, true}) {
    if (ids) {
      in.query_ids = whole({0, 1, 2, 3, 4});
      in.document_ids = whole({10, 11, 10, 13, 4});
      in.negative_ids = whole({10, 21, 22, 23, 11, 25, 26, 4, 28, 29}).view({kRows, kNegatives});
    }
    for (const auto& info : loss_infos()) {
      expect_gradient(
          *make_loss(info.name, {.temperature = kT, .margin = 0.37, .hard_negative_weight = 2}), in,
          std::string(info.name));
    }
    expect_gradient(*make_loss("infonce", {.in_batch_negatives = false}), in, "own group");
  }
}

// What losses.def says of options is what counts: no other changes the value, each of these does.
TEST(Losses, TakeTheOptionsThatTheyName) {
  auto in = batch();
  in.query_ids = whole({0, 1, 2, 3, 4});
  in.document_ids = whole({10, 11, 10, 13, 4});
  in.negative_ids = whole({10, 21, 22, 23, 11, 25, 26, 4, 28, 29}).view({kRows, kNegatives});
  const std::pair<const char*, LossOptions> changed[] = {
      {"temperature", {.temperature = 2 * kT, .margin = 0.4}},
      {"symmetric", {.temperature = kT, .symmetric = false, .margin = 0.4}},
      {"in-batch-negatives", {.temperature = kT, .in_batch_negatives = false, .margin = 0.4}},
      {"mask_duplicates", {.temperature = kT, .mask_duplicates = false, .margin = 0.4}},
      {"margin", {.temperature = kT, .margin = 0.7}},
      {"hard-negative-weight", {.temperature = kT, .margin = 0.4, .hard_negative_weight = 3}}};
  for (const auto& info : loss_infos()) {
    const double usual = loss_value(*make_loss(info.name, {.temperature = kT, .margin = 0.4}), in);
    for (const auto& [option, options] : changed) {
      EXPECT_EQ(loss_value(*make_loss(info.name, options), in) != usual, takes_option(info, option))
          << info.name << " " << option;
    }
  }
}

// In float32 and narrower the value is that of float64, as far as the type allows.
TEST(Losses, NarrowerTypes) {
  const auto in = batch();
  for (const auto& info : loss_infos()) {
    const auto loss = make_loss(info.name, {.temperature = kT});
    const double expected = loss_value(*loss, in);
    for (const auto& [type, tolerance] :
         {std::pair{at::kFloat, 1e-5}, {at::kBFloat16, 0.1}, {at::kHalf, 0.01}}) {
      LossInput narrow = in;
      for (auto* field : embeddings_of(narrow)) *field = field->to(type);
      for (auto* field :
           {&narrow.labels, &narrow.scores, &narrow.teacher_queries, &narrow.teacher_documents}) {
        *field = field->to(at::kFloat);
      }
      EXPECT_NEAR(loss_value(*loss, narrow), expected, tolerance * std::max(1.0, expected))
          << info.name << " " << type;
      for (const auto& gradient : gradients(*loss, narrow)) {
        EXPECT_TRUE(gradient.isfinite().all().item<bool>()) << info.name;
      }
    }
  }
}

TEST(Losses, DuplicatesAreNoNegatives) {
  auto in = random_batch(3, 1, 4);
  in.query_ids = whole({0, 1, 2});
  in.document_ids = whole({10, 10, 12});              // 0 and 1 have one positive
  in.negative_ids = whole({12, 21, 2}).view({3, 1});  // row 2's positive; row 2's own query
  const auto documents = cosines_of(in.queries, in.documents);
  const auto negatives = cosines_of(in.queries, in.negatives.flatten(0, 1));
  const auto loss = make_loss("infonce", {.temperature = 1, .symmetric = false});
  const auto e = [](double x) { return std::exp(x); };
  const auto &d = documents, &n = negatives;
  const double totals[] = {e(d[0][0]) + e(d[0][2]) + e(n[0][0]) + e(n[0][1]) + e(n[0][2]),
                           e(d[1][1]) + e(d[1][2]) + e(n[1][0]) + e(n[1][1]) + e(n[1][2]),
                           e(d[2][0]) + e(d[2][1]) + e(d[2][2]) + e(n[2][1])};
  double expected = 0;
  for (size_t i = 0; i < 3; ++i) expected += (std::log(totals[i]) - d[i][i]) / 3;
  const auto out = loss->forward(in);
  EXPECT_NEAR(out.loss.item<double>(), expected, 1e-12);
  EXPECT_NEAR(out.negatives_per_query, 11.0 / 3, 1e-12);
  const auto off =
      make_loss("infonce", {.temperature = 1, .symmetric = false, .mask_duplicates = false});
  EXPECT_GT(loss_value(*off, in), expected);
  EXPECT_NEAR(off->forward(in).negatives_per_query, 5, 1e-12);
}

TEST(Losses, AMaskedCandidateHasNoGradient) {
  auto in = random_batch(1, 2, 4);
  in.query_ids = whole({0});
  in.document_ids = whole({1});
  in.negative_ids = whole({1, 2}).view({1, 2});
  for (const auto* name :
       {"infonce", "jina_triplet", "triplet", "triplet_softmax", "simcse_sup", "sigmoid_triplet"}) {
    const auto gradient = gradients(*make_loss(name, {.margin = 2}), in)[2];
    EXPECT_EQ(gradient[0][0].abs().max().item<double>(), 0) << name;
    EXPECT_GT(gradient[0][1].abs().max().item<double>(), 0) << name;
  }
  auto pairs = random_batch(2, 0, 4);
  pairs.query_ids = whole({3, 3});  // one query, two positives
  pairs.document_ids = whole({1, 2});
  for (const auto* name : {"infonce", "simcse_unsup", "sigmoid_pair"}) {
    for (const auto& gradient : gradients(*make_loss(name, {}), pairs)) {
      EXPECT_LT(gradient.abs().max().item<double>(), 1e-15) << name;
    }
  }
}

TEST(Losses, OneLabelTeachesNothing) {
  auto in = batch();
  in.labels = at::ones({kRows}, at::kFloat);
  for (const auto* name : {"cosent", "label_softmax", "label_rank"}) {
    const auto loss = make_loss(name, {});
    EXPECT_EQ(loss_value(*loss, in), 0) << name;
    for (const auto& gradient : gradients(*loss, in)) {
      EXPECT_EQ(gradient.abs().max().item<double>(), 0) << name;
    }
  }
  in.labels = at::arange(kRows, at::kFloat);
  in.documents = at::Tensor();
  EXPECT_EQ(value("label_softmax", in), 0);
  EXPECT_EQ(value("label_rank", in), 0);
}

TEST(Losses, SolvedCountsRowsWhosePositiveWins) {
  LossInput in;
  in.queries = axes(2);
  in.documents = with_cosines({{.8, .1}, {.5, .4}});
  const auto out = make_loss("infonce", {})->forward(in);
  EXPECT_EQ(out.solved, 0.5);
  EXPECT_EQ(out.negatives_per_query, 1);
  in.negatives = with_cosines({{.95, 0}, {0, 0}}).unsqueeze(1);
  EXPECT_EQ(make_loss("infonce", {})->forward(in).solved, 0);
  EXPECT_EQ(make_loss("triplet", {})->forward(in).solved, 0.5);
  EXPECT_EQ(make_loss("triplet", {})->forward(in).negatives_per_query, 1);
}

TEST(Losses, AZeroVectorDoesNoHarm) {
  auto in = batch();
  in.queries[1].zero_();
  for (const auto& info : loss_infos()) {
    const auto loss = make_loss(info.name, {});
    EXPECT_TRUE(std::isfinite(loss_value(*loss, in))) << info.name;
    for (const auto& gradient : gradients(*loss, in)) {
      EXPECT_TRUE(gradient.isfinite().all().item<bool>()) << info.name;
    }
  }
}

TEST(Losses, RefuseWhatDoesNotFit) {
  for (const auto& info : loss_infos()) {
    const auto loss = make_loss(info.name, {});
    const auto refuses = [&](const LossInput& in, const std::string& part) {
      expect_usage([&] { loss->forward(in); }, part);
    };
    const auto needs = loss->needs();
    refuses({}, "no queries");
    auto in = batch();
    in.documents = at::Tensor();
    if (needs.documents) refuses(in, "no documents");
    in = batch();
    in.negatives = at::Tensor();
    in.scores = at::Tensor();
    if (needs.negatives) refuses(in, "no negatives");
    in.negatives = at::zeros({kRows, 0, 4}, at::kDouble);
    if (needs.negatives) refuses(in, "0 negatives");
    in = batch();
    in.labels = at::Tensor();
    if (needs.labels) refuses(in, "no labels");
    in = batch();
    in.scores = at::Tensor();
    if (needs.scores) refuses(in, "no scores");
    in = batch();
    in.teacher_queries = at::Tensor();
    if (needs.teacher) refuses(in, "no teacher_queries");
    in = batch();
    in.documents = in.documents.slice(0, 1);
    refuses(in, "documents are [4, 4], expected [5, 4]");
    in = batch();
    in.query_ids = at::zeros({kRows}, at::kFloat);
    refuses(in, "query_ids are Float, expected whole");
  }
  auto in = batch();
  in.labels[0] = 4.5;
  expect_usage([&] { value("cosine_regression", in); }, "4.5");
  in.scores[0][0] = NAN;
  expect_usage([&] { value("kl_distill", in); }, "not finite");
  in.teacher_queries = noise({kRows, 8}, 1);
  expect_usage([&] { value("vector_mse", in); }, "8 dims, the student's only 4");
  in.negatives = at::Tensor();
  in.scores = at::Tensor();
  const auto own = make_loss("infonce", {.in_batch_negatives = false});
  expect_usage([&] { own->forward(in); }, "no negatives");
}

TEST(Losses, RegistryNamesWhatItHas) {
  expect_usage([] { make_loss("info_nce", {}); }, "infonce, jina_triplet");
  expect_usage([] { make_loss("infonce", {.temperature = 0}); }, "loss.temperature");
  expect_usage([] { make_loss("triplet", {.margin = -1}); }, "loss.margin");
  expect_usage([] { make_loss("simcse_sup", {.hard_negative_weight = 0}); }, "weight");
  for (const auto& info : loss_infos()) EXPECT_FALSE(info.summary.empty());
}

}  // namespace
}  // namespace akin::loss
