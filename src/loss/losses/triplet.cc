// Triplet margin: the own document closer than each own negative, by a margin.
//
// Computes  mean over rows and their negatives of max(0, cos(q, n) - cos(q, p) + margin).
// Data      rows with one or more negatives each.
// Options   margin, mask_duplicates (a negative equal to the positive is left out of the mean).
// Returns   scalar []; negatives_per_query counts own negatives, solved asks for no margin.
// Errors    usage: no documents or no negatives.
// Source    doi:10.1109/CVPR.2015.7298682 on cosines.
// See also  jina_triplet.cc (this and two softmax terms).
#include "loss/ranking.h"

namespace akin::loss {
namespace {

class Triplet final : public CosineLoss {
 public:
  explicit Triplet(const LossOptions& options) : options_(options) {}
  std::string_view name() const override { return "triplet"; }
  LossNeeds needs() const override { return {.negatives = true}; }
  CosinePlan plan(const LossInput& in) const override {
    CosinePlan plan{.against = Against::own};
    if (options_.mask_duplicates) plan.excluded = duplicates(in, plan.against);
    return plan;
  }
  LossOutput from_cosines(const at::Tensor& cosines, const CosinePlan& plan,
                          const LossInput&) const override {
    const auto positives = cosines.slice(1, 0, 1);
    LossOutput out{
        .loss = triplet_margin(positives, cosines.slice(1, 1),
                               plan.excluded.defined() ? plan.excluded.slice(1, 1) : at::Tensor(),
                               options_.margin)};
    if (plan.statistics) {
      const auto masked = to_logits(cosines, plan.excluded, 1);
      count_ranking(out, masked, cosines.select(1, 0), plan.excluded);
    }
    return out;
  }

 private:
  const LossOptions options_;
};

}  // namespace

std::unique_ptr<Loss> make_triplet_loss(const LossOptions& options) {
  return make_cosine_loss(std::make_unique<Triplet>(options));
}

}  // namespace akin::loss
