#include "eval/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/mat.h"
#include "eval/dense.h"

namespace akin::eval {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr double kMaxStep = 1e10;

// The last few steps s and gradient changes y, and their inner products.
class History {
 public:
  History(size_t memory, size_t size) : memory_(memory), size_(size) {
    pairs_.reserve(memory);
    products_.assign(memory * memory, {});
  }

  void clear() { order_.clear(); }
  bool empty() const { return order_.empty(); }

  // Adds s = step * direction and y = gradient - old gradient; s.y and y.y are passed in.
  void add(double step, std::span<const double> direction, std::span<const double> gradient,
           std::span<const double> old_gradient, double sy, double yy) {
    const size_t slot = take_slot();
    Pair& pair = pairs_[slot];
    for (size_t i = 0; i < size_; ++i) {
      pair.s[i] = step * direction[i];
      pair.y[i] = gradient[i] - old_gradient[i];
    }
    for (const size_t other : order_) {  // s of the older, y of the newer: all that is asked for
      const auto [sy_other, yy_other] =
          dense::dot_two(pair.y.data(), pairs_[other].s.data(), pairs_[other].y.data(), size_);
      product(other, slot) = {sy_other, yy_other};
      product(slot, other).yy = yy_other;
    }
    product(slot, slot) = {sy, yy};
    order_.push_back(slot);
  }

  // out = -H gradient.
  void direction(std::span<const double> gradient, std::span<double> out) {
    const size_t n = order_.size();
    std::vector<double> sg(n), yg(n), alpha(n), from_s(n);
    for (size_t i = 0; i < n; ++i) {
      sg[i] = dense::dot(pair(i).s.data(), gradient.data(), size_);
      yg[i] = dense::dot(pair(i).y.data(), gradient.data(), size_);
    }
    for (size_t i = n; i-- > 0;) {  // q = gradient - sum alpha y
      double sq = sg[i];
      for (size_t j = i + 1; j < n; ++j) sq -= alpha[j] * inner(i, j).sy;
      alpha[i] = sq / inner(i, i).sy;
    }
    const double gamma = inner(n - 1, n - 1).sy / inner(n - 1, n - 1).yy;
    for (size_t i = 0; i < n; ++i) {  // r = gamma q + sum from_s s
      double yr = yg[i];
      for (size_t j = 0; j < n; ++j) yr -= alpha[j] * inner(i, j).yy;
      yr *= gamma;
      for (size_t j = 0; j < i; ++j) yr += from_s[j] * inner(j, i).sy;
      from_s[i] = alpha[i] - yr / inner(i, i).sy;
    }
    for (size_t i = 0; i < size_; ++i) out[i] = -gamma * gradient[i];
    for (size_t i = 0; i < n; ++i) {
      dense::add_scaled(out.data(), gamma * alpha[i], pair(i).y.data(), size_);
      dense::add_scaled(out.data(), -from_s[i], pair(i).s.data(), size_);
    }
  }

 private:
  struct Pair {
    AlignedArray<double> s, y;
  };
  struct Products {
    double sy = 0, yy = 0;  // s_i . y_j, y_i . y_j
  };
  size_t take_slot() {
    if (order_.size() == memory_) {
      const size_t oldest = order_.front();
      order_.erase(order_.begin());
      return oldest;
    }
    for (size_t slot = 0; slot < memory_; ++slot) {
      if (std::find(order_.begin(), order_.end(), slot) != order_.end()) continue;
      if (slot == pairs_.size())
        pairs_.push_back({AlignedArray<double>(size_), AlignedArray<double>(size_)});
      return slot;
    }
    return 0;  // not reached: order_ is shorter than the memory
  }
  Pair& pair(size_t i) { return pairs_[order_[i]]; }
  Products& product(size_t a, size_t b) { return products_[a * memory_ + b]; }
  const Products& inner(size_t i, size_t j) { return product(order_[i], order_[j]); }

