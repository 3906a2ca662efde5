// Logistic regression, mini-batch k-means and neighbours against scikit-learn and scipy.
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/threads.h"
#include "eval/cluster_metrics.h"
#include "eval/dense.h"
#include "eval/lbfgs.h"
#include "eval/logistic_regression.h"
#include "eval/mini_batch_kmeans.h"
#include "eval/nearest_neighbors.h"
#include "eval/test_goldens.h"

namespace akin::eval {
namespace {

Embeddings of_case(const Json& row, uint32_t seed_shift = 0, size_t rows = 0) {
  return embeddings(row.at("seed").get<uint32_t>() + seed_shift,
                    rows > 0 ? rows : row.at("rows").get<size_t>(), row.at("dims").get<size_t>(),
                    row.contains("truth_classes") ? row.at("truth_classes").get<size_t>()
                                                  : row.at("classes").get<size_t>(),
                    row.at("shift").get<double>());
}

void expect_model(const LogisticModel& model, const Json& expected, MatView<const float> test,
                  ThreadPool& pool) {
  constexpr double kTolerance = 1e-6;
  EXPECT_EQ(model.iterations, expected.at("iterations").get<size_t>());
  EXPECT_EQ(model.evaluations, expected.value("evaluations", model.evaluations));
  double norm = 0;
  for (size_t c = 0; c < model.weights.rows(); ++c) {
    for (size_t k = 0; k < model.weights.cols(); ++k)
      norm += model.weights(c, k) * model.weights(c, k);
    const auto& weights = expected.at("weights").at(c);
    for (size_t k = 0; k < weights.size(); ++k)
      EXPECT_NEAR(model.weights(c, k), weights[k].get<double>(), kTolerance);
    EXPECT_NEAR(model.intercepts[c], expected.at("intercepts").at(c).get<double>(), kTolerance);
  }
  EXPECT_NEAR(std::sqrt(norm), expected.at("norm").get<double>(), kTolerance);
  EXPECT_EQ(model.predict(test, pool), expected.at("predicted").get<std::vector<int32_t>>());
}

TEST(LogisticRegression, EqualsScikitLearnInBothForms) {
  ThreadPool pool(2);
  for (const auto& row : goldens("fits").at("logistic")) {
    const auto train = of_case(row), test = of_case(row, 50, 200);
    for (const auto& [key, form] :
         {std::pair{"mean", LogisticForm::mean}, {"sum", LogisticForm::sum}}) {
      SCOPED_TRACE(row.at("name").get<std::string>() + ", " + key);
      const auto model = fit_logistic(train.x.view(), train.labels, {.form = form}, pool);
      expect_model(model, row.at(key), test.x.view(), pool);
    }
  }
}

TEST(LogisticRegression, SameForAnyThreadCount) {
  const auto train = embeddings(5, 260, 70, 33, 0.2), test = embeddings(6, 150, 70, 33, 0.2);
  ThreadPool one(1), three(3);
  const auto a = fit_logistic(train.x.view(), train.labels, {}, one);
  const auto b = fit_logistic(train.x.view(), train.labels, {}, three);
  EXPECT_EQ(a.intercepts, b.intercepts);
  EXPECT_EQ(a.objective, b.objective);
  EXPECT_EQ(a.predict(test.x.view(), one), b.predict(test.x.view(), three));
}

TEST(LogisticRegression, ManyEqualsOneByOne) {
  const auto all = embeddings(9, 300, 24, 6, 0.2);
  std::vector<std::vector<size_t>> samples(3);
  for (size_t r = 0; r < 300; ++r) samples[r / 6 % 3].push_back(r);
  ThreadPool pool(2);
  const auto models = fit_logistic_many(all.x.view(), all.labels, samples, {}, pool);
  const auto predictions = predict_many(models, all.x.view(), pool);
  for (size_t e = 0; e < samples.size(); ++e) {
    Mat<float> x(samples[e].size(), 24);
    std::vector<int32_t> y;
    for (size_t i = 0; i < samples[e].size(); ++i) {
      std::copy_n(all.x.row(samples[e][i]), 24, x.row(i));
      y.push_back(all.labels[samples[e][i]]);
    }
    const auto single = fit_logistic(x.view(), y, {}, pool);
    EXPECT_EQ(single.intercepts, models[e].intercepts);
    EXPECT_EQ(single.predict(all.x.view(), pool), predictions[e]);
    Mat<double> decision(300, 6);
    single.decision(all.x.view(), decision.view(), pool);
    for (size_t r = 0; r < 300; ++r) {
      const double* row = decision.row(r);
      EXPECT_EQ(std::max_element(row, row + 6) - row, predictions[e][r]);
    }
  }
}

TEST(LogisticRegression, KeepsTheLabelsItWasGiven) {
  ThreadPool pool(1);
  auto train = embeddings(3, 40, 8, 2, 0.4);
  for (auto& label : train.labels) label = label == 0 ? 7 : -3;
  const auto model = fit_logistic(train.x.view(), train.labels, {}, pool);
  EXPECT_EQ(model.classes, (std::vector<int32_t>{-3, 7}));
  const auto predicted = model.predict(train.x.view(), pool);
  for (size_t r = 0; r < predicted.size(); ++r) EXPECT_EQ(predicted[r], train.labels[r]);
}

TEST(LogisticRegression, Refuses) {
  ThreadPool pool(1);
  auto train = embeddings(3, 10, 4, 2, 0.4);
  const std::vector<int32_t> same(10, 1);
  EXPECT_THROW(fit_logistic(train.x.view(), same, {}, pool), Error);
  EXPECT_THROW(fit_logistic(train.x.view(), {same.data(), 3}, {}, pool), Error);
  EXPECT_THROW(fit_logistic(train.x.view(), train.labels, {.c = 0}, pool), Error);
  EXPECT_THROW(fit_logistic(MatView<const float>(), {}, {}, pool), Error);
  train.x(4, 2) = std::nanf("");
  try {
    fit_logistic(train.x.view(), train.labels, {}, pool);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(e.message().find("row 4"), std::string::npos) << e.message();
  }
}

// (x - 3)^4 + 10 y^2 + x y, on which line searches have to extrapolate and to bracket.
class Quartic : public LineObjective {
 public:
  double start(std::span<double> gradient) override { return evaluate(gradient); }
  void set_direction(std::span<const double> direction) override {
    dx_ = direction[0];
    dy_ = direction[1];
  }
  LinePoint at(double step) override {
    Quartic there = *this;
    there.x_ += step * dx_;
    there.y_ += step * dy_;
    double g[2];
    const double value = there.evaluate(g);
    return {value, g[0] * dx_ + g[1] * dy_};
  }
  void accept(double step, std::span<double> gradient) override {
    x_ += step * dx_;
    y_ += step * dy_;
    evaluate(gradient);
  }
  double x_ = -2, y_ = 5;

