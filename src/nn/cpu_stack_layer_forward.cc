// One layer of the training stack, forward. The same steps as engine/forward.cc, but what backward
// reads is kept apart instead of overwritten.
#include <algorithm>
#include <cstring>

#include "kernels/elementwise.h"
#include "kernels/gradients.h"
#include "nn/cpu_stack_adapters.h"
#include "nn/cpu_stack_parts.h"

namespace akin::nn {
namespace {

using kernels::EpilogueKind;

void multiply(const StepContext& context, const Layer& layer, const Linear& linear,
              MatView<const float> in, EpilogueKind kind, Scratch& scratch, MatView<float> out) {
  scratch.left.set(context.model.numbers, in);
  linear.forward.multiply(scratch.left, {kind, Activation::identity}, out);
  add_adapters(context, layer, linear, in, scratch, out);
}

void copy(MatView<const float> from, MatView<float> to) {
  for (size_t r = 0; r < from.rows(); ++r)
    std::memcpy(to.row(r), from.row(r), from.cols() * sizeof(float));
}

// out = residual + dropout(in W + b).
void add_product(const StepContext& context, const Layer& layer, const Linear& linear,
                 DropoutSite site, MatView<const float> in, MatView<const float> residual,
                 Scratch& scratch, MatView<float> out) {
  if (!hidden_dropout(context)) {
    copy(residual, out);
    multiply(context, layer, linear, in, EpilogueKind::add, scratch, out);
    return;
  }
  multiply(context, layer, linear, in, EpilogueKind::store, scratch, out);
  drop_rows(context, layer.index, site, out, residual, out);
}

void attend(const StepContext& context, const Layer& layer, const LayerKeep& keep,
            Scratch& scratch) {
  for (size_t text = context.micro.text_begin; text < context.micro.text_end; ++text) {
    const kernels::Dropout dropout =
        text_dropout(context, context.model.options.attention_dropout, text, layer.index,
                     DropoutSite::attention_weights);
    const kernels::AttentionArgs args = attention_args(context, layer, keep, text, dropout);
    for (size_t head = 0; head < args.heads; ++head)
      kernels::attention(args, head, 0, context.text_length(text), scratch.attention);
  }
}

void project_qkv(const StepContext& context, const Layer& layer, const LayerKeep& keep,
                 MatView<const float> in, Scratch& scratch) {
  const StackModel& model = context.model;
  const size_t width = model.width();
  multiply(context, layer, layer.qkv, in, EpilogueKind::store, scratch, keep.qkv);
  if (layer.q_norm.present()) {
    const MatView<float> q = keep.qkv.col_range(0, width), k = keep.qkv.col_range(width, width);
    copy(keep.qkv.col_range(0, 2 * width), keep.qk_raw);
    norm_forward(model, layer.q_norm, keep.qk_raw.col_range(0, width), q);
    norm_forward(model, layer.k_norm, keep.qk_raw.col_range(width, width), k);
  }
  rotate_qk(context, layer, /*back=*/false, keep.qkv);
}

}  // namespace

kernels::AttentionArgs attention_args(const StepContext& context, const Layer& layer,
                                      const LayerKeep& keep, size_t text,
                                      const kernels::Dropout& dropout) {
  const StackModel& model = context.model;
  const size_t width = model.width(), row = context.text_row(text),
               length = context.text_length(text);
  kernels::AttentionArgs args;
  args.heads = model.heads();
  args.head_dim = static_cast<size_t>(model.arch.head_dim);
  args.scale = model.arch.resolved_attention_scale();
  args.window = layer.local ? static_cast<size_t>(model.arch.local_window) : 0;
  if (!model.bias.values.empty()) {
    args.bias = model.bias.values.data();
    args.bias_stride = model.bias.stride;
    args.bias_center = model.bias.center;
  }
  const MatView<const float> qkv = keep.qkv.row_range(row, length);
  args.q = qkv.col_range(0, width);
  args.k = qkv.col_range(width, width);
  args.v = qkv.col_range(2 * width, width);
  args.out = keep.context.row_range(row, length);
  args.log_sums = keep.log_sums.row(row);
  args.dropout = dropout.active() ? &dropout : nullptr;
  return args;
}

void rotate_qk(const StepContext& context, const Layer& layer, bool back, MatView<float> qkv) {
  const StackModel& model = context.model;
  const ArchSpec& arch = model.arch;
  if (arch.position != PositionKind::rotary) return;
  const size_t width = model.width(), head_dim = static_cast<size_t>(arch.head_dim);
  const size_t rotary_dim = arch.rotary_dim > 0 ? static_cast<size_t>(arch.rotary_dim) : head_dim;
  const bool own = layer.local && arch.rotary_base_local > 0;
  const kernels::RotaryTable& table = own ? (back ? model.rotary_local_back : model.rotary_local)
                                          : (back ? model.rotary_back : model.rotary);
  for (size_t text = context.micro.text_begin; text < context.micro.text_end; ++text) {
    const size_t length = context.text_length(text);
    const MatView<float> rows = qkv.row_range(context.text_row(text), length);
    for (const size_t side : {size_t{0}, width}) {
      kernels::rotary(rows.col_range(side, width), model.heads(), head_dim, rotary_dim,
                      arch.rotary_interleaved, table.cosine.view().row_range(0, length),
                      table.sine.view().row_range(0, length));
    }
  }
}

void layer_forward(const StepContext& context, const Layer& layer, const LayerKeep& keep,
                   Scratch& scratch, MatView<float> x_out) {
  const StackModel& model = context.model;
  const bool post = model.post();
  MatView<const float> in = keep.x;
  if (!post && layer.attn_norm.present()) {
    norm_forward(model, layer.attn_norm, keep.x, scratch.normed);
    in = scratch.normed;
  }
  project_qkv(context, layer, keep, in, scratch);
  attend(context, layer, keep, scratch);

  const MatView<float> sum = layer.inner_norm.present() ? keep.inner : keep.middle;
  add_product(context, layer, layer.out, DropoutSite::attention_output, keep.context, keep.x,
              scratch, sum);
  if (layer.inner_norm.present()) {
    norm_forward(model, layer.inner_norm, keep.inner, keep.middle);
    kernels::add_rows(keep.middle, keep.x, keep.middle);
  }

  norm_forward(model, post ? layer.attn_norm : layer.ffn_norm, keep.middle, scratch.normed);
  multiply(context, layer, layer.up, scratch.normed, EpilogueKind::store, scratch, keep.wide);
  if (model.arch.gated_ffn) {
    kernels::gated(keep.wide.col_range(0, model.ffn()),
                   keep.wide.col_range(model.ffn(), model.ffn()), model.arch.activation,
                   scratch.activated);
  } else {
    kernels::activation_forward(keep.wide, model.arch.activation, scratch.activated);
  }
  const MatView<float> last = post ? keep.last : x_out;
  add_product(context, layer, layer.down, DropoutSite::ffn_output, scratch.activated,
              post ? scratch.normed : keep.middle, scratch, last);
  if (post) norm_forward(model, layer.ffn_norm, keep.last, x_out);
}

}  // namespace akin::nn