  size_t memory_, size_;
  std::vector<Pair> pairs_;
  std::vector<size_t> order_;  // slots, oldest first
  std::vector<Products> products_;
};

class Minimiser {
 public:
  Minimiser(LineObjective& objective, size_t size, const LbfgsOptions& options)
      : objective_(objective),
        options_(options),
        size_(size),
        history_(options.memory, size),
        gradient_(size),
        old_gradient_(size),
        direction_(size) {}

  LbfgsResult run() {
    result_.value = objective_.start(span(gradient_));
    result_.evaluations = 1;
    if (dense::max_abs(gradient_.data(), size_) <= options_.gradient_tolerance) {
      result_.converged = true;
      return result_;
    }
    while (iterate()) {
    }
    return result_;
  }

 private:
  std::span<double> span(AlignedArray<double>& a) const { return {a.data(), size_}; }

  void find_direction() {
    if (history_.empty()) {
      for (size_t i = 0; i < size_; ++i) direction_[i] = -gradient_[i];
    } else {
      history_.direction(span(gradient_), span(direction_));
    }
  }

  // One iteration; false at the end.
  bool iterate() {
    const double old_value = result_.value;
    double slope = 0, step = 0;
    while (true) {
      find_direction();
      slope = dense::dot(gradient_.data(), direction_.data(), size_);
      step = search(slope);
      if (step > 0) break;
      if (history_.empty()) return false;  // the gradient itself does not descend
      history_.clear();                    // start again from the gradient
    }
    std::swap(gradient_, old_gradient_);
    objective_.accept(step, span(gradient_));
    ++result_.iterations;
    if (finished(old_value)) return false;
    remember(step, slope);
    return true;
  }

  // A step that lowers the value enough, or 0. Leaves the value there in result_.value.
  double search(double slope) {
    if (!(slope < 0)) return 0;
    objective_.set_direction(span(direction_));
    double step = 1;
    if (result_.iterations == 0) {
      const double norm = std::sqrt(dense::dot(direction_.data(), direction_.data(), size_));
      step = std::min(1 / norm, kMaxStep);
    }
    MoreThuente line(result_.value, slope, step);
    for (size_t tries = 0; tries < options_.max_line_steps; ++tries) {
      const LinePoint point = objective_.at(line.step());
      const double tried = line.step();
      ++result_.evaluations;
      if (line.next(point) == MoreThuente::State::evaluate) continue;
      result_.value = point.value;
      return tried;
    }
    return 0;
  }

  bool finished(double old_value) {
    const double scale = std::max({std::abs(old_value), std::abs(result_.value), 1.0});
    result_.converged = dense::max_abs(gradient_.data(), size_) <= options_.gradient_tolerance;
    if (result_.iterations >= options_.max_iterations ||
        result_.evaluations > options_.max_evaluations) {
      return true;
    }
    if (result_.converged) return true;
    result_.converged = old_value - result_.value <= options_.value_tolerance * scale;
    return result_.converged;
  }

  void remember(double step, double old_slope) {
    double new_slope = 0, yy = 0;
    for (size_t i = 0; i < size_; ++i) {
      const double y = gradient_[i] - old_gradient_[i];
      yy += y * y;
    }
    new_slope = dense::dot(gradient_.data(), direction_.data(), size_);
    const double sy = (new_slope - old_slope) * step;
    if (sy <= kEpsilon * -old_slope * step) return;  // no curvature: keep what there is
    history_.add(step, span(direction_), span(gradient_), span(old_gradient_), sy, yy);
  }

  LineObjective& objective_;
  const LbfgsOptions& options_;
  size_t size_;
  History history_;
  AlignedArray<double> gradient_, old_gradient_, direction_;
  LbfgsResult result_;
};

}  // namespace

LbfgsResult minimise_lbfgs(LineObjective& objective, size_t size, const LbfgsOptions& options) {
  AKIN_CHECK(options.memory > 0);
  return Minimiser(objective, size, options).run();
}

}  // namespace akin::eval
