#include "loss/teacher.h"

#include "base/error.h"
#include "loss/check.h"

namespace akin::loss {

at::Tensor mean_over_sides(const LossInput& in, std::string_view loss, VectorDistance distance) {
  const auto side = [&](const at::Tensor& student, const at::Tensor& teacher) {
    if (student.size(1) < teacher.size(1)) {
      throw_error(ErrorKind::usage, loss,
                  "the teacher's vectors have {} dims, the student's only {}; take its first ones "
                  "(teacher.dims = {}), or give the student a projection to {}",
                  teacher.size(1), student.size(1), student.size(1), teacher.size(1));
    }
    const at::Tensor prefix = student.slice(1, 0, teacher.size(1));
    return distance(at_least_float(prefix), at_least_float(teacher));
  };
  const auto queries = side(in.queries, in.teacher_queries);
  if (!in.documents.defined() || !in.teacher_documents.defined()) return queries;
  return (queries + side(in.documents, in.teacher_documents)) / 2;
}

}  // namespace akin::loss
