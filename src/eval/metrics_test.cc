// Correlations, pair, classification, multilabel and clustering scores against scipy and
// scikit-learn, within 1e-9.
#include <gtest/gtest.h>

#include "base/error.h"
#include "eval/average_precision.h"
#include "eval/bootstrap.h"
#include "eval/classification_metrics.h"
#include "eval/cluster_metrics.h"
#include "eval/correlation.h"
#include "eval/test_goldens.h"

namespace akin::eval {
namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(Correlation, EqualsScipy) {
  for (const auto& row : goldens("metrics").at("correlation")) {
    SCOPED_TRACE(row.at("name"));
    const auto x = column(row.at("x"));
    auto y = column(row.at("y"));
    if (row.at("y").contains("plus_first")) {
      for (size_t i = 0; i < y.size(); ++i) y[i] += x[i];
    }
    const auto p = pearson(x, y), s = spearman(x, y);
    EXPECT_PRED2([](double a, double b) { return near(a, b); }, p.statistic,
                 number(row.at("pearson").at(0)));
    EXPECT_PRED2([](double a, double b) { return near(a, b); }, p.p_value,
                 number(row.at("pearson").at(1)));
    EXPECT_PRED2([](double a, double b) { return near(a, b); }, s.statistic,
                 number(row.at("spearman").at(0)));
    EXPECT_PRED2([](double a, double b) { return near(a, b); }, s.p_value,
                 number(row.at("spearman").at(1)));
  }
}

TEST(Correlation, RanksAndRefusals) {
  const std::vector<double> v = {3, 1, 3, 2, 3};
  EXPECT_EQ(average_ranks(v), (std::vector<double>{4, 1, 4, 2, 4}));
  const std::vector<double> good = {1, 2, 3}, bad = {1, kNan, 3}, two = {1, 2};
  EXPECT_THROW(spearman(good, bad), Error);
  EXPECT_THROW(pearson(bad, good), Error);
  EXPECT_THROW(pearson(good, two), Error);
  EXPECT_THROW(pearson({good.data(), 1}, {good.data(), 1}), Error);
  EXPECT_NEAR(student_t_two_sided(2.0, 10), 0.07338803477074, 1e-12);
}

void expect_sweep(const ThresholdScores& got, const Json& expected, double ap) {
  EXPECT_NEAR(got.accuracy, expected.at("accuracy").get<double>(), 1e-12);
  EXPECT_NEAR(got.f1, expected.at("f1").get<double>(), 1e-12);
  EXPECT_NEAR(got.precision, expected.at("precision").get<double>(), 1e-12);
  EXPECT_NEAR(got.recall, expected.at("recall").get<double>(), 1e-12);
  EXPECT_NEAR(got.ap, ap, 1e-12);
}

TEST(AveragePrecision, EqualsScikitLearn) {
  for (const auto& row : goldens("metrics").at("pairs")) {
    SCOPED_TRACE(row.at("name"));
    const auto labels = whole_column<uint8_t>(row.at("labels"));
    const auto scores = column(row.at("scores"));
    EXPECT_NEAR(average_precision(labels, scores), row.at("ap").get<double>(), 1e-12);
    expect_sweep(sweep_thresholds(labels, scores, true), row.at("high"), row.at("ap"));
    expect_sweep(sweep_thresholds(labels, scores, false), row.at("low"), row.at("ap_low"));
  }
}

TEST(AveragePrecision, SweepKeepsTheOrderOfTies) {
  // All scores tie: the cut after the first row counts, though no threshold can make it.
  const std::vector<uint8_t> labels = {1, 0, 0};
  const std::vector<double> scores = {0.5, 0.5, 0.5};
  const auto s = sweep_thresholds(labels, scores, true);
  EXPECT_EQ(s.accuracy, 1);
  EXPECT_EQ(s.f1, 1);
  EXPECT_NEAR(s.ap, 1.0 / 3, 1e-15);
}

TEST(AveragePrecision, Refuses) {
  const std::vector<uint8_t> labels = {1, 0}, wrong = {1, 2};
  const std::vector<double> scores = {0.5, 0.1}, broken = {kNan, 0.1};
  EXPECT_THROW(average_precision(labels, broken), Error);
  EXPECT_THROW(average_precision(wrong, scores), Error);
  EXPECT_THROW(average_precision(labels, {scores.data(), 1}), Error);
  EXPECT_THROW(sweep_thresholds({}, {}, true), Error);
}

TEST(Classification, EqualsScikitLearn) {
  for (const auto& row : goldens("metrics").at("classification")) {
    SCOPED_TRACE(row.at("name"));
    const auto truth = whole_column<int32_t>(row.at("truth"));
    const auto predicted = whole_column<int32_t>(row.at("predicted"));
    const auto got = score_classification(truth, predicted, !row.at("ap").is_null());
    const std::pair<const char*, double> pairs[] = {{"accuracy", got.accuracy},
                                                    {"f1", got.f1},
                                                    {"f1_weighted", got.f1_weighted},
                                                    {"precision", got.precision},
                                                    {"precision_weighted", got.precision_weighted},
                                                    {"recall", got.recall},
                                                    {"recall_weighted", got.recall_weighted}};
    for (const auto& [key, value] : pairs)
      EXPECT_NEAR(value, row.at(key).get<double>(), 1e-12) << key;
    EXPECT_EQ(got.ap.has_value(), !row.at("ap").is_null());
    EXPECT_NEAR(got.ap.value_or(-1), row.at("ap").is_null() ? -1 : number(row.at("ap")), 1e-12);
  }
}

TEST(Classification, Refuses) {
  const std::vector<int32_t> a = {0, 2, 0}, b = {0, 2};
  EXPECT_THROW(score_classification(a, b), Error);
  EXPECT_THROW(score_classification({}, {}), Error);
  EXPECT_THROW(score_classification(a, a), Error);  // no label 1 to be positive
  EXPECT_NEAR(score_classification(a, a, false).accuracy, 1, 0);
}

TEST(Multilabel, EqualsScikitLearn) {
  for (const auto& row : goldens("metrics").at("multilabel")) {
    SCOPED_TRACE(row.at("name"));
    const auto n = row.at("rows").get<size_t>(), l = row.at("columns").get<size_t>();
    auto truth = whole_column<uint8_t>(row.at("truth"));
    auto predicted = whole_column<uint8_t>(row.at("predicted"));
    const auto top = row.at("truth").at("levels").get<int>() - 1;
    for (auto& t : truth) t = t == top ? 1 : 0;
    for (auto& p : predicted) p = p == 1 ? 1 : 0;
    const auto got = score_multilabel(MatView<const uint8_t>(truth.data(), n, l),
                                      MatView<const uint8_t>(predicted.data(), n, l));
    EXPECT_NEAR(got.accuracy, row.at("accuracy").get<double>(), 1e-12);
    EXPECT_NEAR(got.jaccard, row.at("jaccard").get<double>(), 1e-12);
    if (!row.contains("f1")) continue;
    EXPECT_NEAR(got.f1, row.at("f1").get<double>(), 1e-12);
    EXPECT_NEAR(got.lrap, row.at("lrap").get<double>(), 1e-12);
    const auto scores = column(row.at("scores"));
    EXPECT_NEAR(label_ranking_average_precision(MatView<const uint8_t>(truth.data(), n, l),
                                                MatView<const double>(scores.data(), n, l)),
                row.at("lrap_scores").get<double>(), 1e-12);
  }
}

TEST(ClusterMetrics, EqualsScikitLearn) {
  for (const auto& row : goldens("metrics").at("clustering")) {
    SCOPED_TRACE(row.at("name"));
    const auto truth = whole_column<int32_t>(row.at("truth"));
    const auto predicted = whole_column<int32_t>(row.at("predicted"));
    const auto v = v_measure(truth, predicted);
    EXPECT_NEAR(v.homogeneity, row.at("homogeneity").get<double>(), 1e-9);
    EXPECT_NEAR(v.completeness, row.at("completeness").get<double>(), 1e-9);
    EXPECT_NEAR(v.v, row.at("v").get<double>(), 1e-9);
    EXPECT_NEAR(adjusted_mutual_info(truth, predicted), row.at("ami").get<double>(), 1e-9);
  }
  EXPECT_EQ(v_measure({}, {}).v, 1);
  EXPECT_EQ(adjusted_mutual_info({}, {}), 1);
  const std::vector<int32_t> one = {1};
  EXPECT_THROW(v_measure(one, {}), Error);
}

TEST(Bootstrap, CoversAndRepeats) {
  NumpyRandom rng(1);
  std::vector<double> a(400), b(400);
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] = rng.uniform();
    b[i] = a[i] + 0.05 + 0.1 * (rng.uniform() - 0.5);
  }
  const auto once = bootstrap_mean(a), again = bootstrap_mean(a);
  EXPECT_EQ(once.low, again.low);
  EXPECT_EQ(once.high, again.high);
  EXPECT_LT(once.low, once.value);
  EXPECT_GT(once.high, once.value);
  // 1.96 standard errors of a uniform mean: 0.0283 either side.
  EXPECT_NEAR(once.high - once.low, 2 * 1.96 * std::sqrt(1.0 / 12 / 400), 0.006);
  const auto worse = paired_test(a, b);
  EXPECT_NEAR(worse.difference, -0.05, 0.01);
  EXPECT_LT(worse.interval.high, 0);
  EXPECT_NEAR(worse.p_value, 1.0 / 1001, 1e-12);
  EXPECT_EQ(paired_test(a, a).p_value, 1);
  const auto median = bootstrap(a.size(), [&](std::span<const size_t> rows) {
    double sum = 0;
    for (const size_t r : rows) sum += a[r];
    return sum / static_cast<double>(rows.size());
  });
  EXPECT_NEAR(median.low, once.low, 0.01);
  EXPECT_THROW(bootstrap_mean({}), Error);
  EXPECT_THROW(bootstrap_mean(a, {.samples = 10, .level = 1.5}), Error);
  const std::vector<double> broken = {kNan};
  EXPECT_THROW(bootstrap_mean(broken), Error);
}

}  // namespace
}  // namespace akin::eval
