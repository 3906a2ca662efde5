// The softmax losses over a batch's own candidates as one operation on the CPU: value and gradient
// from kernels/in_batch_softmax.h, without a matrix of cosines. Not for float64 or other devices,
// which keep the tensors of ranking.h; both give the same numbers up to f32's rounding. Internal
// to loss/.
#pragma once

#include <optional>
#include <span>

#include "loss/loss.h"

namespace akin::loss {

// Query i's softmax over all documents and all negatives of the batch; the mean of -ln of document
// i's share.
struct InBatchSoftmaxForm {
  double temperature = 0.05;
  bool both_directions = false;  // plus from document to query, over the queries
  bool mask_duplicates = true;
  bool negatives = true;              // false: documents only, whatever else the batch has
  std::optional<double> margin = {};  // plus the triplet margin over a row's own negatives
};

// Whether the vectors are of a kind that has it.
bool has_fused_softmax(const LossInput& in);

// Sum over dims of weight * loss(prefix); the figures for the log are those of the last. dims
// ascend. The same bytes for any number of threads.
LossOutput fused_softmax(const InBatchSoftmaxForm& form, const LossInput& in,
                         std::span<const int64_t> dims, std::span<const double> weights);

}  // namespace akin::loss
