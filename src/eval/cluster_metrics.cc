#include "eval/cluster_metrics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "eval/checks.h"

namespace akin::eval {
namespace {

struct Cell {
  size_t row, col, count;
};
// How often each pair of labels meets; zero cells are left out.
struct Contingency {
  std::vector<Cell> cells;
  std::vector<size_t> rows, cols;  // marginals
  size_t total = 0;
};

// 0-based ids in the order of the labels, which lie close together, the least first.
std::vector<size_t> close_ids(std::span<const int32_t> labels, int64_t least, size_t range,
                              std::vector<size_t>& sizes) {
  std::vector<size_t> counts(range), id_of(range), ids(labels.size());
  const auto place = [&](int32_t label) { return static_cast<size_t>(label - least); };
  for (const int32_t label : labels) ++counts[place(label)];
  sizes.clear();
  for (size_t i = 0; i < range; ++i) {
    id_of[i] = sizes.size();
    if (counts[i] > 0) sizes.push_back(counts[i]);
  }
  for (size_t i = 0; i < labels.size(); ++i) ids[i] = id_of[place(labels[i])];
  return ids;
}

// 0-based ids in the order of the labels.
std::vector<size_t> dense_ids(std::span<const int32_t> labels, std::vector<size_t>& sizes) {
  if (!labels.empty()) {
    const auto [least, most] = std::minmax_element(labels.begin(), labels.end());
    const auto range = static_cast<size_t>(int64_t{*most} - *least) + 1;
    if (range <= labels.size() + 64) return close_ids(labels, *least, range, sizes);
  }
  std::vector<int32_t> distinct(labels.begin(), labels.end());
  std::sort(distinct.begin(), distinct.end());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  sizes.assign(distinct.size(), 0);
  std::vector<size_t> ids;
  ids.reserve(labels.size());
  for (const int32_t label : labels) {
    const auto at = std::lower_bound(distinct.begin(), distinct.end(), label);
    ids.push_back(static_cast<size_t>(at - distinct.begin()));
    ++sizes[ids.back()];
  }
  return ids;
}

Contingency contingency(std::span<const int32_t> truth, std::span<const int32_t> predicted) {
  check_same_size(predicted.size(), truth.size(), "clustering scores", "predictions");
  Contingency out;
  out.total = truth.size();
  const auto rows = dense_ids(truth, out.rows), cols = dense_ids(predicted, out.cols);
  const size_t width = out.cols.size();
  const auto add = [&](size_t key, size_t count) {
    if (count > 0) out.cells.push_back({key / width, key % width, count});
  };
  if (out.rows.size() * width <= 4 * truth.size() + 1024) {
    std::vector<size_t> counts(out.rows.size() * width);
    for (size_t i = 0; i < rows.size(); ++i) ++counts[rows[i] * width + cols[i]];
    for (size_t key = 0; key < counts.size(); ++key) add(key, counts[key]);
    return out;
  }
  std::vector<size_t> keys(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) keys[i] = rows[i] * width + cols[i];
  std::sort(keys.begin(), keys.end());
  for (size_t begin = 0, end = 0; begin < keys.size(); begin = end) {
    while (end < keys.size() && keys[end] == keys[begin]) ++end;
    add(keys[begin], end - begin);
  }
  return out;
}

double log_count(size_t n) { return std::log(static_cast<double>(n)); }

double entropy(std::span<const size_t> sizes, size_t total) {
  if (sizes.size() <= 1) return 0;
  double sum = 0;
  for (const size_t size : sizes) {
    sum -= static_cast<double>(size) / static_cast<double>(total) *
           (log_count(size) - log_count(total));
  }
  return sum;
}

double mutual_information(const Contingency& table) {
  double sum = 0;
  const double log_total = log_count(table.total);
  for (const Cell& cell : table.cells) {
    const double share = static_cast<double>(cell.count) / static_cast<double>(table.total);
    const double log_outer = log_count(table.rows[cell.row]) + log_count(table.cols[cell.col]);
    const double part =
        share * (log_count(cell.count) - log_total) + share * (2 * log_total - log_outer);
    if (std::abs(part) >= std::numeric_limits<double>::epsilon()) sum += part;
  }
  return std::max(0.0, sum);
}

// E[MI] of two random labellings with these marginals: for each pair of sizes (a, b) the mean of
// n/N log(N n / (a b)) over the hypergeometric law of their overlap n.
class ExpectedInformation {
 public:
  explicit ExpectedInformation(size_t total) : total_(total), log_factorial_(total + 1) {
    for (size_t n = 2; n <= total; ++n)
      log_factorial_[n] = log_factorial_[n - 1] + std::log(static_cast<long double>(n));
  }

