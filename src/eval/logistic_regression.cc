#include "eval/logistic_regression.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <string_view>

#include "base/threads.h"
#include "eval/checks.h"
#include "eval/dense.h"
#include "eval/lbfgs.h"

namespace akin::eval {
namespace {

constexpr std::string_view kWhere = "logistic regression";
using dense::kPanel;
constexpr size_t kRowGrain = 48, kPredictGrain = 96;  // rows to a block of work: whole tiles

// The labels as 0..C-1 in rising order.
std::vector<int32_t> class_ids(std::span<const int32_t> y, std::vector<int32_t>& classes) {
  classes.assign(y.begin(), y.end());
  std::sort(classes.begin(), classes.end());
  classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  std::vector<int32_t> ids;
  ids.reserve(y.size());
  for (const int32_t label : y) {
    const auto at = std::lower_bound(classes.begin(), classes.end(), label);
    ids.push_back(static_cast<int32_t>(at - classes.begin()));
  }
  return ids;
}

// The loss of a linear model with an intercept. Parameters and gradient are packed matrices of
// depth D + 1 (the intercept last) with a column a class, so that both products of an evaluation
// read them as they are: raw = X W, and gradient = X^T residuals.
class LogisticObjective : public LineObjective {
 public:
  LogisticObjective(MatView<const float> x, std::span<const size_t> rows,
                    std::vector<int32_t> labels, size_t classes, const LogisticOptions& options,
                    ThreadPool* pool)
      : labels_(std::move(labels)),
        rows_(rows.size()),
        depth_(x.cols() + 1),
        columns_(classes == 2 ? 1 : classes),
        panels_(dense::panels_of(columns_)),
        pool_(pool),
        x_(rows_, depth_),
        xt_(depth_, rows_),
        parameters_(1, size()),
        direction_(1, size()),
        raw_(1, panels_ * rows_ * kPanel),
        raw_direction_(1, panels_ * rows_ * kPanel),
        residuals_(1, panels_ * rows_ * kPanel),
        losses_(rows_),
        slopes_(rows_) {
    const bool mean = options.form == LogisticForm::mean;
    loss_scale_ = mean ? 1 / static_cast<double>(rows_) : 1;
    penalty_ = loss_scale_ / options.c;
    for (size_t r = 0; r < rows_; ++r) {
      const float* row = x.row(rows[r]);
      for (size_t k = 0; k + 1 < depth_; ++k) x_(r, k) = xt_(k, r) = row[k];
      x_(r, depth_ - 1) = xt_(depth_ - 1, r) = 1;
    }
  }

  size_t size() const { return panels_ * depth_ * kPanel; }

  double start(std::span<double> gradient) override {
    const double value = at(0).value;
    find_gradient(gradient);
    return value;
  }

  void set_direction(std::span<const double> direction) override {
    std::copy(direction.begin(), direction.end(), direction_.data());
    dense::for_blocks(pool_, rows_, kRowGrain, [&](size_t begin, size_t end) {
      dense::multiply(x_.view(), begin, end, direction_.data(), panels_, raw_direction_.data(),
                      rows_);
    });
    square_ = weights_dot(parameters_.data(), parameters_.data());
    cross_ = weights_dot(parameters_.data(), direction_.data());
    direction_square_ = weights_dot(direction_.data(), direction_.data());
  }

  LinePoint at(double step) override {
    const dense::SoftmaxArgs args = {
        raw_.data(), raw_direction_.data(), step,           labels_.data(), rows_, columns_,
        loss_scale_, residuals_.data(),     losses_.data(), slopes_.data()};
    dense::for_blocks(pool_, rows_, kRowGrain, [&](size_t begin, size_t end) {
      if (columns_ == 1) {
        dense::sigmoid(args, begin, end);
      } else {
        dense::softmax(args, begin, end);
      }
    });
    const double loss = std::accumulate(losses_.begin(), losses_.end(), 0.0);
    const double slope = std::accumulate(slopes_.begin(), slopes_.end(), 0.0);
    const double square = square_ + step * (2 * cross_ + step * direction_square_);
    return {loss * loss_scale_ + 0.5 * penalty_ * square,
            slope * loss_scale_ + penalty_ * (cross_ + step * direction_square_)};
  }

  void accept(double step, std::span<double> gradient) override {
    dense::add_scaled(parameters_.data(), step, direction_.data(), size());
    dense::add_scaled(raw_.data(), step, raw_direction_.data(), panels_ * rows_ * kPanel);
    find_gradient(gradient);
  }

  double parameter(size_t k, size_t column) const {
    return parameters_.data()[dense::packed_at(k, column, depth_)];
  }
  size_t columns() const { return columns_; }

