// What losses over candidates share: who is no negative, softmax over rows, and the two figures for
// the log. Internal to loss/.
//
// Shapes: B rows, N candidates of each.
#pragma once

#include "loss/cosine_loss.h"

namespace akin::loss {

// In place of minus infinity: exp gives 0 and no difference of two gives NaN.
inline constexpr double kMasked = -1e30;

// Candidates that are no negatives of row i: texts equal to its positive or to its query, and the
// positives of rows with the same query. Never the positive itself. Undefined if the batch has no
// ids. Shaped as the cosines of `against` (own, documents or all).
at::Tensor duplicates(const LossInput& in, Against against);

// What losses over triplets share whose candidates are the whole batch's: data and cosines.
class TripletCosines : public CosineLoss {
 public:
  LossNeeds needs() const override { return {.negatives = true}; }
  CosinePlan plan(const LossInput& in) const override;

 protected:
  explicit TripletCosines(const LossOptions& options) : options_(options) {}
  const LossOptions options_;
};

// cosines / temperature; excluded ones are kMasked.
at::Tensor to_logits(const at::Tensor& cosines, const at::Tensor& excluded, double temperature);

// Mean over rows of -ln softmax(logits)[i, i]; [B, N] with N >= B.
at::Tensor softmax_to_diagonal(const at::Tensor& logits);
// The same, the positive in column 0.
at::Tensor softmax_to_first(const at::Tensor& logits);

// Mean of `terms` over those that are not excluded; 0 if none is left. Same shapes.
at::Tensor mean_of_included(const at::Tensor& terms, const at::Tensor& excluded);

// The cosines of Against::all split: own positive [B, 1] followed by every row's negatives [B, BM].
// Undefined stays undefined.
at::Tensor positive_then_negatives(const at::Tensor& all, int64_t rows);
// Own negatives out of the cosines of Against::all: [B, M].
at::Tensor own_negatives(const at::Tensor& all, int64_t rows);

// Mean of max(0, negative - positive + margin) over the included. positives: [B, 1], the others
// [B, M].
at::Tensor triplet_margin(const at::Tensor& positives, const at::Tensor& negatives,
                          const at::Tensor& excluded, double margin);

// Mean over the included of -ln sigmoid(positive - logit). positives: [B, 1], the others [B, N].
at::Tensor sigmoid_below(const at::Tensor& positives, const at::Tensor& logits,
                         const at::Tensor& excluded);
// The same for [B, B]: every logit off the diagonal below the one on it. 0 for B = 1.
at::Tensor sigmoid_below_diagonal(const at::Tensor& logits, const at::Tensor& excluded);

// Texts are the queries, then the documents if there are any. Whether two have one label: [T, T].
at::Tensor same_label(const LossInput& in);
// A copy with the diagonal off.
at::Tensor without_self(const at::Tensor& square);
// negatives_per_query: texts of other labels. solved: the share of texts whose farthest mate beats
// every text of another label, among texts that have both; -1 if none has.
void count_labels(LossOutput& out, const at::Tensor& cosines, const at::Tensor& same);

// Fills negatives_per_query and solved. logits: [B, N], excluded ones at kMasked; positives: [B].
void count_ranking(LossOutput& out, const at::Tensor& logits, const at::Tensor& positives,
                   const at::Tensor& excluded);

}  // namespace akin::loss
