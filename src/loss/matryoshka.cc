// Matryoshka over any loss. A loss on cosines gets the cosines of all prefixes at the price of the
// longest (cosine_loss.h); any other is called once a prefix on vectors cut short.
#include "loss/matryoshka.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "loss/check.h"
#include "loss/cosine_loss.h"

namespace akin::loss {
namespace {

constexpr std::string_view kWhere = "matryoshka";

at::Tensor cut(const at::Tensor& vectors, int64_t dim) {
  return vectors.defined() ? vectors.slice(-1, 0, dim) : vectors;
}

LossInput cut_input(const LossInput& in, int64_t dim) {
  LossInput out = in;
  const int64_t full = in.queries.size(1);
  out.queries = cut(in.queries, dim);
  out.documents = cut(in.documents, dim);
  out.negatives = cut(in.negatives, dim);
  for (auto* teacher : {&out.teacher_queries, &out.teacher_documents}) {
    if (teacher->defined() && teacher->size(-1) <= full) *teacher = cut(*teacher, dim);
  }
  return out;
}

class Matryoshka final : public Loss {
 public:
  // dims ascend.
  Matryoshka(std::unique_ptr<Loss> inner, MatryoshkaOptions options)
      : inner_(std::move(inner)), options_(std::move(options)) {}
  LossNeeds needs() const override { return inner_->needs(); }

  LossOutput forward(const LossInput& in) const override {
    if (!in.queries.defined() || in.queries.dim() != 2) return inner_->forward(in);  // throws
    if (options_.dims.back() > in.queries.size(1)) {
      throw_error(ErrorKind::usage, kWhere, "dim {} is more than the {} dims of the vectors",
                  options_.dims.back(), in.queries.size(1));
    }
    const auto* on_cosines = inner_->on_cosines();
    return on_cosines != nullptr ? from_cosines(*on_cosines, in) : from_prefixes(in);
  }

 private:
  // The figures for the log are those of the widest prefix, which comes last.
  void add(LossOutput& sum, LossOutput part, size_t k) const {
    part.loss = part.loss * options_.weights[k];
    if (sum.loss.defined()) part.loss = sum.loss + part.loss;
    sum = std::move(part);
  }
  LossOutput from_cosines(const CosineLoss& loss, const LossInput& in) const {
    check_input(in, loss.needs(), loss.name());
    if (const auto form = loss.softmax(); form && has_fused_softmax(in)) {
      return fused_softmax(*form, in, options_.dims, options_.weights);
    }
    CosinePlan plan = loss.plan(in);
    const auto cosines = prefix_cosines(in, plan.against, options_.dims);
    LossOutput out;
    for (size_t k = 0; k < cosines.size(); ++k) {
      plan.statistics = k + 1 == cosines.size();
      add(out, loss.from_cosines(cosines[k], plan, in), k);
    }
    return out;
  }
  LossOutput from_prefixes(const LossInput& in) const {
    LossOutput out;
    for (size_t k = 0; k < options_.dims.size(); ++k) {
      add(out, inner_->forward(cut_input(in, options_.dims[k])), k);
    }
    return out;
  }

  const std::unique_ptr<Loss> inner_;
  const MatryoshkaOptions options_;
};

void check_options(const MatryoshkaOptions& options) {
  const auto& dims = options.dims;
  if (dims.empty()) throw_error(ErrorKind::usage, kWhere, "no dims given; name at least one");
  for (size_t k = 0; k < dims.size(); ++k) {
    if (dims[k] < 1) throw_error(ErrorKind::usage, kWhere, "dim {} is less than 1", dims[k]);
    if (std::count(dims.begin(), dims.end(), dims[k]) > 1) {
      throw_error(ErrorKind::usage, kWhere, "dim {} is given twice", dims[k]);
    }
  }
  if (!options.weights.empty() && options.weights.size() != dims.size()) {
    throw_error(ErrorKind::usage, kWhere, "{} weights for {} dims; give one each or none",
                options.weights.size(), dims.size());
  }
  for (const double weight : options.weights) {
    if (!std::isfinite(weight) || weight < 0) {
      throw_error(ErrorKind::usage, kWhere, "weight {} is below 0", weight);
    }
  }
  const auto zero = [](double weight) { return weight == 0; };
  if (!options.weights.empty() && std::all_of(options.weights.begin(), options.weights.end(), zero))
    throw_error(ErrorKind::usage, kWhere, "all weights are 0, so nothing would be trained for");
}

}  // namespace

std::unique_ptr<Loss> make_matryoshka(std::unique_ptr<Loss> inner, MatryoshkaOptions options) {
  check_options(options);
  std::vector<size_t> order(options.dims.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return options.dims[a] < options.dims[b]; });
  MatryoshkaOptions sorted;
  for (const size_t k : order) {
    sorted.dims.push_back(options.dims[k]);
    sorted.weights.push_back(options.weights.empty() ? 1 : options.weights[k]);
  }
  return std::make_unique<Matryoshka>(std::move(inner), std::move(sorted));
}

}  // namespace akin::loss
