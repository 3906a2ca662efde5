// What the files of the CPU training stack share: weights packed for both directions, what a
// forward pass keeps, a thread's scratch. Only for cpu_stack*.cc.
//
// Shapes: T tokens of a micro-batch, D hidden, H heads, d head_dim, W = H d, F ffn_hidden, U = F,
// or 2 F (gate, up) with gated_ffn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/mat.h"
#include "core/arch_spec.h"
#include "core/token_batch.h"
#include "kernels/attention_backward.h"
#include "kernels/positions.h"
#include "kernels/train_product.h"
#include "nn/cpu_stack.h"

namespace akin::nn {

inline constexpr size_t kNoSlot = SIZE_MAX;
inline constexpr size_t kSlack = 64;  // floats behind every buffer that vectors may read

// A parameter: its canonical name and where its values are now.
struct Slot {
  std::string name;
  // rows 0: as many as the weight has (embedding tables), cols 0: likewise (an adapter's rank).
  size_t rows = 0, cols = 0;
  bool required = true;
  const float* values = nullptr;  // null: absent
  size_t table_rows = 0;          // of values
};

struct Norm {
  size_t gamma = kNoSlot, beta = kNoSlot;
  bool present() const { return gamma != kNoSlot; }
};

enum class DropoutSite : uint8_t {
  embeddings,
  attention_output,
  ffn_output,
  attention_weights,
  adapter_qkv,
  adapter_out,
  adapter_up,
  adapter_down,
};

// One adapter's low-rank pairs on a Linear: y_part += scaling * B_part (A_part x).
struct LinearAdapter {
  struct Pair {
    size_t a, b;          // slots
    size_t column, rows;  // of the part among the linear's outputs
    size_t begin, rank;   // of its rows of A among the adapter's; rank 0: it has none
    kernels::RightOperand b_forward, b_backward;  // [rank, rows] and [rows, rank]
  };
  std::vector<Pair> pairs;
  size_t rank = 0;                              // of all pairs together
  kernels::RightOperand a_forward, a_backward;  // [in, rank] and [rank, in]
};

// An adapter's pair on a table: row += scaling * A[id] B. Slots, kNoSlot: none.
struct TableAdapter {
  size_t a = kNoSlot, b = kNoSlot;
};

// Linears that read the same input, as one product: their outputs side by side.
struct Linear {
  struct Part {
    size_t weight, bias, rows;
  };
  std::vector<Part> parts;
  size_t in = 0, out = 0;
  kernels::RightOperand forward, backward;  // [in, out] and [out, in]
  std::vector<LinearAdapter> adapters;      // by number
  DropoutSite adapter_site{};
};

struct Layer {
  size_t index = 0;
  bool local = false;  // attends within arch.local_window
  Linear qkv, out, up, down;
  Norm attn_norm, ffn_norm, q_norm, k_norm, inner_norm;
};

struct StackModel {
  ArchSpec arch;
  StackOptions options;
  kernels::ProductNumbers numbers = kernels::ProductNumbers::f32;
  std::vector<Slot> slots;
  std::vector<Layer> layers;
  Norm embedding_norm, final_norm;
  size_t token = kNoSlot, position = kNoSlot, type = kNoSlot, relative_bias = kNoSlot;
  std::vector<TableAdapter> token_adapters, type_adapters;  // by number
  // Tables by position; grown by forward.
  size_t table_length = 0;
  kernels::RotaryTable rotary, rotary_local, rotary_back, rotary_local_back;  // back: -sine
  kernels::BiasTable bias;

  size_t hidden() const { return static_cast<size_t>(arch.hidden); }
  size_t heads() const { return static_cast<size_t>(arch.heads); }
  size_t width() const { return static_cast<size_t>(arch.heads * arch.head_dim); }
  size_t ffn() const { return static_cast<size_t>(arch.ffn_hidden); }
  size_t wide() const { return ffn() * (arch.gated_ffn ? 2 : 1); }
  bool post() const { return arch.norm_place == NormPlace::post; }
  // Tables whose gradient goes to the caller's rows at once, not through each thread's own copy.
  bool scattered(size_t slot) const {
    if (slot == token || slot == position) return true;
    for (const TableAdapter& adapter : token_adapters) {
      if (slot == adapter.a) return true;
    }
    return false;
  }
  const float* values(size_t slot) const { return slot == kNoSlot ? nullptr : slots[slot].values; }
};

// Where gradients of the slots go, null: nobody asks.
using Sink = std::vector<float*>;

// What a layer's backward pass reads. Views into one block of memory.
struct LayerKeep {
  MatView<float> x;         // [T, D] the layer's input
  MatView<float> qk_raw;    // [T, 2 W] with qk_norm: q and k before it
  MatView<float> qkv;       // [T, 3 W] as attention reads them
  MatView<float> log_sums;  // [T, H]
  MatView<float> context;   // [T, W]
  MatView<float> inner;     // [T, D] with attn_inner_norm: what it norms
  MatView<float> middle;    // [T, D] after the attention residual, before a post norm
  MatView<float> wide;      // [T, U] before the activation
  MatView<float> last;      // [T, D] post-norm only: after the FFN residual
};

// Some whole texts that one thread takes through all layers.
struct MicroBatch {
  size_t text_begin = 0, text_end = 0, token_begin = 0, tokens = 0;
  AlignedArray<float> memory;
  MatView<float> embedded;        // [T, D] before the embedding norm
  MatView<float> final_input;     // [T, D] before the final norm
  std::vector<LayerKeep> layers;  // with recompute: x alone
};

// What every step of one micro-batch needs to know.
struct StepContext {
  const StackModel& model;
  const TokenBatch& batch;
  uint64_t dropout_seed, first_text;
  const MicroBatch& micro;

