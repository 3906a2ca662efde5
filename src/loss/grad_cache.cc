#include "loss/grad_cache.h"

#include <ATen/core/grad_mode.h>

#include <vector>

#include "base/error.h"

namespace akin::loss {
namespace {

// With dropout replayed the two passes differ by rounding; another mask moves the vectors by tens
// of percent. Without this check the gradient would be wrong and nobody would know.
void check_replay(const at::Tensor& first, const at::Tensor& second, size_t chunk) {
  constexpr double kTolerance = 0.02;
  if (first.sizes() != second.sizes()) {
    throw_error(ErrorKind::internal, "grad_cache",
                "chunk {} has {} values in the first pass and {} in the second", chunk,
                first.numel(), second.numel());
  }
  const auto length = first.to(at::kFloat).norm().item<double>();
  const auto moved = (second.to(at::kFloat) - first.to(at::kFloat)).norm().item<double>();
  if (moved > kTolerance * length) {
    throw_error(ErrorKind::internal, "grad_cache",
                "the vectors of chunk {} moved by {:.1f} % between the two passes; dropout is not "
                "replayed",
                chunk, 100 * moved / length);
  }
}

}  // namespace

LossOutput grad_cache(size_t chunks, const ChunkEncoder& encode, const LossOfVectors& loss) {
  if (chunks == 0) throw_error(ErrorKind::usage, "grad_cache", "a batch has at least one chunk");
  std::vector<at::Tensor> parts;
  {
    const at::NoGradGuard no_grad;
    for (size_t chunk = 0; chunk < chunks; ++chunk) {
      parts.push_back(encode(chunk, false).detach());
    }
  }
  auto vectors = at::cat(parts).requires_grad_(true);
  LossOutput out = loss(vectors);
  out.loss.backward();
  out.loss = out.loss.detach();
  const auto gradient = vectors.grad();
  if (!gradient.defined()) return out;
  int64_t row = 0;
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    const auto again = encode(chunk, true);
    check_replay(parts[chunk], again.detach(), chunk);
    again.backward(gradient.slice(0, row, row + again.size(0)));
    row += again.size(0);
  }
  return out;
}

}  // namespace akin::loss
