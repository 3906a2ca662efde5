#include "train/step.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "base/error.h"
#include "loss/grad_cache.h"
#include "nn/torch_ops.h"
#include "train/distributed_step.h"

namespace akin::train {
namespace {

at::Tensor from_floats(const std::vector<float>& values, at::IntArrayRef shape,
                       const at::Device& device) {
  if (values.empty()) return {};
  return at::from_blob(const_cast<float*>(values.data()), shape, at::kFloat).clone().to(device);
}

// What of a batch does not depend on the model.
loss::LossInput fixed_input(const data::TrainBatch& batch, const TeacherAnswer& teacher,
                            const at::Device& device) {
  loss::LossInput out;
  const auto rows = static_cast<int64_t>(batch.rows);
  const auto negatives = static_cast<int64_t>(batch.negatives);
  out.labels = from_floats(batch.labels, {rows}, device);
  out.scores = teacher.scores.defined() ? teacher.scores
                                        : from_floats(batch.scores, {rows, 1 + negatives}, device);
  out.teacher_queries = teacher.queries;
  out.teacher_documents = teacher.documents;
  const auto texts = static_cast<int64_t>(batch.text_ids.size());
  const at::Tensor ids =
      at::from_blob(const_cast<int64_t*>(batch.text_ids.data()), {texts}, at::kLong)
          .clone()
          .to(device);
  out.query_ids = ids.narrow(0, 0, rows);
  if (batch.has_documents) out.document_ids = ids.narrow(0, rows, rows);
  if (negatives > 0) {
    out.negative_ids = ids.narrow(0, 2 * rows, rows * negatives).view({rows, negatives});
  }
  return out;
}

loss::LossInput with_vectors(loss::LossInput in, const at::Tensor& vectors,
                             const data::TrainBatch& batch) {
  const auto rows = static_cast<int64_t>(batch.rows);
  const auto negatives = static_cast<int64_t>(batch.negatives);
  in.queries = vectors.narrow(0, 0, rows);
  if (batch.has_documents) in.documents = vectors.narrow(0, rows, rows);
  if (negatives > 0) {
    in.negatives =
        vectors.narrow(0, 2 * rows, rows * negatives).reshape({rows, negatives, vectors.size(1)});
  }
  return in;
}

// Mean cosine of two queries, which is 1 when every text gets the same vector: with the unit
// vectors u of B queries, (B |mean u|^2 - 1) / (B - 1). queries: [B, E].
double mean_cosine(const at::Tensor& queries) {
  const auto rows = static_cast<double>(queries.size(0));
  const at::Tensor mean = nn::normalize_rows(queries.detach().to(at::kFloat)).mean(0);
  return (rows * mean.dot(mean).item<double>() - 1) / (rows - 1);
}

// The rows whose texts have vectors that are not finite; all rows when every vector is.
std::string offending_rows(nn::TextModel& model, const data::TrainBatch& batch) {
  const at::NoGradGuard no_graph;
  const at::Tensor vectors = model.embed(batch.texts, {});
  const at::Tensor good = at::isfinite(vectors).all(1).to(at::kCPU).contiguous();
  const bool* finite = good.data_ptr<bool>();
  std::string out;
  size_t shown = 0;
  for (size_t text = 0; text < batch.texts.size() && shown < 3; ++text) {
    if (finite[text]) continue;
    const size_t row =
        text < 2 * batch.rows ? text % batch.rows : (text - 2 * batch.rows) / batch.negatives;
    const auto& record = batch.records.at(row);
    out += fmt::format("\n  row {} of {}: {}", record.row, quote(record.source),
                       quote(record.query, 120));
    ++shown;
  }
  if (!out.empty()) return "the vectors of these texts are not finite:" + out;
  out = "every vector of the batch is finite; its first rows are";
  for (size_t row = 0; row < batch.records.size() && row < 3; ++row) {
    out += fmt::format("\n  row {} of {}: {}", batch.records[row].row,
                       quote(batch.records[row].source), quote(batch.records[row].query, 120));
  }
  return out;
}

[[noreturn]] void refuse(std::string_view what, double value, nn::TextModel& model,
                         const data::TrainBatch& batch, const StepOptions& options) {
  throw_error(ErrorKind::usage, fmt::format("step {}", batch.number + 1),
              "the {} is {} at a learning rate of {:.3g}, and the step was not taken. {} A lower "
              "train.learning_rate, more train.warmup or a smaller train.clip usually help; {}",
              what, value, options.learning_rate, options.kept(), offending_rows(model, batch));
}

}  // namespace

TokenBatch slice(const TokenBatch& all, size_t begin, size_t end) {
  TokenBatch out;
  const uint32_t first = all.offsets[begin];
  out.ids.assign(all.ids.begin() + first, all.ids.begin() + all.offsets[end]);
  for (size_t b = begin; b < end; ++b) out.offsets.push_back(all.offsets[b + 1] - first);
  const auto piece = [&](const auto& from, auto& to) {
    if (from.empty()) return;
    to.assign(from.begin() + static_cast<std::ptrdiff_t>(begin),
              from.begin() + static_cast<std::ptrdiff_t>(end));
  };
  piece(all.prompt_tokens, out.prompt_tokens);
  piece(all.adapters, out.adapters);
  return out;
}

void embed_twice(data::TrainBatch& batch) {
  TokenBatch& texts = batch.texts;
  const size_t rows = texts.size();
  const auto tokens = static_cast<uint32_t>(texts.tokens());
  const auto repeat = [](auto& values) {
    values.reserve(2 * values.size());
    values.insert(values.end(), values.begin(), values.end());
  };
  repeat(texts.ids);
  for (size_t b = 1; b <= rows; ++b) texts.offsets.push_back(texts.offsets[b] + tokens);
  repeat(texts.prompt_tokens);
  repeat(texts.adapters);
  repeat(batch.text_ids);
  batch.has_documents = true;
}

StepOutcome leave_gradients(nn::TextModel& model, const data::TrainBatch& batch,
                            const loss::Loss& loss, const StepOptions& options) {
  const loss::LossInput fixed = fixed_input(batch, options.teacher, model.device());
  Group* const group = options.group;
  const std::vector<size_t> parts = portions(batch.texts, group == nullptr ? 1 : group->size());
  const size_t rank = group == nullptr ? 0 : group->rank(), first = parts[rank];
  const size_t texts = parts[rank + 1] - first, chunk = options.grad_cache;
  const auto embed = [&](size_t begin, size_t end) {
    const nn::EmbedOptions how{true, options.dropout_seed, begin};
    const bool all = end - begin == batch.texts.size();
    return all ? model.embed(batch.texts, how) : model.embed(slice(batch.texts, begin, end), how);
  };
  StepOutcome outcome;
  const auto loss_of = [&](const at::Tensor& own) {
    const at::Tensor vectors = group == nullptr ? own : join_vectors(*group, own, parts);
    const loss::LossInput input = with_vectors(fixed, vectors, batch);
    if (batch.rows > 1) outcome.query_cosine = mean_cosine(input.queries);
    return loss.forward(input);
  };
  loss::LossOutput out;
  if (chunk == 0 || chunk >= texts) {
    out = loss_of(embed(first, first + texts));
    out.loss.backward();
  } else {
    const auto encode = [&](size_t number, bool with_graph) {
      const size_t begin = number * chunk, end = std::min(texts, begin + chunk);
      if (with_graph) return embed(first + begin, first + end);
      const at::NoGradGuard no_graph;
      return embed(first + begin, first + end);
    };
    out = loss::grad_cache((texts + chunk - 1) / chunk, encode, loss_of);
  }
  outcome.loss = out.loss.detach().to(at::kDouble).item<double>();
  outcome.negatives_per_query = out.negatives_per_query;
  outcome.solved = out.solved;
  if (!std::isfinite(outcome.loss)) refuse("loss", outcome.loss, model, batch, options);
  if (group != nullptr) sum_gradients(*group, model.parameters());
  return outcome;
}

StepOutcome take_step(nn::TextModel& model, const data::TrainBatch& batch, const loss::Loss& loss,
                      AdamW& optimizer, const StepOptions& options) {
  StepOutcome outcome = leave_gradients(model, batch, loss, options);
  if (options.ewc != nullptr) {
    outcome.penalty = options.ewc->add(model.parameters());
    outcome.loss += outcome.penalty;
  }
  outcome.gradient_norm = optimizer.step(options.learning_rate);
  if (!std::isfinite(outcome.gradient_norm)) {
    refuse("gradient's norm", outcome.gradient_norm, model, batch, options);
  }
  model.parameters_changed();
  return outcome;
}

StepOutcome take_step(nn::TextModel& model, const data::TrainBatch& batch,
                      const Objective& objective, AdamW& optimizer, const StepOptions& options) {
  const ObjectiveValue value = objective.forward(batch.texts, options.dropout_seed);
  StepOutcome outcome;
  outcome.loss = value.loss.detach().to(at::kDouble).item<double>();
  outcome.parts = value.parts;
  if (!std::isfinite(outcome.loss)) refuse("loss", outcome.loss, model, batch, options);
  value.loss.backward();
  outcome.gradient_norm = optimizer.step(options.learning_rate);
  if (!std::isfinite(outcome.gradient_norm)) {
    refuse("gradient's norm", outcome.gradient_norm, model, batch, options);
  }
  model.parameters_changed();
  return outcome;
}

}  // namespace akin::train
