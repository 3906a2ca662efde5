// Losses that see a batch through cosines only. Written once against the matrix of cosines, they
// run on embeddings, and under Matryoshka, where the products of a prefix are part of the products
// of every longer prefix. Internal to loss/.
//
// Shapes: B rows, M negatives of each, T texts, E embedding dim.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "loss/fused_softmax.h"
#include "loss/loss.h"

namespace akin::loss {

// Which cosines a loss wants. A zero vector has cosine 0 with everything.
enum class Against : uint8_t {
  pair,       // [B, 1]        query i with document i
  own,        // [B, 1 + M]    query i with document i, then with its own negatives
  documents,  // [B, B]        query i with document j
  all,        // [B, B + B M]  with every document, then every row's negatives
  texts,  // [T, T]        every text with every other: queries, then documents if any: T = B, 2B
};

// All that a loss knows of a batch before it sees a cosine.
struct CosinePlan {
  Against against = Against::pair;
  at::Tensor excluded = {};  // bool, shaped as the cosines: no negatives; undefined: all count
  bool statistics = true;    // whether negatives_per_query and solved are wanted
};

class CosineLoss {
 public:
  virtual ~CosineLoss() = default;
  virtual std::string_view name() const = 0;
  virtual LossNeeds needs() const = 0;
  virtual CosinePlan plan(const LossInput& in) const = 0;  // of a checked input
  virtual LossOutput from_cosines(const at::Tensor& cosines, const CosinePlan& plan,
                                  const LossInput& in) const = 0;
  // The same loss as one operation, where it is one (fused_softmax.h).
  virtual std::optional<InBatchSoftmaxForm> softmax() const { return {}; }
};

// The loss over embeddings.
std::unique_ptr<Loss> make_cosine_loss(std::unique_ptr<CosineLoss> loss);

// The cosines of the first dims[k] dims, for every k. dims ascend; the last is at most E.
// Differentiable once.
std::vector<at::Tensor> prefix_cosines(const LossInput& in, Against against,
                                       std::span<const int64_t> dims);

}  // namespace akin::loss
