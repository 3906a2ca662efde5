// Softmax over triplets as uniem has it: the positive against the negatives of the whole batch,
// never against another row's positive.
//
// Computes  mean_i -ln softmax over [cos(q_i, p_i), cos(q_i, every negative of the batch)] / t;
//           with `symmetric` plus the softmax from document i to all queries (its add_swap_loss).
// Data      rows with one or more negatives each.
// Options   temperature, symmetric (uniem's own default is off), mask_duplicates.
// Returns   scalar [], negatives_per_query and solved of the forward direction.
// Errors    usage: no documents or no negatives.
// Source    uniem, criteria TripletInBatchNegSoftmax. Its softmax over pairs is infonce with
//           `symmetric` off.
// See also  infonce.cc, jina_triplet.cc (other rows' positives are negatives, too).
#include "loss/ranking.h"

namespace akin::loss {
namespace {

class TripletSoftmax final : public TripletCosines {
 public:
  explicit TripletSoftmax(const LossOptions& options) : TripletCosines(options) {}
  std::string_view name() const override { return "triplet_softmax"; }
  LossOutput from_cosines(const at::Tensor& cosines, const CosinePlan& plan,
                          const LossInput& in) const override {
    const int64_t rows = in.queries.size(0);
    const auto all = to_logits(cosines, plan.excluded, options_.temperature);
    const auto logits = positive_then_negatives(all, rows);
    LossOutput out{.loss = softmax_to_first(logits)};
    if (options_.symmetric) {
      out.loss = out.loss + softmax_to_diagonal(all.slice(1, 0, rows).t());
    }
    if (plan.statistics) {
      const auto excluded = positive_then_negatives(plan.excluded, rows);
      count_ranking(out, logits, logits.select(1, 0), excluded);
    }
    return out;
  }
};

}  // namespace

std::unique_ptr<Loss> make_triplet_softmax_loss(const LossOptions& options) {
  return make_cosine_loss(std::make_unique<TripletSoftmax>(options));
}

}  // namespace akin::loss
