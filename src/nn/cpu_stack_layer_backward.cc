// One layer of the training stack, backward: layer_forward's steps in reverse. Cheap things (norms,
// activations) are computed again instead of kept.
#include <algorithm>

#include "kernels/elementwise.h"
#include "kernels/gradients.h"
#include "nn/cpu_stack_adapters.h"
#include "nn/cpu_stack_parts.h"

namespace akin::nn {
namespace {

using kernels::EpilogueKind;

// dx (+)= dy W.
void multiply_back(const StepContext& context, const Layer& layer, const Linear& linear,
                   MatView<const float> dy, EpilogueKind kind, Scratch& scratch,
                   MatView<float> dx) {
  scratch.left.set(context.model.numbers, dy);
  linear.backward.multiply(scratch.left, {kind, Activation::identity}, dx);
  add_adapters_back(context, layer, linear, dy, scratch, dx);
}

// dW += dy^T x and db += sum dy, for the parts that somebody asks for.
void add_weight_gradients(const StepContext& context, const Layer& layer, const Linear& linear,
                          const Sink& sink, MatView<const float> dy, MatView<const float> x,
                          Scratch& scratch) {
  const kernels::ProductNumbers numbers = context.model.numbers;
  const auto asked = [&](const Linear::Part& part) { return sink[part.weight] != nullptr; };
  if (std::any_of(linear.parts.begin(), linear.parts.end(), asked)) {
    scratch.rows.resize(x.rows());
    for (size_t r = 0; r < x.rows(); ++r) scratch.rows[r] = x.row(r);
    scratch.right.reserve(numbers, x.rows(), x.cols());
    scratch.right.pack(scratch.rows, 0, scratch.right.panels());
  }
  size_t col = 0;
  for (const Linear::Part& part : linear.parts) {
    const MatView<const float> own = dy.col_range(col, part.rows);
    col += part.rows;
    if (asked(part)) {
      scratch.left.set_transposed(numbers, own);
      scratch.right.multiply(scratch.left, {EpilogueKind::add, Activation::identity},
                             {sink[part.weight], part.rows, linear.in});
    }
    if (part.bias != kNoSlot && sink[part.bias] != nullptr)
      kernels::add_column_sums(own, sink[part.bias]);
  }
  add_adapter_gradients(context, layer, linear, sink, dy, x, scratch);
}

// The gradient of what dropout was applied to: d itself, or masked in `to`.
MatView<const float> masked(const StepContext& context, const Layer& layer, DropoutSite site,
                            MatView<const float> d, MatView<float> to) {
  if (!hidden_dropout(context)) return d;
  drop_rows(context, layer.index, site, d, {}, to);
  return to;
}

// d: gradient of the layer's output in, of keep.middle out.
void feed_forward_backward(const StepContext& context, const Layer& layer, const LayerKeep& keep,
                           const Sink& sink, Scratch& scratch) {
  const StackModel& model = context.model;
  const MatView<float> d = scratch.d;
  if (model.post()) norm_backward(model, layer.ffn_norm, sink, keep.last, d, d);
  const MatView<const float> dy = masked(context, layer, DropoutSite::ffn_output, d, scratch.rest);
  multiply_back(context, layer, layer.down, dy, EpilogueKind::store, scratch, scratch.d_activated);
  const auto backward =
      model.arch.gated_ffn ? kernels::gated_backward : kernels::activation_backward;
  backward(keep.wide, model.arch.activation, scratch.d_activated, scratch.activated,
           scratch.d_wide);
  add_weight_gradients(context, layer, layer.down, sink, dy, scratch.activated, scratch);

  const Norm& norm = model.post() ? layer.attn_norm : layer.ffn_norm;
  norm_forward(model, norm, keep.middle, scratch.normed);
  add_weight_gradients(context, layer, layer.up, sink, scratch.d_wide, scratch.normed, scratch);
  if (model.post()) {
    multiply_back(context, layer, layer.up, scratch.d_wide, EpilogueKind::add, scratch, d);
    norm_backward(model, norm, sink, keep.middle, d, d);
  } else {
    multiply_back(context, layer, layer.up, scratch.d_wide, EpilogueKind::store, scratch,
                  scratch.rest);
    norm_backward(model, norm, sink, keep.middle, scratch.rest, scratch.rest);
    kernels::add_rows(d, scratch.rest, d);
  }
}

// d_context to d_qkv, through rotary positions and the norms of q and k.
void attention_core_backward(const StepContext& context, const Layer& layer, const LayerKeep& keep,
                             const Sink& sink, Scratch& scratch) {
  const StackModel& model = context.model;
  const size_t width = model.width();
  kernels::AttentionGradientArgs args;
  const bool learned = model.relative_bias != kNoSlot && sink[model.relative_bias] != nullptr;
  for (size_t text = context.micro.text_begin; text < context.micro.text_end; ++text) {
    const kernels::Dropout dropout = text_dropout(context, model.options.attention_dropout, text,
                                                  layer.index, DropoutSite::attention_weights);
    args.forward = attention_args(context, layer, keep, text, dropout);
    const size_t row = context.text_row(text), length = context.text_length(text);
    const MatView<float> d_qkv = scratch.d_qkv.row_range(row, length);
    args.d_out = scratch.d_context.row_range(row, length);
    args.dq = d_qkv.col_range(0, width);
    args.dk = d_qkv.col_range(width, width);
    args.dv = d_qkv.col_range(2 * width, width);
    if (learned) {
      args.d_bias = scratch.bias_gradient.data();
      args.bias_stride = model.bias.stride;
      args.bias_center = model.bias.center;
    }
    for (size_t head = 0; head < args.forward.heads; ++head)
      kernels::attention_backward(args, head, scratch.attention_gradient);
  }
  rotate_qk(context, layer, /*back=*/true, scratch.d_qkv);
  if (!layer.q_norm.present()) return;
  const MatView<float> dq = scratch.d_qkv.col_range(0, width),
                       dk = scratch.d_qkv.col_range(width, width);
  norm_backward(model, layer.q_norm, sink, keep.qk_raw.col_range(0, width), dq, dq);
  norm_backward(model, layer.k_norm, sink, keep.qk_raw.col_range(width, width), dk, dk);
}

}  // namespace

void layer_backward(const StepContext& context, const Layer& layer, const LayerKeep& keep,
                    const Sink& sink, Scratch& scratch) {
  const StackModel& model = context.model;
  const MatView<float> d = scratch.d;
  feed_forward_backward(context, layer, keep, sink, scratch);

  MatView<const float> dy = d;
  if (layer.inner_norm.present()) {  // middle = x + norm(inner), inner = x + attention
    norm_backward(model, layer.inner_norm, sink, keep.inner, d, scratch.normed);
    kernels::add_rows(d, scratch.normed, d);
    dy = scratch.normed;
  }
  dy = masked(context, layer, DropoutSite::attention_output, dy, scratch.rest);
  add_weight_gradients(context, layer, layer.out, sink, dy, keep.context, scratch);
  multiply_back(context, layer, layer.out, dy, EpilogueKind::store, scratch, scratch.d_context);
  attention_core_backward(context, layer, keep, sink, scratch);

  const bool normed = !model.post() && layer.attn_norm.present();
  if (normed) norm_forward(model, layer.attn_norm, keep.x, scratch.normed);
  add_weight_gradients(context, layer, layer.qkv, sink, scratch.d_qkv,
                       normed ? scratch.normed : keep.x, scratch);
  if (normed) {
    multiply_back(context, layer, layer.qkv, scratch.d_qkv, EpilogueKind::store, scratch,
                  scratch.rest);
    norm_backward(model, layer.attn_norm, sink, keep.x, scratch.rest, scratch.rest);
    kernels::add_rows(d, scratch.rest, d);
  } else {
    multiply_back(context, layer, layer.qkv, scratch.d_qkv, EpilogueKind::add, scratch, d);
  }
}

}  // namespace akin::nn
