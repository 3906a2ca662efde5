// Pearson and Spearman with two-sided p-values, and ranks with ties averaged. Float64 throughout;
// equal to scipy.stats within 1e-9. A constant side gives NaN, as there; NaN or infinite input is
// refused (usage).
#pragma once

#include <span>
#include <vector>

namespace akin::eval {

struct Correlation {
  double statistic = 0;  // NaN when a side is constant
  double p_value = 0;    // two-sided, Student's t with n - 2 degrees of freedom
};

// Errors: usage when sizes differ, n < 2, or a value is not finite.
Correlation pearson(std::span<const double> x, std::span<const double> y);
Correlation spearman(std::span<const double> x, std::span<const double> y);

// 1-based ranks in rising order, ties given the mean of their ranks.
std::vector<double> average_ranks(std::span<const double> values);

// P(|T| > |t|) of Student's t; dof > 0.
double student_t_two_sided(double t, double dof);

}  // namespace akin::eval
