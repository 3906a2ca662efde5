#include "loss/ranking.h"

#include <ATen/core/grad_mode.h>

#include "loss/check.h"

namespace akin::loss {
namespace {

at::Tensor either(const at::Tensor& a, const at::Tensor& b) {
  if (!a.defined()) return b;
  return b.defined() ? a.logical_or(b) : a;
}

// [B, N]: whether id i of `rows` is id j of `candidates`.
at::Tensor equal_ids(const at::Tensor& rows, const at::Tensor& candidates) {
  if (!rows.defined() || !candidates.defined()) return {};
  return rows.unsqueeze(1).eq(candidates.dim() == 1 ? candidates.unsqueeze(0) : candidates);
}

// Negatives that are the row's own positive or its query.
at::Tensor equal_negatives(const LossInput& in, const at::Tensor& negative_ids) {
  return either(equal_ids(in.document_ids, negative_ids), equal_ids(in.query_ids, negative_ids));
}

at::Tensor none(const LossInput& in, int64_t columns) {
  return at::zeros({in.queries.size(0), columns}, in.queries.options().dtype(at::kBool));
}

}  // namespace

at::Tensor duplicates(const LossInput& in, Against against) {
  const int64_t negatives = negatives_of(in), rows = in.queries.size(0);
  if (against == Against::own) {
    const auto equal = negatives > 0 ? equal_negatives(in, in.negative_ids) : at::Tensor();
    return equal.defined() ? at::cat({none(in, 1), equal}, 1) : equal;
  }
  auto documents = either(
      either(equal_ids(in.document_ids, in.document_ids), equal_ids(in.query_ids, in.query_ids)),
      equal_ids(in.query_ids, in.document_ids));
  if (documents.defined()) documents.diagonal().fill_(false);
  if (against == Against::documents || negatives == 0) return documents;
  auto others =
      in.negative_ids.defined() ? equal_negatives(in, in.negative_ids.flatten()) : at::Tensor();
  if (!documents.defined() && !others.defined()) return {};
  if (!documents.defined()) documents = none(in, rows);
  if (!others.defined()) others = none(in, rows * negatives);
  return at::cat({documents, others}, 1);
}

CosinePlan TripletCosines::plan(const LossInput& in) const {
  CosinePlan plan{.against = Against::all};
  if (options_.mask_duplicates) plan.excluded = duplicates(in, plan.against);
  return plan;
}

at::Tensor to_logits(const at::Tensor& cosines, const at::Tensor& excluded, double temperature) {
  // A sum, not masked_fill: it has vector code, and its gradient costs nothing. What is excluded
  // still gets exactly none, for exp(kMasked) is 0.
  auto logits = cosines / temperature;
  return excluded.defined() ? logits.add_(excluded.to(logits.scalar_type()), kMasked) : logits;
}

at::Tensor softmax_to_diagonal(const at::Tensor& logits) {
  return -at::log_softmax(logits, 1).diagonal().mean();
}

at::Tensor softmax_to_first(const at::Tensor& logits) {
  return -at::log_softmax(logits, 1).select(1, 0).mean();
}

at::Tensor mean_of_included(const at::Tensor& terms, const at::Tensor& excluded) {
  if (!excluded.defined()) return terms.mean();
  const auto included = excluded.logical_not().sum().clamp_min(1);
  return terms.masked_fill(excluded, 0).sum() / included;
}

at::Tensor positive_then_negatives(const at::Tensor& all, int64_t rows) {
  if (!all.defined()) return all;
  const auto positives = all.slice(1, 0, rows).diagonal().unsqueeze(1);
  return at::cat({positives, all.slice(1, rows)}, 1);
}

at::Tensor own_negatives(const at::Tensor& all, int64_t rows) {
  const int64_t each = all.size(1) / rows - 1;
  return all.slice(1, rows).reshape({rows, rows, each}).diagonal(0, 0, 1).t();
}

at::Tensor triplet_margin(const at::Tensor& positives, const at::Tensor& negatives,
                          const at::Tensor& excluded, double margin) {
  return mean_of_included((negatives - positives + margin).relu(), excluded);
}

at::Tensor sigmoid_below(const at::Tensor& positives, const at::Tensor& logits,
                         const at::Tensor& excluded) {
  return mean_of_included(-at::log_sigmoid(positives - logits), excluded);
}

at::Tensor sigmoid_below_diagonal(const at::Tensor& logits, const at::Tensor& excluded) {
  const auto self = at::eye(logits.size(0), logits.options().dtype(at::kBool));
  return sigmoid_below(logits.diagonal().unsqueeze(1), logits, either(self, excluded));
}

at::Tensor same_label(const LossInput& in) {
  const auto labels = in.documents.defined() ? in.labels.repeat({2}) : in.labels;
  return labels.unsqueeze(1).eq(labels.unsqueeze(0));
}

at::Tensor without_self(const at::Tensor& square) {
  auto out = square.clone();
  out.diagonal().fill_(false);
  return out;
}

void count_labels(LossOutput& out, const at::Tensor& cosines, const at::Tensor& same) {
  const at::NoGradGuard no_grad;
  const auto others = same.logical_not(), mates = without_self(same);
  const auto texts = static_cast<double>(cosines.size(0));
  out.negatives_per_query = others.sum().item<double>() / texts;
  const auto both = others.any(1).logical_and(mates.any(1));
  const auto counted = both.sum().item<double>();
  if (counted == 0) return;
  const auto farthest = cosines.masked_fill(mates.logical_not(), 2).amin(1);
  const auto nearest = cosines.masked_fill(same, -2).amax(1);
  out.solved = farthest.gt(nearest).logical_and(both).sum().item<double>() / counted;
}

void count_ranking(LossOutput& out, const at::Tensor& logits, const at::Tensor& positives,
                   const at::Tensor& excluded) {
  const at::NoGradGuard no_grad;
  const auto rows = static_cast<double>(logits.size(0));
  auto negatives = rows * static_cast<double>(logits.size(1) - 1);
  if (excluded.defined()) negatives -= excluded.sum().item<double>();
  out.negatives_per_query = negatives / rows;
  if (negatives <= 0) return;
  const auto not_beaten = logits.ge(positives.unsqueeze(1)).sum(1);  // the positive is one
  out.solved = not_beaten.le(1).sum().item<double>() / rows;
}

}  // namespace akin::loss
