// The row-wise parts of the training stack: embeddings, norms, dropout masks, and how the memory of
// a micro-batch is laid out.
#include <algorithm>
#include <cstring>

#include "kernels/elementwise.h"
#include "kernels/gradients.h"
#include "nn/cpu_stack_adapters.h"
#include "nn/cpu_stack_parts.h"

namespace akin::nn {
namespace {

// Cuts views off one block; every view is followed by kSlack floats and starts on a cache line.
// Without a block it only counts.
class Cutter {
 public:
  explicit Cutter(float* block) : block_(block) {}
  MatView<float> cut(size_t rows, size_t cols) {
    const MatView<float> view(block_ == nullptr ? nullptr : block_ + used_, rows, cols);
    used_ += (rows * cols + 15) / 16 * 16 + kSlack;
    return view;
  }
  size_t used() const { return used_; }

 private:
  float* block_;
  size_t used_ = 0;
};

}  // namespace

bool hidden_dropout(const StepContext& context) {
  return context.dropout_seed != 0 && context.model.options.dropout > 0;
}

kernels::Dropout text_dropout(const StepContext& context, double p, size_t text, size_t layer,
                              DropoutSite site) {
  if (context.dropout_seed == 0 || p == 0) return {};
  return kernels::make_dropout(
      p, kernels::dropout_key(context.dropout_seed, context.first_text + text, layer,
                              static_cast<uint64_t>(site)));
}

void drop_rows(const StepContext& context, size_t layer, DropoutSite site, MatView<const float> x,
               MatView<const float> residual, MatView<float> out) {
  for (size_t text = context.micro.text_begin; text < context.micro.text_end; ++text) {
    const size_t row = context.text_row(text), length = context.text_length(text);
    if (length == 0) continue;
    const kernels::Dropout dropout =
        text_dropout(context, context.model.options.dropout, text, layer, site);
    kernels::apply_dropout(dropout, 0, {x.row(row), length * x.cols()},
                           residual.empty() ? nullptr : residual.row(row), out.row(row));
  }
}

void norm_forward(const StackModel& model, const Norm& norm, MatView<const float> x,
                  MatView<float> out) {
  const ArchSpec& arch = model.arch;
  if (arch.norm == NormKind::rms_norm) {
    kernels::rms_norm(x, model.values(norm.gamma), arch.norm_eps, out);
  } else {
    kernels::layer_norm(x, model.values(norm.gamma), model.values(norm.beta), arch.norm_eps, out);
  }
}

void norm_backward(const StackModel& model, const Norm& norm, const Sink& sink,
                   MatView<const float> x, MatView<const float> dy, MatView<float> dx) {
  const ArchSpec& arch = model.arch;
  float* d_gamma = sink[norm.gamma];
  if (arch.norm == NormKind::rms_norm) {
    kernels::rms_norm_backward(x, model.values(norm.gamma), arch.norm_eps, dy, dx, d_gamma);
  } else {
    float* d_beta = norm.beta == kNoSlot ? nullptr : sink[norm.beta];
    kernels::layer_norm_backward(x, model.values(norm.gamma), arch.norm_eps, dy, dx, d_gamma,
                                 d_beta);
  }
}

size_t lay_out(const StackModel& model, size_t tokens, float* memory, LayerKeep& keep) {
  Cutter cutter(memory);
  const size_t width = model.width();
  if (model.arch.qk_norm) keep.qk_raw = cutter.cut(tokens, 2 * width);
  keep.qkv = cutter.cut(tokens, 3 * width);
  keep.log_sums = cutter.cut(tokens, model.heads());
  keep.context = cutter.cut(tokens, width);
  if (model.arch.attn_inner_norm) keep.inner = cutter.cut(tokens, model.hidden());
  keep.middle = cutter.cut(tokens, model.hidden());
  keep.wide = cutter.cut(tokens, model.wide());
  if (model.post()) keep.last = cutter.cut(tokens, model.hidden());
  return cutter.used();
}

size_t layer_keep_floats(const StackModel& model, size_t tokens) {
  LayerKeep keep;
  return lay_out(model, tokens, nullptr, keep);
}

void Scratch::prepare(const StackModel& model, size_t tokens) {
  const size_t dim = model.hidden(), width = model.width();
  const auto lay = [&](Cutter& cutter) {
    d = cutter.cut(tokens, dim);
    normed = cutter.cut(tokens, dim);
    rest = cutter.cut(tokens, dim);
    activated = cutter.cut(tokens, model.ffn());
    d_activated = cutter.cut(tokens, model.ffn());
    d_wide = model.arch.gated_ffn ? cutter.cut(tokens, model.wide()) : d_activated;
    d_context = cutter.cut(tokens, width);
    d_qkv = cutter.cut(tokens, 3 * width);
    layer.x = cutter.cut(tokens, dim);
  };
  Cutter measure(nullptr);
  lay(measure);
  memory.ensure(measure.used());
  Cutter cutter(memory.data());
  lay(cutter);
  layer_memory.ensure(layer_keep_floats(model, tokens));
  lay_out(model, tokens, layer_memory.data(), layer);
}

AlignedArray<float> BlockPool::take(size_t floats) {
  const std::lock_guard lock(mutex_);
  auto best = blocks_.end();
  for (auto it = blocks_.begin(); it != blocks_.end(); ++it) {
    if (it->size() >= floats && (best == blocks_.end() || it->size() < best->size())) best = it;
  }
  AlignedArray<float> block;
  if (best != blocks_.end()) {
    block = std::move(*best);
    blocks_.erase(best);
    return block;
  }
  if (!blocks_.empty()) blocks_.pop_back();  // too small: not kept beside a larger one
  block.reset(floats);
  return block;
}

void BlockPool::give(AlignedArray<float> block) {
  const std::lock_guard lock(mutex_);
  blocks_.push_back(std::move(block));
}

void embed_forward(const StepContext& context, MatView<float> x) {
  const StackModel& model = context.model;
  const ArchSpec& arch = model.arch;
  const MicroBatch& micro = context.micro;
  const size_t dim = model.hidden();
  const float* tokens = model.values(model.token);
  const float* positions = model.values(model.position);
  const float* type = model.values(model.type);
  const MatView<float> sums = model.embedding_norm.present() ? micro.embedded : x;
  for (size_t text = micro.text_begin; text < micro.text_end; ++text) {
    for (size_t i = 0; i < context.text_length(text); ++i) {
      const size_t t = context.batch.offsets[text] + i;
      const std::span<float> row(sums.row(t - micro.token_begin), dim);
      std::copy_n(tokens + static_cast<size_t>(context.batch.ids[t]) * dim, dim, row.data());
      if (type != nullptr) kernels::add_scaled(type, 1.0F, row);
      if (positions != nullptr) {
        const size_t index = i + static_cast<size_t>(arch.position_offset);
        kernels::add_scaled(positions + index * dim, 1.0F, row);
      }
      add_table_adapters(model, context.adapter(text), context.batch.ids[t], row);
    }
  }
  if (model.embedding_norm.present()) norm_forward(model, model.embedding_norm, sums, x);
  if (hidden_dropout(context)) drop_rows(context, 0, DropoutSite::embeddings, x, {}, x);
}

void embed_backward(const StepContext& context, const Sink& sink, Scratch& scratch) {
  const StackModel& model = context.model;
  if (hidden_dropout(context))
    drop_rows(context, 0, DropoutSite::embeddings, scratch.d, {}, scratch.d);
  if (model.embedding_norm.present()) {
    norm_backward(model, model.embedding_norm, sink, context.micro.embedded, scratch.d, scratch.d);
  }
  if (model.type != kNoSlot && sink[model.type] != nullptr)
    kernels::add_column_sums(scratch.d, sink[model.type]);
  add_table_adapter_gradients(context, sink, scratch.d);
}

}  // namespace akin::nn
