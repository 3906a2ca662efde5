// InfoNCE: the own document against every other document and every negative of the batch.
//
// Computes  mean_i -ln softmax_i, the softmax over cos(q_i, .) / t of all B documents and B M
//           negatives; with `symmetric` plus the same from document to query, which sees queries
//           only. A sum of two means, not their mean.
// Data      pairs; any number of negatives a row.
// Options   temperature, symmetric, mask_duplicates, in_batch_negatives: off, the softmax is over
//           the row's own group, and there is no reverse direction, which would have one candidate.
// Returns   scalar [], negatives_per_query and solved of the forward direction.
// Errors    usage: no documents; no negatives where in_batch_negatives is off.
// Source    arXiv:1807.03748; both directions as arXiv:2409.10173 eq. 1-2 and the first two terms
// of
//           its eq. 3.
// See also  jina_triplet.cc, simcse_sup.cc, triplet_softmax.cc.
#include "loss/ranking.h"

namespace akin::loss {
namespace {

class InfoNce final : public CosineLoss {
 public:
  explicit InfoNce(const LossOptions& options) : options_(options) {}
  std::string_view name() const override { return "infonce"; }
  LossNeeds needs() const override { return {.negatives = !options_.in_batch_negatives}; }
  CosinePlan plan(const LossInput& in) const override {
    CosinePlan plan{.against = options_.in_batch_negatives ? Against::all : Against::own};
    if (options_.mask_duplicates) plan.excluded = duplicates(in, plan.against);
    return plan;
  }
  LossOutput from_cosines(const at::Tensor& cosines, const CosinePlan& plan,
                          const LossInput& in) const override {
    const int64_t rows = in.queries.size(0);
    const auto logits = to_logits(cosines, plan.excluded, options_.temperature);
    const bool all = plan.against == Against::all;
    LossOutput out{.loss = all ? softmax_to_diagonal(logits) : softmax_to_first(logits)};
    if (all && options_.symmetric) {
      out.loss = out.loss + softmax_to_diagonal(logits.slice(1, 0, rows).t());
    }
    if (plan.statistics) {
      const auto positives = all ? logits.diagonal() : logits.select(1, 0);
      count_ranking(out, logits, positives, plan.excluded);
    }
    return out;
  }
  std::optional<InBatchSoftmaxForm> softmax() const override {
    if (!options_.in_batch_negatives) return {};
    return InBatchSoftmaxForm{.temperature = options_.temperature,
                              .both_directions = options_.symmetric,
                              .mask_duplicates = options_.mask_duplicates};
  }

 private:
  const LossOptions options_;
};

}  // namespace

std::unique_ptr<Loss> make_infonce_loss(const LossOptions& options) {
  return make_cosine_loss(std::make_unique<InfoNce>(options));
}

}  // namespace akin::loss
