#include "loss/check.h"

#include "base/error.h"

namespace akin::loss {
namespace {

std::string shape_words(at::IntArrayRef sizes) {
  return fmt::format("[{}]", fmt::join(sizes.begin(), sizes.end(), ", "));
}

struct Checker {
  std::string_view loss;

  // -1 in `expected`: any number.
  void field(const at::Tensor& values, bool needed, std::string_view name,
             std::initializer_list<int64_t> expected, bool integral = false) const {
    if (!values.defined()) {
      if (!needed) return;
      throw_error(ErrorKind::usage, loss,
                  "the batch has no {}; this loss needs them: use data that has this field, or "
                  "another loss",
                  name);
    }
    bool fits = values.dim() == static_cast<int64_t>(expected.size());
    int64_t at = 0;
    for (const int64_t size : expected) {
      if (fits && size >= 0) fits = values.size(at) == size;
      ++at;
    }
    if (!fits) {
      throw_error(ErrorKind::usage, loss, "{} are {}, expected {} (-1: any number)", name,
                  shape_words(values.sizes()), shape_words(expected));
    }
    const bool kind = integral ? at::isIntegralType(values.scalar_type(), false)
                               : at::isFloatingType(values.scalar_type());
    if (!kind) {
      throw_error(ErrorKind::usage, loss, "{} are {}, expected {} numbers", name,
                  at::toString(values.scalar_type()), integral ? "whole" : "floating-point");
    }
  }
};

}  // namespace

void check_input(const LossInput& in, const LossNeeds& needs, std::string_view loss) {
  const Checker check{loss};
  check.field(in.queries, true, "queries", {-1, -1});
  const int64_t rows = in.queries.size(0), dim = in.queries.size(1);
  if (rows == 0 || dim == 0) {
    throw_error(ErrorKind::usage, loss, "queries are {}; a batch has at least one row and one dim",
                shape_words(in.queries.sizes()));
  }
  check.field(in.documents, needs.documents, "documents", {rows, dim});
  check.field(in.negatives, needs.negatives, "negatives", {rows, -1, dim});
  const int64_t negatives = negatives_of(in);
  if (needs.negatives && negatives == 0) {
    throw_error(ErrorKind::usage, loss,
                "the rows of the batch have 0 negatives; this loss needs at least one each");
  }
  check.field(in.labels, needs.labels, "labels", {rows});
  check.field(in.scores, needs.scores, "scores", {rows, 1 + negatives});
  check.field(in.query_ids, false, "query_ids", {rows}, true);
  check.field(in.document_ids, false, "document_ids", {rows}, true);
  check.field(in.negative_ids, false, "negative_ids", {rows, negatives}, true);
  check.field(in.teacher_queries, needs.teacher, "teacher_queries", {rows, -1});
  check.field(in.teacher_documents, false, "teacher_documents", {rows, -1});
}

at::Tensor at_least_float(const at::Tensor& values) {
  return values.scalar_type() == at::kDouble ? values : values.to(at::kFloat);
}

}  // namespace akin::loss
