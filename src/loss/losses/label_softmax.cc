// Softmax over classes: texts of one label belong together, and no text of the same label is ever
// pushed away.
//
// Computes  for text i, each text p of its label, and all texts n of other labels:
//           -ln(e^{s_ip / t} / (e^{s_ip / t} + sum_n e^{s_in / t})), s = cosine; mean over p, then
//           over the texts i that have a p.
// Data      texts with a class number as label; documents, where there are any, are texts of the
//           same class as their query. Negatives and ids are not used.
// Options   temperature.
// Returns   scalar []; 0 if no two texts share a label. negatives_per_query: texts of other labels;
//           solved: texts whose farthest mate is nearer than any text of another label.
// Errors    usage: no labels.
// Source    arXiv:2004.11362 eq. 2, with the other positives out of the denominator.
// See also  label_rank.cc, infonce.cc (every other document is a negative).
#include "loss/ranking.h"

namespace akin::loss {
namespace {

class LabelSoftmax final : public CosineLoss {
 public:
  explicit LabelSoftmax(const LossOptions& options) : temperature_(options.temperature) {}
  std::string_view name() const override { return "label_softmax"; }
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
    const auto against = at::logsumexp(logits.masked_fill(plan.excluded, kMasked), 1, true);
    const auto mates = without_self(plan.excluded);
    const auto terms = at::log_sigmoid(logits - against).masked_fill(mates.logical_not(), 0);
    const auto counts = mates.sum(1);
    const auto each = -terms.sum(1) / counts.clamp_min(1);
    LossOutput out{.loss = each.sum() / counts.gt(0).sum().clamp_min(1)};
    if (plan.statistics) count_labels(out, cosines, plan.excluded);
    return out;
  }

 private:
  const double temperature_;
};

}  // namespace

std::unique_ptr<Loss> make_label_softmax_loss(const LossOptions& options) {
  return make_cosine_loss(std::make_unique<LabelSoftmax>(options));
}

}  // namespace akin::loss