  size_t text_length(size_t text) const { return batch.offsets[text + 1] - batch.offsets[text]; }
  // First row of a text within the micro-batch.
  size_t text_row(size_t text) const { return batch.offsets[text] - micro.token_begin; }
  int32_t adapter(size_t text) const { return batch.adapters.empty() ? -1 : batch.adapters[text]; }
};

// What one thread needs for itself.
struct Scratch {
  kernels::LeftOperand left;
  kernels::RightOperand right;
  std::vector<const float*> rows;
  kernels::AttentionScratch attention;
  kernels::AttentionGradientScratch attention_gradient;
  AlignedArray<float> memory, layer_memory, bias_gradient;
  AlignedArray<float> adapter_input, adapter_inner, adapter_inner_gradient;
  MatView<float> d, normed, rest;   // [T, D]
  MatView<float> activated;         // [T, F]
  MatView<float> d_activated;       // [T, F]
  MatView<float> d_wide;            // [T, U]; without gates the same as d_activated
  MatView<float> d_context, d_qkv;  // [T, W], [T, 3 W]
  LayerKeep layer;                  // where nothing is kept

  void prepare(const StackModel& model, size_t tokens);
};

// Freed blocks of passes, for the next pass: fresh pages from the system cost as much as a layer.
class BlockPool {
 public:
  AlignedArray<float> take(size_t floats);
  void give(AlignedArray<float> block);

 private:
  std::mutex mutex_;
  std::vector<AlignedArray<float>> blocks_;
};

kernels::Dropout text_dropout(const StepContext& context, double p, size_t text, size_t layer,
                              DropoutSite site);
// out = x under the masks of every text, plus residual unless that is empty; rows of the
// micro-batch, dense. All three may be the same. Only with hidden_dropout().
void drop_rows(const StepContext& context, size_t layer, DropoutSite site, MatView<const float> x,
               MatView<const float> residual, MatView<float> out);
// Whether embeddings and the outputs of a layer's halves are dropped in this pass.
bool hidden_dropout(const StepContext& context);

void norm_forward(const StackModel& model, const Norm& norm, MatView<const float> x,
                  MatView<float> out);
// dx may be dy.
void norm_backward(const StackModel& model, const Norm& norm, const Sink& sink,
                   MatView<const float> x, MatView<const float> dy, MatView<float> dx);

size_t layer_keep_floats(const StackModel& model, size_t tokens);
// Lays a layer's views (all but x) out in memory; returns the floats taken.
size_t lay_out(const StackModel& model, size_t tokens, float* memory, LayerKeep& keep);

// Token, position and type rows through the embedding norm into x; the sums before it into
// micro.embedded.
void embed_forward(const StepContext& context, MatView<float> x);
// Down to the sums of table rows; adds the type row's gradient. d: [T, D], in place.
void embed_backward(const StepContext& context, const Sink& sink, Scratch& scratch);

// keep.x to x_out, which may be keep.x of the next layer. Fills keep.
void layer_forward(const StepContext& context, const Layer& layer, const LayerKeep& keep,
                   Scratch& scratch, MatView<float> x_out);
// scratch.d: gradient of the layer's output in, of its input out.
void layer_backward(const StepContext& context, const Layer& layer, const LayerKeep& keep,
                    const Sink& sink, Scratch& scratch);

// The attention arguments of one text, forward.
kernels::AttentionArgs attention_args(const StepContext& context, const Layer& layer,
                                      const LayerKeep& keep, size_t text,
                                      const kernels::Dropout& dropout);
// Rotates q and k (or their gradients back) in rows [T, >= 2 W].
void rotate_qk(const StepContext& context, const Layer& layer, bool back, MatView<float> qkv);

}  // namespace akin::nn