 private:
  void find_gradient(std::span<double> gradient) const {
    dense::for_blocks(pool_, depth_, kRowGrain, [&](size_t begin, size_t end) {
      dense::multiply(xt_.view(), begin, end, residuals_.data(), panels_, gradient.data(), depth_);
    });
    for (size_t p = 0; p < panels_; ++p) {
      const size_t begin = p * depth_ * kPanel;
      dense::add_scaled(gradient.data() + begin, penalty_, parameters_.data() + begin,
                        (depth_ - 1) * kPanel);
    }
  }

  // Of the weights alone: the intercepts bear no penalty.
  double weights_dot(const double* a, const double* b) const {
    double sum = 0;
    for (size_t p = 0; p < panels_; ++p) {
      const size_t begin = p * depth_ * kPanel;
      sum += dense::dot(a + begin, b + begin, (depth_ - 1) * kPanel);
    }
    return sum;
  }

  std::vector<int32_t> labels_;
  size_t rows_, depth_, columns_, panels_;
  ThreadPool* pool_;
  double loss_scale_ = 1, penalty_ = 1;
  Mat<double> x_, xt_;  // [N, D + 1] with a last column of ones, and its transpose
  Mat<double> parameters_, direction_;
  Mat<double> raw_, raw_direction_, residuals_;  // packed, [P][N][kPanel]
  std::vector<double> losses_, slopes_;
  double square_ = 0, cross_ = 0, direction_square_ = 0;
};

void check_options(const LogisticOptions& options) {
  if (options.c > 0 && std::isfinite(options.c)) return;
  throw_error(ErrorKind::usage, kWhere, "c is {}, expected a positive number", options.c);
}

LogisticModel fit_rows(MatView<const float> x, std::span<const int32_t> y,
                       std::span<const size_t> rows, const LogisticOptions& options,
                       ThreadPool* pool) {
  check_rows(rows.size(), 2, kWhere);
  std::vector<int32_t> labels;
  labels.reserve(rows.size());
  for (const size_t row : rows) labels.push_back(y[row]);
  LogisticModel model;
  auto ids = class_ids(labels, model.classes);
  if (model.classes.size() < 2) {
    throw_error(ErrorKind::usage, kWhere,
                "all {} training rows have the label {}, expected at least two labels", rows.size(),
                model.classes.front());
  }
  LogisticObjective objective(x, rows, std::move(ids), model.classes.size(), options, pool);
  LbfgsOptions solver;
  solver.max_iterations = options.max_iterations;
  solver.gradient_tolerance = options.gradient_tolerance;
  if (options.form == LogisticForm::mean) {
    solver.max_line_steps = 50;
    solver.value_tolerance = 64 * std::numeric_limits<double>::epsilon();
  }
  const LbfgsResult result = minimise_lbfgs(objective, objective.size(), solver);
  model.iterations = result.iterations;
  model.evaluations = result.evaluations;
  model.objective = result.value;
  model.converged = result.converged;
  model.weights = Mat<double>(objective.columns(), x.cols());
  for (size_t c = 0; c < objective.columns(); ++c) {
    for (size_t k = 0; k < x.cols(); ++k) model.weights(c, k) = objective.parameter(k, c);
    model.intercepts.push_back(objective.parameter(x.cols(), c));
  }
  return model;
}

// The weights of several models side by side, packed: a model begins at a whole panel unless all
// have one column, so that binary models of many experiments share panels.
class PackedModels {
 public:
  explicit PackedModels(std::span<const LogisticModel> models)
      : depth_(models.front().weights.cols() + 1) {
    const bool narrow = std::all_of(models.begin(), models.end(),
                                    [](const LogisticModel& m) { return m.weights.rows() == 1; });
    size_t columns = 0;
    for (const auto& model : models) {
      begins_.push_back(columns);
      columns += narrow ? 1 : dense::panels_of(model.weights.rows()) * kPanel;
    }
    panels_ = dense::panels_of(columns);
    data_ = Mat<double>(panels_ * depth_, kPanel);
    for (size_t m = 0; m < models.size(); ++m) add(models[m], begins_[m]);
  }

  size_t panels() const { return panels_; }
  size_t begin(size_t model) const { return begins_[model]; }

  // scores: [P][rows][kPanel] of the rows [begin, end) of x. scratch: [rows, D + 1].
  void run(MatView<const float> x, size_t begin, size_t end, Mat<double>& scratch,
           double* scores) const {
    AKIN_CHECK(x.cols() + 1 == depth_);
    for (size_t r = begin; r < end; ++r) {
      double* row = scratch.row(r - begin);
      std::copy_n(x.row(r), x.cols(), row);
      row[x.cols()] = 1;
    }
    dense::multiply(scratch.view(), 0, end - begin, data_.data(), panels_, scores, end - begin);
  }

