// Distillation of vectors: the student's vectors point where the teacher's do.
//
// Computes  mean over texts of 1 - cos(student, teacher); queries, and documents where both sides
//           have them. Half the squared distance of the unit vectors.
// Data      texts with a teacher's vector each, no wider than the student's; of a wider student its
//           first dims are compared.
// Options   none. Matryoshka cuts the teacher's vectors with the student's.
// Returns   scalar [].
// Errors    usage: no teacher vectors, or wider ones than the student's.
// Source    arXiv:2509.12539; cosine distance as arXiv:2602.15547, stage 1.
// See also  vector_mse.cc (lengths, too), kl_distill.cc (scores).
#include "loss/check.h"
#include "loss/teacher.h"

namespace akin::loss {
namespace {

class VectorDistill final : public Loss {
 public:
  LossNeeds needs() const override { return {.teacher = true, .documents = false}; }
  LossOutput forward(const LossInput& in) const override {
    check_input(in, needs(), "vector_distill");
    return {.loss = mean_over_sides(in, "vector_distill", distance)};
  }

 private:
  static at::Tensor distance(const at::Tensor& student, const at::Tensor& teacher) {
    return (1 - at::cosine_similarity(student, teacher, 1)).mean();
  }
};

}  // namespace

std::unique_ptr<Loss> make_vector_distill_loss(const LossOptions&) {
  return std::make_unique<VectorDistill>();
}

}  // namespace akin::loss
