// The loss is a scalar, so its gradient is worked out beside its value and kept; backward only
// scales it.
#include "loss/fused_softmax.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/threads.h"
#include "kernels/in_batch_softmax.h"
#include "loss/check.h"
#include "loss/ranking.h"

namespace akin::loss {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// As many threads as torch's own operations have. Kept from call to call; shared by callers.
std::shared_ptr<ThreadPool> threads() {
  static std::mutex mutex;
  static std::shared_ptr<ThreadPool> pool;
  const auto size = static_cast<size_t>(std::max(1, at::get_num_threads()));
  const std::lock_guard lock(mutex);
  if (!pool || pool->size() != size) pool = std::make_shared<ThreadPool>(size);
  return pool;
}

// Who is no negative of whom, as lists: what duplicates() says in a matrix.
struct Excluded {
  std::vector<uint32_t> begin, columns;
};

class CandidatesById {
 public:
  void add(const at::Tensor& ids, int64_t first_column) {
    if (!ids.defined()) return;
    const auto values = ids.to(at::kCPU, at::kLong).contiguous();
    for (int64_t j = 0; j < values.numel(); ++j)
      entries_.emplace_back(values.data_ptr<int64_t>()[j], static_cast<uint32_t>(first_column + j));
  }
  void sort() { std::sort(entries_.begin(), entries_.end()); }
  void columns_of(int64_t id, std::vector<uint32_t>& out) const {
    auto at = std::lower_bound(entries_.begin(), entries_.end(), std::pair{id, uint32_t{0}});
    for (; at != entries_.end() && at->first == id; ++at) out.push_back(at->second);
  }

 private:
  std::vector<std::pair<int64_t, uint32_t>> entries_;
};

Excluded list_duplicates(const LossInput& in) {
  const int64_t rows = in.queries.size(0);
  CandidatesById candidates, queries;
  candidates.add(in.document_ids, 0);
  candidates.add(in.negative_ids, rows);
  candidates.sort();
  queries.add(in.query_ids, 0);
  queries.sort();
  const auto ids = [](const at::Tensor& values) {
    return values.defined() ? values.to(at::kCPU, at::kLong).contiguous() : values;
  };
  const auto query_ids = ids(in.query_ids), document_ids = ids(in.document_ids);
  Excluded out;
  std::vector<uint32_t> row;
  for (int64_t i = 0; i < rows; ++i) {
    row.clear();
    out.begin.push_back(static_cast<uint32_t>(out.columns.size()));
    if (document_ids.defined()) candidates.columns_of(document_ids.data_ptr<int64_t>()[i], row);
    if (query_ids.defined()) {
      const int64_t id = query_ids.data_ptr<int64_t>()[i];
      candidates.columns_of(id, row);
      queries.columns_of(id, row);
    }
    std::sort(row.begin(), row.end());
    row.erase(std::unique(row.begin(), row.end()), row.end());
    std::copy_if(row.begin(), row.end(), std::back_inserter(out.columns),
                 [i](uint32_t column) { return column != static_cast<uint32_t>(i); });
  }
  out.begin.push_back(static_cast<uint32_t>(out.columns.size()));
  return out;
}

MatView<float> view(const at::Tensor& rows) {
  if (!rows.defined()) return {};
  return {rows.data_ptr<float>(), static_cast<size_t>(rows.size(0)),
          static_cast<size_t>(rows.size(1))};
}

void add_rows(const at::Tensor& rows, std::vector<const float*>& out) {
  const MatView<float> all = view(rows);
  for (size_t i = 0; i < all.rows(); ++i) out.push_back(all.row(i));
}

// The call, its value, and the gradients with respect to queries [B, E] and candidates [C, E].
struct Work {
  kernels::InBatchSoftmax call;
  kernels::InBatchSoftmaxValue value;
  at::Tensor d_queries, d_candidates;