 private:
  void add(const LogisticModel& model, size_t column) {
    AKIN_CHECK(model.weights.cols() + 1 == depth_);
    for (size_t c = 0; c < model.weights.rows(); ++c) {
      for (size_t k = 0; k + 1 < depth_; ++k)
        data_.data()[dense::packed_at(k, column + c, depth_)] = model.weights(c, k);
      data_.data()[dense::packed_at(depth_ - 1, column + c, depth_)] = model.intercepts[c];
    }
  }
  size_t depth_, panels_ = 0;
  std::vector<size_t> begins_;
  Mat<double> data_;
};

// Calls use(begin, end, scores) for blocks of rows of x, on the pool's threads.
template <class Use>
void for_scores(const PackedModels& packed, MatView<const float> x, ThreadPool& pool,
                const Use& use) {
  dense::for_blocks(&pool, x.rows(), kPredictGrain, [&](size_t begin, size_t end) {
    thread_local Mat<double> scratch, scores;
    if (scratch.rows() < kPredictGrain || scratch.cols() != x.cols() + 1)
      scratch = Mat<double>(kPredictGrain, x.cols() + 1);
    const size_t size = packed.panels() * kPredictGrain * kPanel;
    if (scores.cols() < size) scores = Mat<double>(1, size);
    packed.run(x, begin, end, scratch, scores.data());
    use(begin, end, scores.data());
  });
}

}  // namespace

LogisticModel fit_logistic(MatView<const float> x, std::span<const int32_t> y,
                           const LogisticOptions& options, ThreadPool& pool) {
  check_options(options);
  check_same_size(y.size(), x.rows(), kWhere, "labels");
  check_finite(x, kWhere, "training embeddings");
  std::vector<size_t> rows(x.rows());
  std::iota(rows.begin(), rows.end(), size_t{0});
  return fit_rows(x, y, rows, options, &pool);
}

std::vector<LogisticModel> fit_logistic_many(MatView<const float> x, std::span<const int32_t> y,
                                             std::span<const std::vector<size_t>> rows,
                                             const LogisticOptions& options, ThreadPool& pool) {
  check_options(options);
  check_same_size(y.size(), x.rows(), kWhere, "labels");
  check_finite(x, kWhere, "training embeddings");
  for (const auto& sample : rows) {
    for (const size_t row : sample) AKIN_CHECK(row < x.rows());
  }
  std::vector<LogisticModel> models(rows.size());
  parallel_for(pool, rows.size(), 1,
               [&](size_t e, size_t) { models[e] = fit_rows(x, y, rows[e], options, nullptr); });
  return models;
}

void LogisticModel::decision(MatView<const float> x, MatView<double> out, ThreadPool& pool) const {
  AKIN_CHECK(out.rows() == x.rows() && out.cols() == weights.rows());
  const PackedModels packed({this, 1});
  for_scores(packed, x, pool, [&](size_t begin, size_t end, const double* scores) {
    for (size_t r = begin; r < end; ++r) {
      for (size_t c = 0; c < weights.rows(); ++c)
        out(r, c) = scores[dense::packed_at(r - begin, c, end - begin)];
    }
  });
}

std::vector<int32_t> LogisticModel::predict(MatView<const float> x, ThreadPool& pool) const {
  return std::move(predict_many({this, 1}, x, pool).front());
}

std::vector<std::vector<int32_t>> predict_many(std::span<const LogisticModel> models,
                                               MatView<const float> x, ThreadPool& pool) {
  if (models.empty()) return {};
  check_finite(x, kWhere, "test embeddings");
  std::vector<std::vector<int32_t>> out(models.size(), std::vector<int32_t>(x.rows()));
  const PackedModels packed(models);
  for_scores(packed, x, pool, [&](size_t begin, size_t end, const double* scores) {
    const size_t rows = end - begin;
    for (size_t m = 0; m < models.size(); ++m) {
      const size_t first = packed.begin(m), columns = models[m].weights.rows();
      for (size_t r = 0; r < rows; ++r) {
        const auto score = [&](size_t c) { return scores[dense::packed_at(r, first + c, rows)]; };
        size_t best = 0;
        if (columns == 1) {
          best = score(0) > 0 ? 1 : 0;
        } else {
          for (size_t c = 1; c < columns; ++c) best = score(c) > score(best) ? c : best;
        }
        out[m][begin + r] = models[m].classes[best];
      }
    }
  });
  return out;
}

}  // namespace akin::eval
