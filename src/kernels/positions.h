// Position tables that a forward pass reads: rotary angles, and attention bias by distance (ALiBi,
// T5 buckets).
#pragma once

#include <cstddef>
#include <vector>

#include "base/mat.h"
#include "core/arch_spec.h"

namespace akin::kernels {

// cos and sin of position * base^(-2i/dim), [positions, dim / 2]. Angles are formed in float32, as
// the reference implementations do.
struct RotaryTable {
  Mat<float> cosine, sine;
};
RotaryTable make_rotary_table(size_t positions, size_t dim, double base);

// Bias by distance for every head: row h, entry center + (j - i); readable 16 floats past the last
// distance.
struct BiasTable {
  size_t center = 0, stride = 0;
  std::vector<float> values;
};
// ALiBi (Press et al., arXiv:2108.12409), symmetric as in JinaBERT: -slope_h |i - j|.
BiasTable make_alibi_table(size_t length, size_t heads);
// T5's bidirectional buckets (Raffel et al., arXiv:1910.10683); weight: [buckets, heads].
BiasTable make_relative_table(size_t length, const ArchSpec& arch, MatView<const float> weight);
int64_t relative_bucket(int64_t distance, int64_t buckets,
                        int64_t max_distance);  // distance = j - i

}  // namespace akin::kernels
