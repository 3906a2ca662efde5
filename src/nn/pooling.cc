// Every mode but max is a weighted sum: one weight per token says it all. Max keeps the winning row
// of each element.
#include "nn/pooling.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "kernels/elementwise.h"
#include "nn/autograd_op.h"
#include "nn/torch_ops.h"

namespace akin::nn {
namespace {

constexpr size_t kTextsPerTask = 16;

size_t first_pooled(const TokenBatch& batch, size_t text) {
  const size_t prompt = batch.prompt_tokens.empty() ? 0 : batch.prompt_tokens[text];
  return std::min(prompt, batch.text(text).size());
}

// [T]: what a token counts for in its text's vector.
std::vector<float> token_weights(PoolingMode mode, const TokenBatch& batch) {
  std::vector<float> weights(batch.tokens(), 0.0F);
  for (size_t b = 0; b < batch.size(); ++b) {
    const size_t length = batch.text(b).size(), first = first_pooled(batch, b);
    if (length == 0) continue;
    float* const row = weights.data() + batch.offsets[b];
    if (mode == PoolingMode::cls) {
      row[0] = 1;
    } else if (mode == PoolingMode::last_token) {
      if (first < length) row[length - 1] = 1;
    } else {
      double sum = 0;
      for (size_t t = first; t < length; ++t) {
        row[t] = mode == PoolingMode::weighted_mean ? static_cast<float>(t + 1) : 1.0F;
        sum += static_cast<double>(row[t]);
      }
      if (mode == PoolingMode::mean_sqrt_len) sum = std::sqrt(sum);
      const auto factor = static_cast<float>(1.0 / std::max(sum, 1e-9));
      for (size_t t = first; t < length; ++t) row[t] *= factor;
    }
  }
  return weights;
}

// What backward needs of one forward pass.
struct Plan {
  std::vector<PoolingMode> modes;
  std::vector<std::vector<float>> weights;     // per mode, [T]; empty for max
  std::vector<std::vector<uint32_t>> winners;  // per mode, [B * D] rows of tokens; for max
  std::vector<uint32_t> offsets;
  size_t dim = 0;
};

constexpr uint32_t kNoWinner = UINT32_MAX;

MatView<const float> rows_of(const at::Tensor& t) {
  return {t.data_ptr<float>(), static_cast<size_t>(t.size(0)), static_cast<size_t>(t.size(1))};
}

void max_text(MatView<const float> tokens, size_t begin, size_t end, std::span<uint32_t> winners,
              std::span<float> out) {
  std::fill(winners.begin(), winners.end(), begin < end ? static_cast<uint32_t>(begin) : kNoWinner);
  if (begin < end) std::copy_n(tokens.row(begin), out.size(), out.data());
  for (size_t t = begin + 1; t < end; ++t) {
    const float* row = tokens.row(t);
    for (size_t c = 0; c < out.size(); ++c) {
      if (row[c] > out[c]) {
        out[c] = row[c];
        winners[c] = static_cast<uint32_t>(t);
      }
    }
  }
}

at::Tensor pool_rows(const at::Tensor& contiguous, const TokenBatch& batch, ThreadPool& pool,
                     Plan& plan) {
  const MatView<const float> tokens = rows_of(contiguous);
  const size_t texts = batch.size(), modes = plan.modes.size(), dim = plan.dim;
  at::Tensor result =
      at::zeros({static_cast<int64_t>(texts), static_cast<int64_t>(modes * dim)}, at::kFloat);
  float* const out = result.data_ptr<float>();
  parallel_for(pool, texts, kTextsPerTask, [&](size_t b, size_t) {
    for (size_t m = 0; m < modes; ++m) {
      const std::span<float> vector(out + (b * modes + m) * dim, dim);
      const size_t end = plan.offsets[b + 1];
      if (plan.weights[m].empty()) {
        max_text(tokens, plan.offsets[b] + first_pooled(batch, b), end,
                 std::span(plan.winners[m]).subspan(b * dim, dim), vector);
        continue;
      }
      for (size_t t = plan.offsets[b]; t < end; ++t) {
        const float weight = plan.weights[m][t];
        if (weight != 0) kernels::add_scaled(tokens.row(t), weight, vector);
      }
    }
  });
  return result;
}

at::Tensor gradient_of_rows(const Plan& plan, const at::Tensor& d_out, ThreadPool& pool) {
  const at::Tensor contiguous = d_out.contiguous();
  const MatView<const float> given = rows_of(contiguous);
  const auto tokens = static_cast<int64_t>(plan.offsets.back());
  at::Tensor result = at::zeros({tokens, static_cast<int64_t>(plan.dim)}, at::kFloat);
  const MatView<float> out(result.data_ptr<float>(), plan.offsets.back(), plan.dim);
  parallel_for(pool, plan.offsets.size() - 1, kTextsPerTask, [&](size_t b, size_t) {
    for (size_t m = 0; m < plan.modes.size(); ++m) {
      const float* d = given.row(b) + m * plan.dim;
      if (plan.weights[m].empty()) {
        for (size_t c = 0; c < plan.dim; ++c) {
          const uint32_t winner = plan.winners[m][b * plan.dim + c];
          if (winner != kNoWinner) out(winner, c) += d[c];
        }
        continue;
      }
      for (size_t t = plan.offsets[b]; t < plan.offsets[b + 1]; ++t) {
        const float weight = plan.weights[m][t];
        if (weight != 0) kernels::add_scaled(d, weight, {out.row(t), plan.dim});
      }
    }
  });
  return result;
}

at::Tensor pool_by_pointers(const PoolingSpec& spec, const at::Tensor& tokens,
                            const TokenBatch& batch, ThreadPool& pool) {
  const auto plan = std::make_shared<Plan>();
  plan->modes = spec.modes;
  plan->offsets = batch.offsets;
  plan->dim = static_cast<size_t>(tokens.size(1));
  plan->weights.resize(spec.modes.size());
  plan->winners.resize(spec.modes.size());
  for (size_t m = 0; m < spec.modes.size(); ++m) {
    if (spec.modes[m] == PoolingMode::max) {
      plan->winners[m].resize(batch.size() * plan->dim);
    } else {
      plan->weights[m] = token_weights(spec.modes[m], batch);
    }
  }
  at::Tensor out = pool_rows(tokens.detach().contiguous(), batch, pool, *plan);
  const std::vector<at::Tensor> inputs{tokens};
  return with_backward(out, inputs, "Pooling",
                       [plan, &pool](const at::Tensor& d_out, const std::vector<bool>&) {
                         return std::vector<at::Tensor>{gradient_of_rows(*plan, d_out, pool)};
                       });
}

at::Tensor max_of_texts(const at::Tensor& tokens, const TokenBatch& batch) {
  std::vector<at::Tensor> rows;
  for (size_t b = 0; b < batch.size(); ++b) {
    const auto first = static_cast<int64_t>(batch.offsets[b] + first_pooled(batch, b));
    const int64_t count = static_cast<int64_t>(batch.offsets[b + 1]) - first;
    rows.push_back(count > 0 ? std::get<0>(tokens.narrow(0, first, count).max(0))
                             : at::zeros({tokens.size(1)}, tokens.options()));
  }
  return at::stack(rows);
}

at::Tensor pool_by_operations(const PoolingSpec& spec, const at::Tensor& tokens,
                              const TokenBatch& batch) {
  std::vector<int64_t> text_of;
  for (size_t b = 0; b < batch.size(); ++b)
    text_of.insert(text_of.end(), batch.text(b).size(), static_cast<int64_t>(b));
  const at::Tensor texts = at::tensor(text_of, at::kLong).to(tokens.device());
  std::vector<at::Tensor> parts;
  for (const PoolingMode mode : spec.modes) {
    if (mode == PoolingMode::max) {
      parts.push_back(max_of_texts(tokens, batch));
      continue;
    }
    const at::Tensor weights = at::tensor(token_weights(mode, batch)).to(tokens.options());
    parts.push_back(
        at::zeros({static_cast<int64_t>(batch.size()), tokens.size(1)}, tokens.options())
            .index_add(0, texts, tokens * weights.unsqueeze(1)));
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts, 1);
}

}  // namespace

at::Tensor pool_tokens(const PoolingSpec& spec, const at::Tensor& tokens, const TokenBatch& batch,
                       ThreadPool& pool) {
  if (batch.size() == 0) {
    return at::zeros({0, tokens.size(1) * static_cast<int64_t>(spec.modes.size())},
                     tokens.options());
  }
  if (tokens.is_cpu() && tokens.scalar_type() == at::kFloat)
    return pool_by_pointers(spec, tokens, batch, pool);
  return pool_by_operations(spec, tokens, batch);
}

at::Tensor apply_heads(const model::Model& model, const NamedTensors& weights, at::Tensor pooled) {
  const auto is_dense = [](const model::Head& head) { return head.kind == model::HeadKind::dense; };
  const auto last = std::find_if(model.heads.rbegin(), model.heads.rend(), is_dense).base();
  for (auto head = model.heads.begin(); head != last; ++head) {
    if (!is_dense(*head)) {
      pooled = normalize_rows(pooled);
      continue;
    }
    const std::string name = fmt::format("dense.{}", head->dense_index);
    const model::DenseSpec& spec = model.dense.at(head->dense_index);
    at::Tensor out = activate_rows(linear_rows(pooled, tensor_at(weights, name + ".weight"),
                                               tensor_or_none(weights, name + ".bias")),
                                   spec.activation);
    if (spec.use_residual) {
      const at::Tensor residual = tensor_or_none(weights, name + ".residual.weight");
      out = out + (residual.defined() ? linear_rows(pooled, residual, {}) : pooled);
    }
    pooled = out;
  }
  return pooled;
}

}  // namespace akin::nn
