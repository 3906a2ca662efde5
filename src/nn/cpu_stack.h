// The transformer on the CPU for training: forward and backward over packed tokens, by our own
// kernels. Knows no libtorch: text_model.cc makes one autograd function of it. Each thread takes
// micro-batches of whole texts through all layers and back, so cores never wait for each other; the
// division of texts is fixed by the batch and the number of threads, and so is every byte of the
// result.
//
// Shapes: B texts, T tokens in all, D hidden.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/mat.h"
#include "base/threads.h"
#include "core/arch_spec.h"
#include "core/token_batch.h"

namespace akin::nn {

// bf16: products of bfloat16 values summed in f32, on CPUs that are fast at them (AMX, or
// AVX512_BF16 of AMD);
// weights, activations kept for backward, norms, attention's softmax and gradients stay f32.
enum class TrainPrecision : uint8_t { f32, bf16 };
bool bf16_available();

struct StackOptions {
  TrainPrecision precision = TrainPrecision::f32;
  double dropout = 0;  // embeddings, attention output and FFN output (hidden_dropout_prob)
  double attention_dropout = 0;  // attention weights
  double adapter_dropout = 0;    // what the A of an adapter reads
  bool recompute = false;        // keep only each layer's input; forward again in backward
};

// A weight or gradient under its canonical name (model/model.h), dense rows.
struct StackTensor {
  MatView<float> values;  // a vector is [1, n]
};
using StackTensors = std::map<std::string, StackTensor, std::less<>>;

class CpuStack {
 public:
  // Errors: unsupported, naming what of the spec this stack does not run.
  static std::unique_ptr<CpuStack> make(const ArchSpec& arch, const StackOptions& options,
                                        ThreadPool& pool);
  virtual ~CpuStack() = default;

  // Takes the weights as they are now (packs them): after every optimizer step. Only names of
  // embed.*, layer.*, final_norm.*, relative_bias.* are read; the views must stay until the next
  // call.
  virtual void set_weights(const StackTensors& weights) = 0;

  // What forward keeps for backward. Movable between threads; owned by the caller.
  class Pass {
   public:
    virtual ~Pass() = default;
  };
  // out: [T, D], the last layer's token vectors. `dropout_seed` 0: no dropout. Text b's masks
  // depend on dropout_seed and first_text + b alone, so a chunk of a batch repeats them. keep =
  // false: no backward will follow, returns null.
  virtual std::unique_ptr<Pass> forward(const TokenBatch& batch, uint64_t dropout_seed,
                                        uint64_t first_text, bool keep, MatView<float> out) = 0;
  // Adds to `gradients` (same names and shapes as the weights; names that are missing are not
  // computed: frozen weights). d_out: [T, D].
  virtual void backward(const Pass& pass, MatView<const float> d_out,
                        const StackTensors& gradients) = 0;
};

}  // namespace akin::nn
