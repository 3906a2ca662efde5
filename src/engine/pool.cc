#include "engine/pool.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/elementwise.h"

namespace akin::engine {
namespace {

void pool_mode(PoolingMode mode, MatView<const float> tokens, size_t first, std::span<float> out) {
  const size_t count = tokens.rows() - first, dim = tokens.cols();
  std::fill(out.begin(), out.end(), 0.0F);
  switch (mode) {
    case PoolingMode::cls:
      std::copy_n(tokens.row(0), dim, out.data());
      return;
    case PoolingMode::last_token:
      if (count > 0) std::copy_n(tokens.row(tokens.rows() - 1), dim, out.data());
      return;
    case PoolingMode::max:
      if (count > 0) std::copy_n(tokens.row(first), dim, out.data());
      for (size_t t = first + 1; t < tokens.rows(); ++t) {
        for (size_t c = 0; c < dim; ++c) out[c] = std::max(out[c], tokens(t, c));
      }
      return;
    case PoolingMode::mean:
    case PoolingMode::mean_sqrt_len:
    case PoolingMode::weighted_mean:
      break;
  }
  double weights = 0;
  for (size_t t = first; t < tokens.rows(); ++t) {
    const float weight = mode == PoolingMode::weighted_mean ? static_cast<float>(t + 1) : 1.0F;
    kernels::add_scaled(tokens.row(t), weight, out);
    weights += weight;
  }
  if (mode == PoolingMode::mean_sqrt_len) weights = std::sqrt(weights);
  kernels::multiply(out, static_cast<float>(1.0 / std::max(weights, 1e-9)));
}

}  // namespace

void pool_text(const PoolingSpec& spec, MatView<const float> tokens, size_t prompt_tokens,
               std::span<float> out) {
  const size_t dim = tokens.cols();
  if (tokens.rows() == 0) {
    std::fill(out.begin(), out.end(), 0.0F);
    return;
  }
  const size_t first = std::min(prompt_tokens, tokens.rows());
  for (size_t m = 0; m < spec.modes.size(); ++m)
    pool_mode(spec.modes[m], tokens, first, out.subspan(m * dim, dim));
}

Mat<float> apply_heads(const PackedModel& model, Mat<float> pooled) {
  kernels::Operand operand;
  for (const PackedHead& head : model.heads) {
    if (head.kind == model::HeadKind::normalize) {
      for (size_t r = 0; r < pooled.rows(); ++r) normalize({pooled.row(r), pooled.cols()});
      continue;
    }
    operand.reserve(kernels::choose_backend(Precision::f32), pooled.rows(), pooled.cols());
    operand.set_rows(0, pooled.view());
    Mat<float> out(pooled.rows(), head.dense.n());
    head.dense.run(operand, pooled.rows(), {kernels::EpilogueKind::activate, head.spec.activation},
                   out.view());
    if (head.residual) {
      head.residual->run(operand, pooled.rows(), {kernels::EpilogueKind::add, {}}, out.view());
    } else if (head.spec.use_residual) {
      for (size_t r = 0; r < out.rows(); ++r)
        kernels::add_scaled(pooled.row(r), 1.0F, {out.row(r), out.cols()});
    }
    pooled = std::move(out);
  }
  return pooled;
}

void normalize(std::span<float> x) {
  double squares = 0;
  for (const float value : x) squares += static_cast<double>(value) * static_cast<double>(value);
  kernels::multiply(x, static_cast<float>(1.0 / std::max(std::sqrt(squares), 1e-12)));
}

}  // namespace akin::engine
