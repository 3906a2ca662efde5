// Cosine regression: the cosine of a pair is its label.
//
// Computes  mean over rows of (cos(q, p) - label)^2.
// Data      pairs with a label in [-1, 1]; negatives are not used.
// Options   none.
// Returns   scalar [].
// Errors    usage: no documents or labels; a label that no cosine can reach.
// Source    arXiv:1908.10084 section 3, regression objective.
// See also  cosent.cc (any scale of labels; only their order counts).
#include "base/error.h"
#include "loss/check.h"
#include "loss/cosine_loss.h"

namespace akin::loss {
namespace {

class CosineRegression final : public CosineLoss {
 public:
  std::string_view name() const override { return "cosine_regression"; }
  LossNeeds needs() const override { return {.labels = true}; }
  CosinePlan plan(const LossInput& in) const override {
    const double greatest = in.labels.abs().max().item<double>();
    if (!(greatest <= 1)) {
      throw_error(
          ErrorKind::usage, name(),
          "a label has the absolute value {}, a cosine at most 1; scale the labels to 0..1, "
          "or use cosent, which needs only their order",
          greatest);
    }
    return {.against = Against::pair};
  }
  LossOutput from_cosines(const at::Tensor& cosines, const CosinePlan&,
                          const LossInput& in) const override {
    return {.loss = (cosines.squeeze(1) - at_least_float(in.labels)).pow(2).mean()};
  }
};

}  // namespace

std::unique_ptr<Loss> make_cosine_regression_loss(const LossOptions&) {
  return make_cosine_loss(std::make_unique<CosineRegression>());
}

}  // namespace akin::loss