  double pair(size_t a, size_t b) const {
    const size_t least = a + b > total_ ? a + b - total_ : 0, most = std::min(a, b);
    const auto mode = static_cast<size_t>(static_cast<double>(a + 1) * static_cast<double>(b + 1) /
                                          static_cast<double>(total_ + 2));
    const size_t start = std::clamp(mode, least, most);
    const double peak = probability(a, b, start);
    double sum = start > 0 ? peak * information(a, b, start) : 0;
    double p = peak;
    for (size_t n = start + 1; n <= most && p > peak * kNegligible; ++n) {
      p *= static_cast<double>(a - n + 1) * static_cast<double>(b - n + 1) /
           (static_cast<double>(n) * static_cast<double>(total_ + n - a - b));
      sum += p * information(a, b, n);
    }
    p = peak;
    for (size_t n = start; n > std::max<size_t>(least, 1) && p > peak * kNegligible; --n) {
      p *= static_cast<double>(n) * static_cast<double>(total_ + n - a - b) /
           (static_cast<double>(a - n + 1) * static_cast<double>(b - n + 1));
      sum += p * information(a, b, n - 1);
    }
    return sum;
  }

 private:
  static constexpr double kNegligible = 1e-22;
  double information(size_t a, size_t b, size_t n) const {
    const auto total = static_cast<double>(total_), overlap = static_cast<double>(n);
    return overlap / total *
           std::log(total * overlap / (static_cast<double>(a) * static_cast<double>(b)));
  }
  double probability(size_t a, size_t b, size_t n) const {
    const auto f = [&](size_t i) { return log_factorial_[i]; };
    return static_cast<double>(std::exp(f(a) + f(b) + f(total_ - a) + f(total_ - b) - f(total_) -
                                        f(n) - f(a - n) - f(b - n) - f(total_ + n - a - b)));
  }
  size_t total_;
  std::vector<long double> log_factorial_;
};

double expected_information(const Contingency& table) {
  const ExpectedInformation expected(table.total);
  std::map<size_t, size_t> rows, cols;  // size -> how many classes have it
  for (const size_t a : table.rows) ++rows[a];
  for (const size_t b : table.cols) ++cols[b];
  double sum = 0;
  for (const auto& [a, a_count] : rows) {
    for (const auto& [b, b_count] : cols)
      sum += static_cast<double>(a_count) * static_cast<double>(b_count) * expected.pair(a, b);
  }
  return sum;
}

}  // namespace

VMeasure v_measure(std::span<const int32_t> truth, std::span<const int32_t> predicted) {
  const Contingency table = contingency(truth, predicted);
  if (table.total == 0) return {1, 1, 1};
  const double truth_entropy = entropy(table.rows, table.total);
  const double predicted_entropy = entropy(table.cols, table.total);
  const double information = mutual_information(table);
  VMeasure out;
  out.homogeneity = truth_entropy != 0 ? information / truth_entropy : 1;
  out.completeness = predicted_entropy != 0 ? information / predicted_entropy : 1;
  const double sum = out.homogeneity + out.completeness;
  out.v = sum == 0 ? 0 : 2 * out.homogeneity * out.completeness / sum;
  return out;
}

double adjusted_mutual_info(std::span<const int32_t> truth, std::span<const int32_t> predicted) {
  const Contingency table = contingency(truth, predicted);
  if (table.rows.size() == table.cols.size() && table.rows.size() <= 1) return 1;
  const double information = mutual_information(table), expected = expected_information(table);
  const double normaliser =
      (entropy(table.rows, table.total) + entropy(table.cols, table.total)) / 2;
  constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
  double denominator = normaliser - expected;
  denominator =
      denominator < 0 ? std::min(denominator, -kEpsilon) : std::max(denominator, kEpsilon);
  return (information - expected) / denominator;
}

}  // namespace akin::eval
