// Supervised SimCSE: premise, entailment, contradiction.
//
// Computes  mean_i -ln softmax over cos(q_i, .) / t of all documents and all negatives of the
// batch;
//           own negatives count hard_negative_weight times (its logarithm is added to the logit).
//           One direction.
// Data      rows with one or more negatives each.
// Options   temperature, hard_negative_weight, mask_duplicates.
// Returns   scalar [], negatives_per_query, solved (by the plain cosines).
// Errors    usage: no documents or no negatives.
// Source    arXiv:2104.08821 eq. 5; the weight as in its section B, where 1 was best.
// See also  infonce.cc (both directions), simcse_unsup.cc.
#include <cmath>

#include "loss/ranking.h"

namespace akin::loss {
namespace {

class SimCseSup final : public TripletCosines {
 public:
  explicit SimCseSup(const LossOptions& options) : TripletCosines(options) {}
  std::string_view name() const override { return "simcse_sup"; }
  LossOutput from_cosines(const at::Tensor& cosines, const CosinePlan& plan,
                          const LossInput& in) const override {
    const int64_t rows = in.queries.size(0);
    const auto logits = to_logits(cosines, plan.excluded, options_.temperature);
    LossOutput out{.loss = softmax_to_diagonal(weighted(logits, rows))};
    if (plan.statistics) count_ranking(out, logits, logits.diagonal(), plan.excluded);
    return out;
  }
  std::optional<InBatchSoftmaxForm> softmax() const override {
    if (options_.hard_negative_weight != 1) return {};
    return InBatchSoftmaxForm{.temperature = options_.temperature,
                              .mask_duplicates = options_.mask_duplicates};
  }

 private:
  // ln(weight) on the logits of own negatives.
  at::Tensor weighted(const at::Tensor& logits, int64_t rows) const {
    if (options_.hard_negative_weight == 1) return logits;
    const int64_t each = logits.size(1) / rows - 1;
    const auto own = at::eye(rows, logits.options()).repeat_interleave(each, 1);
    const auto none = at::zeros({rows, rows}, logits.options());
    return logits + at::cat({none, own}, 1) * std::log(options_.hard_negative_weight);
  }
};

}  // namespace

std::unique_ptr<Loss> make_simcse_sup_loss(const LossOptions& options) {
  return make_cosine_loss(std::make_unique<SimCseSup>(options));
}

}  // namespace akin::loss
