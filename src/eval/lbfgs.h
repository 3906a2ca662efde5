// L-BFGS-B without bounds, step for step: what scipy.optimize.minimize(method="L-BFGS-B") does
// when no variable is bounded, so that a fit stops at the same iteration. The direction, in
// exact arithmetic the same as the compact form's, comes from the two-loop recursion over inner
// products. Follows Byrd, Lu, Nocedal, Zhu, SIAM J. Sci. Comput. 16 (1995); line search: Moré and
// Thuente, ACM TOMS 20 (1994).
#pragma once

#include <cstddef>
#include <span>

namespace akin::eval {

struct LbfgsOptions {
  size_t memory = 10;
  size_t max_iterations = 100;
  size_t max_evaluations = 15000;
  size_t max_line_steps = 20;
  double gradient_tolerance = 1e-4;                 // on the greatest absolute partial derivative
  double value_tolerance = 2.2204460492503131e-09;  // on the decrease, relative to the value
};

struct LinePoint {
  double value = 0, slope = 0;  // the objective, and its derivative by the step
};

// A function seen along lines, for objectives where a move along a direction is cheaper than a new
// point: the parameters live in the objective.
class LineObjective {
 public:
  virtual ~LineObjective() = default;
  // The value and the gradient at the current point.
  virtual double start(std::span<double> gradient) = 0;
  virtual void set_direction(std::span<const double> direction) = 0;
  virtual LinePoint at(double step) = 0;
  // Moves to the step last asked for and gives the gradient there.
  virtual void accept(double step, std::span<double> gradient) = 0;
};

struct LbfgsResult {
  double value = 0;
  size_t iterations = 0, evaluations = 0;
  bool converged = false;
};
LbfgsResult minimise_lbfgs(LineObjective& objective, size_t size, const LbfgsOptions& options);

// The line search alone: feed it values until done. Step lengths are in [0, 1e10].
class MoreThuente {
 public:
  MoreThuente(double value, double slope, double step);
  enum class State { evaluate, converged, warning };
  State next(LinePoint point);  // the point at step(); then ask step() again
  double step() const { return step_; }

 private:
  struct End {
    double step, value, slope;
  };
  void update(End& best, End& other, End trial);
  double start_value_, start_slope_, slope_test_;
  End best_, other_;
  double step_, least_ = 0, most_, width_, last_width_;
  bool bracketed_ = false, first_stage_ = true;
};

}  // namespace akin::eval
