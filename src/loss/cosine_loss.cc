// Cosines of prefixes of vectors. The dot products of the first m dims are a running sum over m, so
// a list of prefixes costs the products of the longest; their norms are vectors. What a norm does
// to the gradient is taken row by row from the cosines themselves: d cos(a, b) / d a = (b / |b| -
// cos(a, b) a / |a|) / |a|.
#include "loss/cosine_loss.h"

#include <torch/csrc/autograd/custom_function.h>

#include <utility>

#include "base/error.h"
#include "loss/check.h"

namespace akin::loss {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// 1 / |row|; 0 for a row of zeros. Shape [.., 1]. Differentiable.
at::Tensor inverse_norms(const at::Tensor& rows) {
  const auto squares = (rows * rows).sum(-1, true);
  const auto zero = squares.eq(0);
  return squares.masked_fill(zero, 1).rsqrt().masked_fill(zero, 0);
}

// a: [R, E], b: [C, E], dims: K ascending -> K matrices [R, C].
struct PrefixCosines : torch::autograd::Function<PrefixCosines> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& a, const at::Tensor& b,
                               const std::vector<int64_t>& dims) {
    variable_list cosines, inverse_a, inverse_b;
    at::Tensor dots;
    int64_t from = 0;
    for (const int64_t dim : dims) {
      const auto next = b.slice(1, from, dim).t();
      if (from == 0) {
        dots = a.slice(1, 0, dim).mm(next);
      } else {
        dots.addmm_(a.slice(1, from, dim), next);
      }
      from = dim;
      inverse_a.push_back(inverse_norms(a.slice(1, 0, dim)));
      inverse_b.push_back(inverse_norms(b.slice(1, 0, dim)).t());
      auto scaled = dots * inverse_a.back();
      cosines.push_back(scaled.mul_(inverse_b.back()));
    }
    variable_list saved = {a, b};
    saved.insert(saved.end(), inverse_a.begin(), inverse_a.end());
    saved.insert(saved.end(), inverse_b.begin(), inverse_b.end());
    saved.insert(saved.end(), cosines.begin(), cosines.end());
    ctx->save_for_backward(saved);
    ctx->saved_data["dims"] = dims;
    return cosines;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const auto dims = ctx->saved_data["dims"].toIntVector();
    const auto &a = saved[0], &b = saved[1];
    const size_t count = dims.size();
    auto grad_a = at::zeros_like(a), grad_b = at::zeros_like(b);
    at::Tensor grad_dots, along_a, along_b;  // sums over this prefix and all longer ones
    const auto add = [](at::Tensor& sum, const at::Tensor& term) {
      sum = sum.defined() ? sum.add_(term) : term;
    };
    for (size_t k = count; k-- > 0;) {
      if (grads[k].defined()) {
        const auto &inverse_a = saved[2 + k], &inverse_b = saved[2 + count + k];
        auto weighted = grads[k] * saved[2 + 2 * count + k];
        add(along_a, weighted.sum(1, true) * inverse_a * inverse_a);
        add(along_b, weighted.sum(0).unsqueeze(1) * (inverse_b * inverse_b).t());
        at::mul_out(weighted, grads[k], inverse_a);
        add(grad_dots, weighted.mul_(inverse_b));
      }
      if (!grad_dots.defined()) continue;
      const int64_t from = k == 0 ? 0 : dims[k - 1], to = dims[k];
      const auto part_a = a.slice(1, from, to), part_b = b.slice(1, from, to);
      grad_a.slice(1, from, to).copy_(grad_dots.mm(part_b).sub_(part_a * along_a));
      grad_b.slice(1, from, to).copy_(grad_dots.t().mm(part_a).sub_(part_b * along_b));
    }
    return {grad_a, grad_b, at::Tensor()};
  }
};

// query i with document i, and for Against::own with its own negatives.
at::Tensor row_cosines(const LossInput& in, Against against, int64_t dim) {
  const auto unit = [dim](const at::Tensor& vectors) {
    const auto prefix = at_least_float(vectors.slice(-1, 0, dim));
    return prefix * inverse_norms(prefix);
  };
  const auto queries = unit(in.queries);
  const auto positives = (queries * unit(in.documents)).sum(1, true);
  if (against == Against::pair || negatives_of(in) == 0) return positives;
  const auto negatives = unit(in.negatives).bmm(queries.unsqueeze(2)).squeeze(2);
  return at::cat({positives, negatives}, 1);
}

at::Tensor texts_of(const LossInput& in) {
  return in.documents.defined() ? at::cat({in.queries, in.documents}) : in.queries;
}

class OnEmbeddings final : public Loss {
 public:
  explicit OnEmbeddings(std::unique_ptr<CosineLoss> loss) : loss_(std::move(loss)) {}
  LossNeeds needs() const override { return loss_->needs(); }
  LossOutput forward(const LossInput& in) const override {
    check_input(in, loss_->needs(), loss_->name());
    const int64_t dims[] = {in.queries.size(1)};
    if (const auto form = loss_->softmax(); form && has_fused_softmax(in)) {
      const double weights[] = {1};
      return fused_softmax(*form, in, dims, weights);
    }
    const auto plan = loss_->plan(in);
    return loss_->from_cosines(prefix_cosines(in, plan.against, dims).front(), plan, in);
  }
  const CosineLoss* on_cosines() const override { return loss_.get(); }

 private:
  const std::unique_ptr<CosineLoss> loss_;
};

}  // namespace

std::vector<at::Tensor> prefix_cosines(const LossInput& in, Against against,
                                       std::span<const int64_t> dims) {
  std::vector<at::Tensor> out;
  if (against == Against::pair || against == Against::own) {
    for (const int64_t dim : dims) out.push_back(row_cosines(in, against, dim));
    return out;
  }
  at::Tensor left = in.queries, right = in.documents;
  if (against == Against::texts) left = right = texts_of(in);
  if (against == Against::all && negatives_of(in) > 0) {
    right = at::cat({in.documents, in.negatives.flatten(0, 1)});
  }
  return PrefixCosines::apply(at_least_float(left), at_least_float(right),
                              std::vector<int64_t>(dims.begin(), dims.end()));
}

std::unique_ptr<Loss> make_cosine_loss(std::unique_ptr<CosineLoss> loss) {
  return std::make_unique<OnEmbeddings>(std::move(loss));
}

}  // namespace akin::loss
