// Distillation of vectors as they are: not only their direction, also their length.
//
// Computes  mean over texts and dims of (student - teacher)^2; queries, and documents where both
//           sides have them.
// Data      texts with a teacher's vector each, no wider than the student's; of a wider student its
//           first dims are compared.
// Options   none. Matryoshka cuts the teacher's vectors with the student's.
// Returns   scalar [].
// Errors    usage: no teacher vectors, or wider ones than the student's.
// Source    arXiv:2004.09813 eq. 1.
// See also  vector_distill.cc (directions only).
#include "loss/check.h"
#include "loss/teacher.h"

namespace akin::loss {
namespace {

class VectorMse final : public Loss {
 public:
  LossNeeds needs() const override { return {.teacher = true, .documents = false}; }
  LossOutput forward(const LossInput& in) const override {
    check_input(in, needs(), "vector_mse");
    return {.loss = mean_over_sides(in, "vector_mse", distance)};
  }

 private:
  static at::Tensor distance(const at::Tensor& student, const at::Tensor& teacher) {
    return (student - teacher).pow(2).mean();
  }
};

}  // namespace

std::unique_ptr<Loss> make_vector_mse_loss(const LossOptions&) {
  return std::make_unique<VectorMse>();
}

}  // namespace akin::loss
