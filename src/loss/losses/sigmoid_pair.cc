// Pairwise ranking by a sigmoid over a batch of pairs. Not SigLIP: no bias, no labels of +-1.
//
// Computes  mean over all i != j of -ln sigmoid((cos(q_i, p_i) - cos(q_i, p_j)) / t).
// Data      pairs; negatives are not used.
// Options   temperature, mask_duplicates (left out of the mean).
// Returns   scalar []; a batch of one row gives 0.
// Errors    usage: no documents.
// Source    uniem, criteria PairInBatchNegSigmoid.
// See also  sigmoid_triplet.cc, infonce.cc.
#include "loss/ranking.h"

namespace akin::loss {
namespace {

class SigmoidPair final : public CosineLoss {
 public:
  explicit SigmoidPair(const LossOptions& options) : options_(options) {}
  std::string_view name() const override { return "sigmoid_pair"; }
  LossNeeds needs() const override { return {}; }
  CosinePlan plan(const LossInput& in) const override {
    CosinePlan plan{.against = Against::documents};
    if (options_.mask_duplicates) plan.excluded = duplicates(in, plan.against);
    return plan;
  }
  LossOutput from_cosines(const at::Tensor& cosines, const CosinePlan& plan,
                          const LossInput&) const override {
    const auto logits = to_logits(cosines, plan.excluded, options_.temperature);
    LossOutput out{.loss = sigmoid_below_diagonal(logits, plan.excluded)};
    if (plan.statistics) count_ranking(out, logits, logits.diagonal(), plan.excluded);
    return out;
  }

 private:
  const LossOptions options_;
};

}  // namespace

std::unique_ptr<Loss> make_sigmoid_pair_loss(const LossOptions& options) {
  return make_cosine_loss(std::make_unique<SigmoidPair>(options));
}

}  // namespace akin::loss
