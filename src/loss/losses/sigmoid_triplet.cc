// Pairwise ranking by a sigmoid over triplets: every negative of the batch below every positive.
//
// Computes  mean over rows i and all B M negatives n of -ln sigmoid((cos(q_i, p_i) - cos(q_i, n)) /
//           t); with `symmetric` plus sigmoid_pair from document to query (uniem's add_swap_loss).
// Data      rows with one or more negatives each.
// Options   temperature, symmetric (uniem's own default is off), mask_duplicates.
// Returns   scalar [], negatives_per_query and solved of the forward direction.
// Errors    usage: no documents or no negatives.
// Source    uniem, criteria TripletInBatchNegSigmoid.
// See also  sigmoid_pair.cc, triplet_softmax.cc.
#include "loss/ranking.h"

namespace akin::loss {
namespace {

class SigmoidTriplet final : public TripletCosines {
 public:
  explicit SigmoidTriplet(const LossOptions& options) : TripletCosines(options) {}
  std::string_view name() const override { return "sigmoid_triplet"; }
  LossOutput from_cosines(const at::Tensor& cosines, const CosinePlan& plan,
                          const LossInput& in) const override {
    const int64_t rows = in.queries.size(0);
    const auto all = to_logits(cosines, plan.excluded, options_.temperature);
    const auto logits = positive_then_negatives(all, rows);
    const auto excluded = positive_then_negatives(plan.excluded, rows);
    const auto no_negatives = excluded.defined() ? excluded.slice(1, 1) : at::Tensor();
    LossOutput out{.loss = sigmoid_below(logits.slice(1, 0, 1), logits.slice(1, 1), no_negatives)};
    if (options_.symmetric) {
      const auto back =
          plan.excluded.defined() ? plan.excluded.slice(1, 0, rows).t() : at::Tensor();
      out.loss = out.loss + sigmoid_below_diagonal(all.slice(1, 0, rows).t(), back);
    }
    if (plan.statistics) count_ranking(out, logits, logits.select(1, 0), excluded);
    return out;
  }
};

}  // namespace

std::unique_ptr<Loss> make_sigmoid_triplet_loss(const LossOptions& options) {
  return make_cosine_loss(std::make_unique<SigmoidTriplet>(options));
}

}  // namespace akin::loss
