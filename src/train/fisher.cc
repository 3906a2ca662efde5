#include "train/fisher.h"

#include <ATen/core/grad_mode.h>

#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/rng.h"
#include "nn/torch_ops.h"
#include "train/step.h"

namespace akin::train {
namespace {

// [n] true where a candidate's text is not that of the partner, and at the partner itself.
at::Tensor allowed_for(const std::vector<int64_t>& candidates, size_t partner) {
  at::Tensor out = at::empty({static_cast<int64_t>(candidates.size())}, at::kBool);
  for (size_t j = 0; j < candidates.size(); ++j)
    out.data_ptr<bool>()[j] = j == partner || candidates[j] != candidates[partner];
  return out;
}

// A class drawn from softmax(logits).
int64_t draw(const at::Tensor& logits, Rng rng) {
  const at::Tensor p = logits.detach().to(at::kCPU, at::kDouble).softmax(0).contiguous();
  double rest = rng.uniform();
  for (int64_t j = 0; j < p.numel(); ++j) {
    rest -= p.data_ptr<double>()[j];
    if (rest < 0) return j;
  }
  return logits.argmax().item<int64_t>();
}

}  // namespace

FisherEstimate::FisherEstimate(nn::TextModel& model, FisherLabels labels, uint64_t seed)
    : model_(model), labels_(labels), seed_(seed) {
  for (const nn::Parameter& parameter : model.parameters()) {
    if (parameter.trained) sums_.emplace(parameter.name, at::zeros_like(parameter.value.detach()));
  }
}

void FisherEstimate::add(const data::TrainBatch& batch, double temperature) {
  AKIN_CHECK(batch.has_documents && temperature > 0);
  at::Tensor vectors;
  {
    const at::NoGradGuard no_graph;
    vectors = nn::normalize_rows(model_.embed(batch.texts, {}));
  }
  const auto rows = static_cast<int64_t>(batch.rows);
  const at::Tensor queries = vectors.narrow(0, 0, rows),
                   documents = vectors.narrow(0, rows, vectors.size(0) - rows);
  const auto begin = batch.text_ids.begin();
  const std::vector<int64_t> query_ids(begin, begin + rows),
      document_ids(begin + rows, batch.text_ids.end());
  for (size_t i = 0; i < batch.rows; ++i) {
    const auto own = static_cast<int64_t>(i);
    add_text(slice(batch.texts, i, i + 1), documents, allowed_for(document_ids, i), own,
             temperature);
    add_text(slice(batch.texts, batch.rows + i, batch.rows + i + 1), queries,
             allowed_for(query_ids, i), own, temperature);
  }
  queries_ += batch.rows;
}

void FisherEstimate::add_text(const TokenBatch& text, const at::Tensor& candidates,
                              const at::Tensor& allowed, int64_t partner, double temperature) {
  // train: with a graph; seed 0: no dropout.
  const at::Tensor vector = nn::normalize_rows(model_.embed(text, {true, 0, 0}))[0];
  const at::Tensor logits = (at::matmul(candidates, vector) / temperature)
                                .masked_fill(allowed.logical_not().to(vector.device()), -INFINITY);
  if (labels_ == FisherLabels::sampled)
    partner = draw(logits, Rng(hash64(std::to_string(drawn_++), seed_)));
  (logits.logsumexp(0) - logits[partner]).backward();
  take_squares();
}

void FisherEstimate::take_squares() {
  for (nn::Parameter& parameter : model_.parameters()) {
    if (!parameter.trained) continue;
    at::Tensor& gradient = parameter.value.mutable_grad();
    if (!gradient.defined()) continue;
    at::Tensor& sum = sums_.at(parameter.name);
    if (gradient.is_sparse()) {
      const at::Tensor rows = gradient.coalesce();
      sum.index_add_(0, rows._indices()[0], rows._values().square());
    } else {
      sum.addcmul_(gradient, gradient);
    }
    gradient.reset();
  }
}

Importance FisherEstimate::finish() const {
  Importance out;
  for (const nn::Parameter& parameter : model_.parameters()) {
    if (!parameter.trained) continue;
    const auto n = static_cast<double>(std::max<uint64_t>(1, queries_));
    const std::string name = lasting_name(parameter.name, model_.description().arch);
    out.fisher[name] = (sums_.at(parameter.name) / n).to(at::kCPU).contiguous();
    out.anchor[name] = parameter.value.detach().to(at::kCPU).clone().contiguous();
  }
  return out;
}

}  // namespace akin::train
