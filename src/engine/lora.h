// LoRA adapters kept beside the base weights: y += scaling * B (A x) for the rows of texts that
// chose the adapter (Hu et al., arXiv:2106.09685).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/mat.h"
#include "kernels/train_product.h"
#include "model/model.h"

namespace akin::engine {

// What one thread needs for itself.
struct LoraScratch {
  kernels::LeftOperand left;
  AlignedArray<float> inner;
};

// The adapters of one (possibly fused) linear layer: N outputs are concatenated from several
// canonical linears.
class LoraLinear {
 public:
  // Reads adapter.<t>.<name>.lora_a [r, K] and .lora_b [n, r] of every adapter and name; `columns`
  // are the outputs of each name.
  void load(const model::Model& model, std::span<const std::string> names,
            std::span<const size_t> columns);
  bool empty() const { return adapters_.empty(); }
  // Adds to rows of y, [n, N], given x, [n, K]; adapters[i] is row i's adapter, -1 = none. What is
  // added to a row depends on that row alone.
  void add(MatView<const float> x, std::span<const int32_t> adapters, LoraScratch& scratch,
           MatView<float> y) const;

 private:
  struct Part {
    size_t column = 0, outputs = 0;  // among the layer's
    size_t begin = 0, rank = 0;      // among the adapter's rows of A
    kernels::RightOperand b;         // [rank, outputs], scaled
  };
  struct Adapter {
    int32_t number = 0;
    size_t rank = 0;          // of all parts together
    kernels::RightOperand a;  // [K, rank]
    std::vector<Part> parts;
  };
  void add_run(const Adapter& adapter, MatView<const float> x, LoraScratch& scratch,
               MatView<float> y) const;

  std::vector<Adapter> adapters_;  // in rising order
};

// LoRA on an embedding table: row += scaling * A[id] B, A [V, r], B [r, D].
class LoraEmbedding {
 public:
  void load(const model::Model& model, const std::string& name);
  void add(int32_t id, int32_t adapter, std::span<float> row) const;

 private:
  struct Part {
    Mat<float> a, b;
  };
  float scaling_ = 0;
  std::vector<Part> parts_;  // by adapter; empty matrices where it has none
};

}  // namespace akin::engine