 private:
  double evaluate(std::span<double> g) const {
    const double u = x_ - 3;
    g[0] = 4 * u * u * u + y_;
    g[1] = 20 * y_ + x_;
    return u * u * u * u + 10 * y_ * y_ + x_ * y_;
  }
  double dx_ = 0, dy_ = 0;
};

TEST(Lbfgs, WalksAsScipyDoes) {
  // scipy.optimize.minimize(f, [-2, 5], method="L-BFGS-B", jac=True, options={"gtol": 1e-8,
  // "ftol": 1e-14}) gives these counts and this point.
  Quartic objective;
  const auto result =
      minimise_lbfgs(objective, 2, {.gradient_tolerance = 1e-8, .value_tolerance = 1e-14});
  EXPECT_TRUE(result.converged);
  EXPECT_EQ(result.iterations, 18U);
  EXPECT_EQ(result.evaluations, 21U);
  EXPECT_NEAR(objective.x_, 3.3471593, 1e-6);
  EXPECT_NEAR(objective.y_, -0.16735796, 1e-6);
}

TEST(KMeans, EqualsScikitLearn) {
  ThreadPool pool(2);
  for (const auto& row : goldens("fits").at("kmeans")) {
    const auto data = of_case(row);
    for (const auto& [key, regime] : {std::pair{"randint", KMeansRegime::randint},
                                      {"choice_centre", KMeansRegime::choice_centre},
                                      {"choice_batch", KMeansRegime::choice_batch}}) {
      SCOPED_TRACE(row.at("name").get<std::string>() + ", " + key);
      const auto got = mini_batch_kmeans(data.x.view(),
                                         {.clusters = row.at("clusters").get<size_t>(),
                                          .batch_rows = row.at("batch").get<size_t>(),
                                          .regime = regime},
                                         pool);
      const Json& expected = row.at(key);
      EXPECT_EQ(got.steps, expected.at("steps").get<size_t>());
      EXPECT_EQ(got.labels, expected.at("labels").get<std::vector<int32_t>>());
      EXPECT_NEAR(v_measure(data.labels, got.labels).v, expected.at("v").get<double>(), 1e-9);
      const auto inertia = expected.value("inertia", -1.0);
      EXPECT_TRUE(inertia < 0 || near(got.inertia, inertia, 1e-5)) << got.inertia;
    }
  }
}

TEST(KMeans, SameForAnyThreadCount) {
  const auto data = embeddings(4, 900, 20, 15, 0.3);
  ThreadPool one(1), three(3);
  const auto a = mini_batch_kmeans(data.x.view(), {.clusters = 15}, one);
  const auto b = mini_batch_kmeans(data.x.view(), {.clusters = 15}, three);
  EXPECT_EQ(a.labels, b.labels);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.inertia, b.inertia);
}

TEST(KMeans, AdversarialData) {
  ThreadPool pool(2);
  Mat<float> same(40, 6);  // all rows alike
  const auto flat = mini_batch_kmeans(same.view(), {.clusters = 5, .batch_rows = 10}, pool);
  EXPECT_EQ(flat.labels, std::vector<int32_t>(40, 0));
  EXPECT_EQ(flat.inertia, 0);
  const auto few = embeddings(1, 3, 2, 2, 0.1);  // a row each
  const auto own = mini_batch_kmeans(few.x.view(), {.clusters = 3}, pool);
  EXPECT_EQ(own.labels.size(), 3U);
  EXPECT_THROW(mini_batch_kmeans(few.x.view(), {.clusters = 4}, pool), Error);
  EXPECT_THROW(mini_batch_kmeans(few.x.view(), {.clusters = 0}, pool), Error);
  EXPECT_THROW(mini_batch_kmeans(few.x.view(), {.clusters = 2, .batch_rows = 0}, pool), Error);
  auto broken = embeddings(1, 30, 2, 2, 0.1);
  broken.x(3, 1) = HUGE_VALF;
  EXPECT_THROW(mini_batch_kmeans(broken.x.view(), {.clusters = 2}, pool), Error);
}

TEST(Neighbors, EqualsASortByDistance) {
  const auto train = embeddings(11, 130, 19, 7, 0.1), queries = embeddings(12, 101, 19, 7, 0.1);
  ThreadPool pool(2);
  const auto near_rows = nearest_rows(train.x.view(), queries.x.view(), 5, pool);
  for (size_t q = 0; q < 101; ++q) {
    std::vector<std::pair<double, uint32_t>> all;
    for (uint32_t t = 0; t < 130; ++t) {
      double sum = 0;
      for (size_t k = 0; k < 19; ++k) {
        const double d = static_cast<double>(train.x(t, k)) - queries.x(q, k);
        sum += d * d;
      }
      all.emplace_back(sum, t);
    }
    std::sort(all.begin(), all.end());
    for (size_t i = 0; i < 5; ++i) EXPECT_EQ(near_rows(q, i), all[i].second);
  }
}

TEST(Neighbors, TiesVotesAndRefusals) {
  ThreadPool pool(1);
  Mat<float> train(4, 2);
  train(2, 0) = 1;
  train(3, 0) = 5;
  Mat<uint8_t> labels(4, 2);
  labels(0, 0) = labels(1, 0) = labels(2, 1) = 1;
  Mat<float> query(1, 2);
  const auto order = nearest_rows(train.view(), query.view(), 4, pool);
  EXPECT_EQ(std::vector<uint32_t>(order.data(), order.data() + 4),
            (std::vector<uint32_t>{0, 1, 2, 3}));
  const auto votes = vote_multilabel(train.view(), labels.view(), query.view(), 3, pool);
  EXPECT_EQ(votes(0, 0), 1);
  EXPECT_EQ(votes(0, 1), 0);
  EXPECT_THROW(nearest_rows(train.view(), query.view(), 5, pool), Error);
  EXPECT_THROW(nearest_rows(train.view(), query.view(), 0, pool), Error);
  EXPECT_THROW(nearest_rows(train.view(), Mat<float>(1, 3).view(), 1, pool), Error);
  query(0, 0) = std::nanf("");
  EXPECT_THROW(nearest_rows(train.view(), query.view(), 1, pool), Error);
}

TEST(Dense, ProductsEqualPlainLoops) {
  NumpyRandom rng(3);
  for (const size_t rows : {1U, 2U, 11U, 12U, 13U, 40U}) {
    for (const size_t depth : {1U, 7U, 64U}) {
      const size_t columns = rows * 3 / 2 + 1, panels = dense::panels_of(columns);
      Mat<double> a(rows, depth), b(panels * depth, dense::kPanel);
      Mat<double> out(panels * rows, dense::kPanel);
      for (size_t i = 0; i < rows * depth; ++i) a.data()[i] = rng.uniform() - 0.5;
      for (size_t k = 0; k < depth; ++k) {
        for (size_t c = 0; c < columns; ++c)
          b.data()[dense::packed_at(k, c, depth)] = rng.uniform() - 0.5;
      }
      dense::multiply(a.view(), 0, rows, b.data(), panels, out.data(), rows);
      for (size_t r = 0; r < rows; ++r) {
        for (size_t c = 0; c < columns; ++c) {
          double sum = 0;
          for (size_t k = 0; k < depth; ++k)
            sum += a(r, k) * b.data()[dense::packed_at(k, c, depth)];
          EXPECT_NEAR(out.data()[dense::packed_at(r, c, rows)], sum, 1e-13);
        }
      }
      EXPECT_NEAR(dense::dot(a.data(), a.data(), rows * depth),
                  dense::dot_two(a.data(), a.data(), a.data(), rows * depth).y, 1e-12);
    }
  }
}

}  // namespace
}  // namespace akin::eval