  // documents: [B, E]; negatives: [B, M, E] or undefined. All contiguous f32.
  void run(const at::Tensor& queries, const at::Tensor& documents, const at::Tensor& negatives,
           bool gradients) {
    std::vector<const float*> candidates;
    add_rows(documents, candidates);
    if (negatives.defined()) add_rows(negatives.flatten(0, 1), candidates);
    call.queries = view(queries);
    call.candidates = candidates;
    if (gradients) {
      d_queries = at::empty_like(queries);
      d_candidates =
          at::empty({static_cast<int64_t>(candidates.size()), queries.size(1)}, queries.options());
    }
    value = kernels::in_batch_softmax(call, *threads(), view(d_queries), view(d_candidates));
  }
};

struct FusedSoftmax : torch::autograd::Function<FusedSoftmax> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& queries,
                            const at::Tensor& documents, const at::Tensor& negatives, Work* work) {
    work->run(queries, documents, negatives, true);
    const int64_t rows = queries.size(0);
    variable_list saved = {work->d_queries, work->d_candidates.slice(0, 0, rows)};
    if (negatives.defined())
      saved.push_back(work->d_candidates.slice(0, rows).view(negatives.sizes()));
    ctx->save_for_backward(saved);
    return at::scalar_tensor(work->value.loss, queries.options());
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    variable_list out = ctx->get_saved_variables();
    for (auto& gradient : out) gradient = gradient * grads[0];
    out.resize(4);  // undefined for what has none
    return out;
  }
};

// The triplet margin of every prefix over the rows' own negatives, weighted.
at::Tensor margins(const InBatchSoftmaxForm& form, const LossInput& in,
                   std::span<const int64_t> dims, std::span<const double> weights) {
  auto excluded = form.mask_duplicates ? duplicates(in, Against::own) : at::Tensor();
  if (excluded.defined()) excluded = excluded.slice(1, 1);
  at::Tensor sum;
  const auto cosines = prefix_cosines(in, Against::own, dims);
  for (size_t k = 0; k < cosines.size(); ++k) {
    const auto term =
        triplet_margin(cosines[k].slice(1, 0, 1), cosines[k].slice(1, 1), excluded, *form.margin) *
        weights[k];
    sum = sum.defined() ? sum + term : term;
  }
  return sum;
}

}  // namespace

bool has_fused_softmax(const LossInput& in) {
  const auto fits = [](const at::Tensor& vectors) {
    return !vectors.defined() ||
           (vectors.device().is_cpu() && vectors.scalar_type() != at::kDouble);
  };
  return fits(in.queries) && fits(in.documents) && fits(in.negatives);
}

LossOutput fused_softmax(const InBatchSoftmaxForm& form, const LossInput& batch,
                         std::span<const int64_t> dims, std::span<const double> weights) {
  LossInput in = batch;
  if (!form.negatives) in.negatives = in.negative_ids = at::Tensor();
  const auto rows = static_cast<double>(in.queries.size(0));
  const Excluded excluded = form.mask_duplicates ? list_duplicates(in) : Excluded();
  const std::vector<size_t> prefixes(dims.begin(), dims.end());
  Work work;
  work.call.dims = prefixes;
  work.call.weights = weights;
  work.call.temperature = form.temperature;
  work.call.both_directions = form.both_directions;
  work.call.excluded_begin = excluded.begin;
  work.call.excluded = excluded.columns;
  const auto queries = at_least_float(in.queries).contiguous();
  const auto documents = at_least_float(in.documents).contiguous();
  // A function of autograd takes no undefined tensor: without negatives, one of no rows.
  at::Tensor negatives = queries.new_empty({queries.size(0), 0, queries.size(1)});
  if (negatives_of(in) > 0) negatives = at_least_float(in.negatives).contiguous();
  const bool gradients =
      at::GradMode::is_enabled() && (queries.requires_grad() || documents.requires_grad() ||
                                     (negatives.defined() && negatives.requires_grad()));
  LossOutput out;
  if (gradients) {
    out.loss = FusedSoftmax::apply(queries, documents, negatives, &work);
  } else {
    work.run(queries, documents, negatives, false);
    out.loss = at::scalar_tensor(work.value.loss, queries.options());
  }
  if (form.margin) out.loss = out.loss + margins(form, in, dims, weights);
  const double others = rows * static_cast<double>(1 + negatives_of(in)) - 1;
  out.negatives_per_query = others - static_cast<double>(excluded.columns.size()) / rows;
  if (out.negatives_per_query > 0) out.solved = static_cast<double>(work.value.solved) / rows;
  return out;
}

}  // namespace akin::loss
