// Distillation of scores: a row's own group ranked with the teacher's confidence.
//
// Computes  mean over rows of KL(softmax(teacher's scores) || softmax(cos(q, .) / t)) over the
// row's
//           positive and its own negatives.
// Data      rows with one or more negatives each, and a score for the positive and each of them;
//           scores are logits, as a cross-encoder gives them. Ids are not used: the teacher has
//           seen what is equal.
// Options   temperature, of the student alone.
// Returns   scalar [], 0 where the two distributions are equal; negatives_per_query and solved of
//           the row's own group.
// Errors    usage: no documents, negatives or scores; a score that is not finite.
// Source    arXiv:1503.02531 on rankings, as FlagEmbedding's kl_div.
// See also  infonce.cc (the positive has all the weight), vector_distill.cc.
#include "base/error.h"
#include "loss/check.h"
#include "loss/ranking.h"

namespace akin::loss {
namespace {

class KlDistill final : public CosineLoss {
 public:
  explicit KlDistill(const LossOptions& options) : temperature_(options.temperature) {}
  std::string_view name() const override { return "kl_distill"; }
  LossNeeds needs() const override { return {.negatives = true, .scores = true}; }
  CosinePlan plan(const LossInput& in) const override {
    if (!in.scores.isfinite().all().item<bool>()) {
      throw_error(ErrorKind::usage, name(),
                  "a teacher's score is not finite; clean the data first");
    }
    return {.against = Against::own};
  }
  LossOutput from_cosines(const at::Tensor& cosines, const CosinePlan& plan,
                          const LossInput& in) const override {
    const auto student = at::log_softmax(cosines / temperature_, 1);
    const auto teacher = at::log_softmax(at_least_float(in.scores), 1);
    LossOutput out{.loss = (teacher.exp() * (teacher - student)).sum(1).mean()};
    if (plan.statistics) count_ranking(out, cosines, cosines.select(1, 0), {});
    return out;
  }

 private:
  const double temperature_;
};

}  // namespace

std::unique_ptr<Loss> make_kl_distill_loss(const LossOptions& options) {
  return make_cosine_loss(std::make_unique<KlDistill>(options));
}

}  // namespace akin::loss
