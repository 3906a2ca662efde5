// The triplet phase of Jina Embeddings: three terms over one matrix of cosines.
//
// Computes  InfoNCE from query to all documents and all negatives of the batch, plus InfoNCE from
//           document to all queries, plus the triplet margin over a row's own negatives.
// Data      rows with one or more negatives each.
// Options   temperature, margin, mask_duplicates.
// Returns   scalar []; the sum of three means.
// Errors    usage: no documents or no negatives.
// Source    arXiv:2307.11224 section 3; the first two terms as arXiv:2409.10173 eq. 3.
// See also  infonce.cc (the first two terms), triplet.cc (the third).
#include "loss/ranking.h"

namespace akin::loss {
namespace {

class JinaTriplet final : public TripletCosines {
 public:
  explicit JinaTriplet(const LossOptions& options) : TripletCosines(options) {}
  std::string_view name() const override { return "jina_triplet"; }
  LossOutput from_cosines(const at::Tensor& cosines, const CosinePlan& plan,
                          const LossInput& in) const override {
    const int64_t rows = in.queries.size(0);
    const auto logits = to_logits(cosines, plan.excluded, options_.temperature);
    const auto excluded =
        plan.excluded.defined() ? own_negatives(plan.excluded, rows) : at::Tensor();
    const auto margin = triplet_margin(cosines.slice(1, 0, rows).diagonal().unsqueeze(1),
                                       own_negatives(cosines, rows), excluded, options_.margin);
    LossOutput out{.loss = softmax_to_diagonal(logits) +
                           softmax_to_diagonal(logits.slice(1, 0, rows).t()) + margin};
    if (plan.statistics) count_ranking(out, logits, logits.diagonal(), plan.excluded);
    return out;
  }
  std::optional<InBatchSoftmaxForm> softmax() const override {
    return InBatchSoftmaxForm{.temperature = options_.temperature,
                              .both_directions = true,
                              .mask_duplicates = options_.mask_duplicates,
                              .margin = options_.margin};
  }
};

}  // namespace

std::unique_ptr<Loss> make_jina_triplet_loss(const LossOptions& options) {
  return make_cosine_loss(std::make_unique<JinaTriplet>(options));
}

}  // namespace akin::loss
