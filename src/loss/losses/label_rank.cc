// Separation: any two texts of one label are closer than any two texts of different labels.
//
// Computes  ln(1 + sum exp((s_d - s_s) / t)) over all pairs s of texts with equal labels and all
//           pairs d with different ones: CoSENT with the labels 1 and 0. The sum of products is a
//           product of sums, so the cost is that of one matrix of cosines.
// Data      texts with a class number as label; documents, where there are any, are texts of the
//           same class as their query. Negatives and ids are not used.
// Options   temperature.
// Returns   scalar []; 0 if all labels are equal or all different. negatives_per_query and solved
//           as label_softmax.
// Errors    usage: no labels.
// Source    arXiv:2409.10173 eq. 5, read as CoSENT over label agreement.
// See also  label_softmax.cc, cosent.cc (labels of pairs).
#include "loss/ranking.h"

namespace akin::loss {
namespace {

class LabelRank final : public CosineLoss {
 public:
  explicit LabelRank(const LossOptions& options) : temperature_(options.temperature) {}
  std::string_view name() const override { return "label_rank"; }
  LossNeeds needs() const override {
    return {.labels = true, .documents = false, .several_labels = true, .shared_labels = true};
  }
  // excluded: the texts of one label, [T, T].
  CosinePlan plan(const LossInput& in) const override {
    return {.against = Against::texts, .excluded = same_label(in)};
  }
  LossOutput from_cosines(const at::Tensor& cosines, const CosinePlan& plan,
                          const LossInput&) const override {
    const auto logits = cosines / temperature_;
    // Every pair once: above the diagonal.
    const auto below = at::ones_like(plan.excluded).tril();
    const auto not_same = plan.excluded.logical_not().logical_or(below);
    const auto not_different = plan.excluded.logical_or(below);
    const auto highest = at::logsumexp(logits.masked_fill(not_different, kMasked).flatten(), 0);
    const auto lowest = at::logsumexp((-logits).masked_fill(not_same, kMasked).flatten(), 0);
    LossOutput out{.loss = -at::log_sigmoid(-(highest + lowest))};
    if (plan.statistics) count_labels(out, cosines, plan.excluded);
    return out;
  }

 private:
  const double temperature_;
};

}  // namespace

std::unique_ptr<Loss> make_label_rank_loss(const LossOptions& options) {
  return make_cosine_loss(std::make_unique<LabelRank>(options));
}

}  // namespace akin::loss
