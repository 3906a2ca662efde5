// The line search of L-BFGS-B: a step that meets the strong Wolfe conditions (decrease 1e-3,
// curvature 0.9), by safeguarded cubic and quadratic interpolation in a shrinking interval.
#include <algorithm>
#include <cmath>

#include "eval/lbfgs.h"

namespace akin::eval {
namespace {

constexpr double kDecrease = 1e-3, kCurvature = 0.9, kIntervalTolerance = 0.1;
constexpr double kLeastStep = 0, kMostStep = 1e10;

// The parts of the cubic through two points with slopes; Moré and Thuente, section 4.
struct Cubic {
  double theta, gamma;
};
Cubic cubic(double value_a, double slope_a, double value_b, double slope_b, double distance,
            bool clamp) {
  const double theta = 3 * (value_a - value_b) / distance + slope_a + slope_b;
  const double s = std::max({std::abs(theta), std::abs(slope_a), std::abs(slope_b)});
  double inside = (theta / s) * (theta / s) - slope_a / s * (slope_b / s);
  if (clamp) inside = std::max(0.0, inside);
  return {theta, s * std::sqrt(inside)};
}

}  // namespace

MoreThuente::MoreThuente(double value, double slope, double step)
    : start_value_(value),
      start_slope_(slope),
      slope_test_(kDecrease * slope),
      best_{0, value, slope},
      other_{0, value, slope},
      step_(step),
      most_(step + 4 * step),
      width_(kMostStep - kLeastStep),
      last_width_(2 * width_) {}

MoreThuente::State MoreThuente::next(LinePoint point) {
  const double test = start_value_ + step_ * slope_test_;
  if (first_stage_ && point.value <= test && point.slope >= 0) first_stage_ = false;
  State state = State::evaluate;
  if (bracketed_ && (step_ <= least_ || step_ >= most_)) state = State::warning;
  if (bracketed_ && most_ - least_ <= kIntervalTolerance * most_) state = State::warning;
  if (step_ == kMostStep && point.value <= test && point.slope <= slope_test_)
    state = State::warning;
  if (step_ == kLeastStep && (point.value > test || point.slope >= slope_test_))
    state = State::warning;
  if (point.value <= test && std::abs(point.slope) <= kCurvature * -start_slope_)
    state = State::converged;
  if (state != State::evaluate) return state;

  const End trial = {step_, point.value, point.slope};
  if (first_stage_ && point.value <= best_.value && point.value > test) {
    // The value less the line of sufficient decrease, until its minimum is bracketed.
    const auto lower = [&](End e) {
      return End{e.step, e.value - e.step * slope_test_, e.slope - slope_test_};
    };
    const auto raise = [&](End e) {
      return End{e.step, e.value + e.step * slope_test_, e.slope + slope_test_};
    };
    End best = lower(best_), other = lower(other_);
    update(best, other, lower(trial));
    best_ = raise(best);
    other_ = raise(other);
  } else {
    update(best_, other_, trial);
  }
  if (bracketed_) {
    const double width = std::abs(other_.step - best_.step);
    if (width >= 0.66 * last_width_) step_ = best_.step + 0.5 * (other_.step - best_.step);
    last_width_ = width_;
    width_ = width;
    least_ = std::min(best_.step, other_.step);
    most_ = std::max(best_.step, other_.step);
  } else {
    least_ = step_ + 1.1 * (step_ - best_.step);
    most_ = step_ + 4 * (step_ - best_.step);
  }
  step_ = std::clamp(step_, kLeastStep, kMostStep);
  if (bracketed_ &&
      (step_ <= least_ || step_ >= most_ || most_ - least_ <= kIntervalTolerance * most_)) {
    step_ = best_.step;
  }
  return State::evaluate;
}

// Chooses the next step from the best end, the other end and the trial, and narrows the interval.
void MoreThuente::update(End& best, End& other, End trial) {
  const double ahead = trial.step - best.step;
  const bool opposite = trial.slope * (best.slope / std::abs(best.slope)) < 0;
  double next = 0;
  if (trial.value > best.value) {  // higher: the minimum lies between
    auto [theta, gamma] = cubic(best.value, best.slope, trial.value, trial.slope, ahead, false);
    if (trial.step < best.step) gamma = -gamma;
    const double r = (gamma - best.slope + theta) / (gamma - best.slope + gamma + trial.slope);
    const double by_cubic = best.step + r * ahead;
    const double by_square =
        best.step + best.slope / ((best.value - trial.value) / ahead + best.slope) / 2 * ahead;
    next = std::abs(by_cubic - best.step) < std::abs(by_square - best.step)
               ? by_cubic
               : by_cubic + (by_square - by_cubic) / 2;
    bracketed_ = true;
  } else if (opposite) {  // lower, and the slope has turned
    auto [theta, gamma] = cubic(best.value, best.slope, trial.value, trial.slope, ahead, false);
    if (trial.step > best.step) gamma = -gamma;
    const double r = (gamma - trial.slope + theta) / (gamma - trial.slope + gamma + best.slope);
    const double by_cubic = trial.step - r * ahead;
    const double by_secant = trial.step - trial.slope / (trial.slope - best.slope) * ahead;
    next =
        std::abs(by_cubic - trial.step) > std::abs(by_secant - trial.step) ? by_cubic : by_secant;
    bracketed_ = true;
  } else if (std::abs(trial.slope) < std::abs(best.slope)) {  // lower, the slope flattens
    auto [theta, gamma] = cubic(best.value, best.slope, trial.value, trial.slope, ahead, true);
    if (trial.step > best.step) gamma = -gamma;
    const double r = (gamma - trial.slope + theta) / (gamma + (best.slope - trial.slope) + gamma);
    double by_cubic = trial.step > best.step ? most_ : least_;
    if (r < 0 && gamma != 0) by_cubic = trial.step - r * ahead;
    const double by_secant = trial.step - trial.slope / (trial.slope - best.slope) * ahead;
    const bool cubic_nearer = std::abs(by_cubic - trial.step) < std::abs(by_secant - trial.step);
    if (bracketed_) {
      next = cubic_nearer ? by_cubic : by_secant;
      const double limit = trial.step + 0.66 * (other.step - trial.step);
      next = trial.step > best.step ? std::min(limit, next) : std::max(limit, next);
    } else {
      next = std::clamp(cubic_nearer ? by_secant : by_cubic, least_, most_);
    }
  } else if (bracketed_) {  // lower, and steeper still
    auto [theta, gamma] =
        cubic(trial.value, trial.slope, other.value, other.slope, other.step - trial.step, false);
    if (trial.step > other.step) gamma = -gamma;
    const double r = (gamma - trial.slope + theta) / (gamma - trial.slope + gamma + other.slope);
    next = trial.step + r * (other.step - trial.step);
  } else {
    next = trial.step > best.step ? most_ : least_;
  }
  if (trial.value > best.value) {
    other = trial;
  } else {
    if (opposite) other = best;
    best = trial;
  }
  step_ = next;
}

}  // namespace akin::eval
