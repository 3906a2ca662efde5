// Unsupervised SimCSE: a text is the positive of itself, seen through another dropout mask.
//
// Computes  mean_i -ln softmax over cos(q_i, p_j) / t of all B second passes; one direction.
// Data      plain texts. `documents` are the SAME texts embedded once more. The caller has to draw
//           other dropout masks for the second pass: with one mask for both every cosine of a pair
//           is 1, and the model learns nothing (the paper: 43.6 on STS-B instead of 82.5).
// Options   temperature, mask_duplicates (equal texts of a batch).
// Returns   scalar [], negatives_per_query, solved.
// Errors    usage: no documents.
// Source    arXiv:2104.08821 eq. 4.
// See also  simcse_sup.cc, infonce.cc (both directions, negatives).
#include "loss/ranking.h"

namespace akin::loss {
namespace {

class SimCseUnsup final : public CosineLoss {
 public:
  explicit SimCseUnsup(const LossOptions& options) : options_(options) {}
  std::string_view name() const override { return "simcse_unsup"; }
  LossNeeds needs() const override { return {}; }
  CosinePlan plan(const LossInput& in) const override {
    CosinePlan plan{.against = Against::documents};
    if (options_.mask_duplicates) plan.excluded = duplicates(in, plan.against);
    return plan;
  }
  LossOutput from_cosines(const at::Tensor& cosines, const CosinePlan& plan,
                          const LossInput&) const override {
    const auto logits = to_logits(cosines, plan.excluded, options_.temperature);
    LossOutput out{.loss = softmax_to_diagonal(logits)};
    if (plan.statistics) count_ranking(out, logits, logits.diagonal(), plan.excluded);
    return out;
  }
  std::optional<InBatchSoftmaxForm> softmax() const override {
    return InBatchSoftmaxForm{.temperature = options_.temperature,
                              .mask_duplicates = options_.mask_duplicates,
                              .negatives = false};
  }

 private:
  const LossOptions options_;
};

}  // namespace

std::unique_ptr<Loss> make_simcse_unsup_loss(const LossOptions& options) {
  return make_cosine_loss(std::make_unique<SimCseUnsup>(options));
}

}  // namespace akin::loss
