// The transformer forward pass over packed tokens: token ids in, one hidden vector per token out.
// No padding, no pooling.
#pragma once

#include <span>

#include "core/token_batch.h"
#include "engine/packed_model.h"
#include "engine/team.h"
#include "kernels/attention.h"
#include "kernels/positions.h"

namespace akin::engine {

// What one thread needs for itself; in a team that divides columns, rank 0's is shared (but for
// lora).
struct ThreadScratch {
  kernels::Operand hidden_operand, context_operand, ffn_operand;  // K = D, H d, F
  AlignedArray<float> normed, ffn;
  kernels::AttentionScratch attention;
  LoraScratch lora;
};

// Buffers of one forward pass; kept between passes. Not thread-safe: one team at a time.
class Workspace {
 public:
  // Room for a batch: T tokens, the longest text L; builds position tables up to L. Called before
  // the team starts.
  void prepare(const PackedModel& model, const TokenBatch& batch, size_t team_size);

  MatView<float> hidden;   // [T, D]: in and out of every layer, and the result
  MatView<float> qkv;      // [T, 3 H d]
  MatView<float> context;  // [T, H d]
  std::vector<ThreadScratch> scratch;
  std::vector<int32_t> row_adapters;  // [T], empty where no text has one
  kernels::RotaryTable rotary, rotary_local;
  kernels::BiasTable bias;

 private:
  AlignedArray<float> hidden_, qkv_, context_;
  size_t table_length_ = 0;
};

// Runs all layers; every member of the team calls it with the same arguments but its own
// `team.rank`. Result in workspace.hidden.
void forward(const PackedModel& model, const TokenBatch& batch, Workspace& workspace,
             const Team& team);

// The same with all threads of a pool as the team, prepare() included. An exception of one member
// frees the others and is thrown here.
void forward_with_team(const PackedModel& model, const TokenBatch& batch, Workspace& workspace,
                       ThreadPool& pool);

}  // namespace akin::engine
