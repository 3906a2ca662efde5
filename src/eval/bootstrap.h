// How sure a score is: percentile bootstrap intervals (Efron 1979), and a paired randomisation test
// for two systems on the same items (Fisher). Our own random stream, seeded; results do not depend
// on threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace akin::eval {

struct Interval {
  double value = 0;          // on the data as they are
  double low = 0, high = 0;  // percentile interval
};
struct BootstrapOptions {
  size_t samples = 1000;
  double level = 0.95;
  uint64_t seed = 42;
};

// What lies between the tails of the samples, which are sorted for it; no samples: just the value.
Interval percentile_interval(double value, std::vector<double>& samples, double level);

// Of the mean of per-item scores. Errors: usage for no items, a NaN, or a level outside (0, 1).
Interval bootstrap_mean(std::span<const double> values, const BootstrapOptions& options = {});
// Of the mean of the slices' means: each slice is resampled by itself. Errors: the same.
Interval bootstrap_mean_of_slices(std::span<const std::vector<double>> slices,
                                  const BootstrapOptions& options = {});

// Of any statistic of a multiset of rows (their numbers are passed in); samples whose statistic is
// NaN are left out.
Interval bootstrap(size_t rows,
                   const std::function<double(std::span<const size_t> rows)>& statistic,
                   const BootstrapOptions& options = {});

struct PairedTest {
  double difference = 0;  // mean of a - b
  Interval interval;      // of that difference, over items
  double p_value = 1;     // two-sided, signs flipped at random, (hits + 1) / (samples + 1)
};
PairedTest paired_test(std::span<const double> a, std::span<const double> b,
                       const BootstrapOptions& options = {});
// The same of a score that is the mean of its slices' means; slices: a - b of each item.
PairedTest paired_test_of_slices(std::span<const std::vector<double>> slices,
                                 const BootstrapOptions& options = {});

}  // namespace akin::eval
