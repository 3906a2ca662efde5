// Logistic regression as scikit-learn's LogisticRegression(solver="lbfgs") fits it: L2 on weights,
// not on intercepts, softmax over 3 or more classes, one sigmoid for 2, in float64, stopped where
// L-BFGS-B stops (lbfgs.h). Embedding benchmarks score that early stop, not the optimum.
//
// Shapes: N rows, D features, C classes; W is [C, D], or [1, D] for 2 classes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/mat.h"

namespace akin {
class ThreadPool;
}

namespace akin::eval {

// mean: loss averaged over rows, penalty / (2 C N), ftol 64 eps, 50 line-search steps
//       (scikit-learn 1.4 and later).
// sum:  loss summed, penalty / (2 C), ftol 2.2e-9, 20 line-search steps (up to 1.3).
enum class LogisticForm : uint8_t { mean, sum };

struct LogisticOptions {
  LogisticForm form = LogisticForm::mean;
  double c = 1.0;  // inverse strength of the penalty
  double gradient_tolerance = 1e-4;
  size_t max_iterations = 100;
};

struct LogisticModel {
  std::vector<int32_t> classes;  // rising; column c of a prediction means classes[c]
  Mat<double> weights;           // [C, D] or [1, D]
  std::vector<double> intercepts;
  size_t iterations = 0, evaluations = 0;
  double objective = 0;
  bool converged = false;  // false: max_iterations reached, or the line search failed

  // Decision values, [N, rows of weights]; out must have that shape.
  void decision(MatView<const float> x, MatView<double> out, ThreadPool& pool) const;
  // The class of each row: first greatest decision value; for 2 classes the second when > 0.
  std::vector<int32_t> predict(MatView<const float> x, ThreadPool& pool) const;
};

// y: labels, any integers, at least two distinct. The result does not depend on the pool's size.
// Errors: usage for no rows, sizes that differ, one class only, a value of x that is not finite, or
// c <= 0.
LogisticModel fit_logistic(MatView<const float> x, std::span<const int32_t> y,
                           const LogisticOptions& options, ThreadPool& pool);

// Several independent fits, one sample of rows each: what a task's experiments are. rows[e] are row
// numbers of x (and of y, which is as long as x). Each experiment runs on one thread.
std::vector<LogisticModel> fit_logistic_many(MatView<const float> x, std::span<const int32_t> y,
                                             std::span<const std::vector<size_t>> rows,
                                             const LogisticOptions& options, ThreadPool& pool);

// The predictions of several models (all of one width) for the same rows, read once: [model][row].
// Errors: usage when a value of x is not finite.
std::vector<std::vector<int32_t>> predict_many(std::span<const LogisticModel> models,
                                               MatView<const float> x, ThreadPool& pool);

}  // namespace akin::eval
