#include "nn/scratch_rows.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/error.h"
#include "core/counters.h"
#include "model/model.h"

namespace akin::nn {
namespace {

// Which row of the static model's table a token has; -1: none.
int64_t row_of(const model::Model& from, int32_t token) {
  if (!from.static_spec.has_mapping)
    return token < from.weights->at("static.embeddings").shape[0] ? token : -1;
  const Tensor& mapping = from.weights->at("static.mapping");
  return token < mapping.elements() ? tensor_int_at(mapping, static_cast<size_t>(token)) : -1;
}

}  // namespace

void copy_static_rows(const std::filesystem::path& folder, const text::Tokenizer& tokenizer,
                      double deviation, MatView<float> out) {
  const model::Model from = model::load_model(folder);
  if (from.arch.kind != ModelKind::static_embedding) {
    throw_error(ErrorKind::usage, folder.string(),
                "is a {} model; the first rows of a token table come from a static model",
                from.arch.family);
  }
  const Tensor& table = from.weights->at("static.embeddings");
  const auto width = static_cast<size_t>(table.shape[1]), dim = std::min(width, out.cols());
  std::vector<float> weights;
  if (from.static_spec.has_weights) weights = tensor_to_f32(from.weights->at("static.weights"));
  std::vector<size_t> copied;
  double squares = 0;
  for (size_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string_view word = tokenizer.token(static_cast<int32_t>(id));
    const auto theirs = word.empty() ? std::nullopt : from.tokenizer->token_id(word);
    const int64_t row = theirs ? row_of(from, *theirs) : -1;
    if (row < 0) continue;
    const std::span<float> target(out.row(id), dim);
    tensor_to_f32(table, static_cast<size_t>(row) * width, target);
    const auto index = static_cast<size_t>(*theirs);
    const float weight = index < weights.size() ? weights[index] : 1.0F;
    for (float& value : target) {
      value *= weight;
      squares += static_cast<double>(value) * static_cast<double>(value);
    }
    copied.push_back(id);
  }
  if (copied.empty() || squares == 0) {
    throw_error(ErrorKind::usage, folder.string(),
                "shares no token with the new model's tokenizer; use a static model of the same "
                "vocabulary");
  }
  const double mean_square = squares / static_cast<double>(copied.size() * dim);
  const auto factor = static_cast<float>(deviation / std::sqrt(mean_square));
  for (const size_t id : copied) {
    for (size_t c = 0; c < dim; ++c) out(id, c) *= factor;
  }
  const size_t random = tokenizer.vocab_size() - copied.size();
  if (random > 0) {
    count_event("random_token_rows", random,
                fmt::format("{} of {} tokens are unknown to {} and start from random rows", random,
                            tokenizer.vocab_size(), folder.string()));
  }
}

}  // namespace akin::nn
