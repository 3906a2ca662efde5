// CoSENT: rank pairs by label instead of regressing it.
//
// Computes  ln(1 + sum exp((s_j - s_i) / t)) over all i, j with label_i > label_j; s = cosine.
// Data      pairs with a float label; any monotone scale. Ties are ignored; negatives are not used.
// Options   temperature.
// Returns   scalar []; one logarithm over all ordered pairs of the batch, not a mean.
// Errors    usage: no documents or no labels. A batch of one label gives exactly 0, a zero gradient
//           and a count of cosent_one_label.
// Source    doi:10.1109/TASLP.2024.3402087.
// See also  label_rank.cc (labels are classes), cosine_regression.cc (the label is the cosine).
#include "core/counters.h"
#include "loss/check.h"
#include "loss/ranking.h"

namespace akin::loss {
namespace {

class CoSent final : public CosineLoss {
 public:
  explicit CoSent(const LossOptions& options) : temperature_(options.temperature) {}
  std::string_view name() const override { return "cosent"; }
  LossNeeds needs() const override { return {.labels = true, .several_labels = true}; }
  CosinePlan plan(const LossInput& in) const override {
    // [B, B]: pairs of rows whose order the labels do not say.
    CosinePlan plan{.against = Against::pair};
    plan.excluded = in.labels.unsqueeze(1).le(in.labels.unsqueeze(0));
    if (plan.excluded.all().item<bool>()) {
      count_event("cosent_one_label", 1,
                  "cosent: all labels of a batch are equal: nothing to rank");
    }
    return plan;
  }
  LossOutput from_cosines(const at::Tensor& cosines, const CosinePlan& plan,
                          const LossInput&) const override {
    const auto scaled = cosines.squeeze(1) / temperature_;
    const auto wrong =
        (scaled.unsqueeze(0) - scaled.unsqueeze(1)).masked_fill(plan.excluded, kMasked);
    return {.loss = at::logsumexp(at::cat({scaled.new_zeros({1}), wrong.flatten()}), 0)};
  }

 private:
  const double temperature_;
};

}  // namespace

std::unique_ptr<Loss> make_cosent_loss(const LossOptions& options) {
  return make_cosine_loss(std::make_unique<CoSent>(options));
}

}  // namespace akin::loss
