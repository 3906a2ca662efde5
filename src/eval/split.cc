#include "eval/split.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "base/error.h"
#include "eval/checks.h"
#include "eval/rng.h"

namespace akin::eval {
namespace {

// Rows by class, each class's rows rising; classes rising.
std::vector<std::vector<size_t>> rows_by_class(std::span<const int32_t> labels) {
  std::vector<int32_t> classes(labels.begin(), labels.end());
  std::sort(classes.begin(), classes.end());
  classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  std::vector<std::vector<size_t>> rows(classes.size());
  for (size_t r = 0; r < labels.size(); ++r) {
    const auto at = std::lower_bound(classes.begin(), classes.end(), labels[r]);
    rows[static_cast<size_t>(at - classes.begin())].push_back(r);
  }
  return rows;
}

// How many of n_draws fall to each class: the mode of the multivariate hypergeometric law, nearly;
// equal remainders are settled by the random stream.
std::vector<size_t> approximate_mode(std::span<const size_t> counts, size_t n_draws, Pcg64& rng) {
  const auto total = static_cast<double>(std::reduce(counts.begin(), counts.end()));
  std::vector<size_t> draws;
  std::vector<double> remainders;
  for (const size_t count : counts) {
    const double share = static_cast<double>(n_draws) * static_cast<double>(count) / total;
    draws.push_back(static_cast<size_t>(share));
    remainders.push_back(share - std::floor(share));
  }
  size_t need = n_draws - std::min(n_draws, std::reduce(draws.begin(), draws.end()));
  std::vector<double> distinct = remainders;
  std::sort(distinct.begin(), distinct.end(), std::greater<>());
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  for (size_t v = 0; v < distinct.size() && need > 0; ++v) {
    std::vector<size_t> tied;
    for (size_t i = 0; i < remainders.size(); ++i) {
      if (remainders[i] == distinct[v]) tied.push_back(i);
    }
    const size_t add = std::min(tied.size(), need);
    for (const size_t pick : rng.choice(tied.size(), add)) ++draws[tied[pick]];
    need -= add;
  }
  return draws;
}

void check_test_rows(size_t rows, size_t test_rows, std::string_view where) {
  if (test_rows > 0 && test_rows < rows) return;
  throw_error(ErrorKind::usage, where,
              "cannot take {} rows of {} for the test part, expected 1 to {}", test_rows, rows,
              rows == 0 ? 0 : rows - 1);
}

void check_classes(std::span<const std::vector<size_t>> rows, size_t train_rows, size_t test_rows,
                   std::string_view where) {
  for (const auto& members : rows) {
    if (members.size() > 1) continue;
    throw_error(ErrorKind::usage, where,
                "the label of row {} occurs once; a stratified split needs every label at least "
                "twice: drop the row or merge its label",
                members.front());
  }
  if (std::min(train_rows, test_rows) < rows.size()) {
    throw_error(ErrorKind::usage, where,
                "{} labels do not fit into a split of {} and {} rows; each part needs one row a "
                "label: give the split more rows, or change hold_out or subsample",
                rows.size(), train_rows, test_rows);
  }
}

}  // namespace

TrainTest train_test_split(size_t rows, size_t test_rows, uint64_t seed) {
  check_test_rows(rows, test_rows, "train_test_split");
  Pcg64 rng(seed);
  const auto order = rng.permutation(rows);
  const auto cut = order.begin() + static_cast<std::ptrdiff_t>(test_rows);
  return {{cut, order.end()}, {order.begin(), cut}};
}

TrainTest stratified_train_test_split(std::span<const int32_t> labels, size_t test_rows,
                                      uint64_t seed) {
  constexpr std::string_view kWhere = "stratified split";
  check_test_rows(labels.size(), test_rows, kWhere);
  const auto rows = rows_by_class(labels);
  const size_t train_rows = labels.size() - test_rows;
  check_classes(rows, train_rows, test_rows, kWhere);
  Pcg64 rng(seed);
  std::vector<size_t> counts;
  counts.reserve(rows.size());
  for (const auto& members : rows) counts.push_back(members.size());
  const auto train_counts = approximate_mode(counts, train_rows, rng);
  std::vector<size_t> left(counts.size());
  for (size_t c = 0; c < counts.size(); ++c) left[c] = counts[c] - train_counts[c];
  const auto test_counts = approximate_mode(left, test_rows, rng);
  TrainTest out;
  for (size_t c = 0; c < rows.size(); ++c) {
    const auto order = rng.permutation(rows[c].size());
    const size_t cut = train_counts[c], end = std::min(cut + test_counts[c], order.size());
    for (size_t i = 0; i < cut; ++i) out.train.push_back(rows[c][order[i]]);
    for (size_t i = cut; i < end; ++i) out.test.push_back(rows[c][order[i]]);
  }
  rng.shuffle(std::span<size_t>(out.train));
  rng.shuffle(std::span<size_t>(out.test));
  return out;
}

EncodedLabels encode_labels(std::span<const std::string_view> labels) {
  EncodedLabels out;
  out.classes.assign(labels.begin(), labels.end());
  std::sort(out.classes.begin(), out.classes.end());  // bytes of UTF-8 sort as code points do
  out.classes.erase(std::unique(out.classes.begin(), out.classes.end()), out.classes.end());
  out.ids.reserve(labels.size());
  for (const auto label : labels) {
    const auto at = std::lower_bound(out.classes.begin(), out.classes.end(), label);
    out.ids.push_back(static_cast<int32_t>(at - out.classes.begin()));
  }
  return out;
}

std::vector<size_t> stratified_subsample(std::span<const std::string_view> labels, size_t keep,
                                         uint64_t seed) {
  if (labels.size() <= keep) {
    std::vector<size_t> all(labels.size());
    std::iota(all.begin(), all.end(), size_t{0});
    return all;
  }
  return stratified_train_test_split(encode_labels(labels).ids, keep, seed).test;
}

std::vector<size_t> undersample(std::span<const int32_t> labels, size_t samples_per_label,
                                std::vector<size_t>& order, uint32_t seed) {
  AKIN_CHECK(order.size() == labels.size());
  NumpyRandom(seed).shuffle(std::span<size_t>(order));
  std::unordered_map<int32_t, size_t> taken;
  std::vector<size_t> kept;
  for (const size_t row : order) {
    if (taken[labels[row]] >= samples_per_label) continue;
    ++taken[labels[row]];
    kept.push_back(row);
  }
  return kept;
}

std::vector<size_t> undersample_multilabel(std::span<const std::vector<int32_t>> labels,
                                           size_t samples_per_label, std::vector<size_t>& order,
                                           Pcg64& rng) {
  AKIN_CHECK(order.size() == labels.size());
  rng.shuffle(std::span<size_t>(order));
  std::unordered_map<int32_t, size_t> taken;
  std::vector<size_t> kept;
  for (const size_t row : order) {
    const auto& own = labels[row];
    const bool wanted = std::any_of(
        own.begin(), own.end(), [&](int32_t label) { return taken[label] < samples_per_label; });
    if (!wanted) continue;
    kept.push_back(row);
    for (const int32_t label : own) ++taken[label];
  }
  return kept;
}

}  // namespace akin::eval
