// Two ways to share one pass. By rows: each member takes a range of tokens through the row-wise
// part of a layer and meets the others only around attention. By columns, when tokens are few and
// reading the weights is the work: members share each product's columns.
//
// Shapes: B texts, T tokens, D hidden, H heads, d head_dim, F ffn_hidden.
#include "engine/forward.h"

#include <algorithm>
#include <cstring>

#include "kernels/elementwise.h"

namespace akin::engine {
namespace {

using kernels::Epilogue;
using kernels::EpilogueKind;

constexpr size_t kRowsPerChunk = 256;  // rows that one thread takes through the FFN at a time
constexpr size_t kColumnsBelowTokens =
    96;  // per member: fewer tokens than this and the team divides columns

void norm_rows(const ArchSpec& arch, const NormWeights& norm, MatView<const float> x,
               MatView<float> out) {
  if (arch.norm == NormKind::rms_norm) {
    kernels::rms_norm(x, norm.gamma.data(), arch.norm_eps, out);
  } else {
    kernels::layer_norm(x, norm.gamma.data(), norm.beta.empty() ? nullptr : norm.beta.data(),
                        arch.norm_eps, out);
  }
}

class Pass {
 public:
  Pass(const PackedModel& model, const TokenBatch& batch, Workspace& workspace, const Team& team)
      : model_(model),
        arch_(model.arch),
        batch_(batch),
        workspace_(workspace),
        team_(team),
        by_columns_(team.size > 1 && batch.tokens() < kColumnsBelowTokens * team.size),
        scratch_(workspace.scratch[by_columns_ ? 0 : team.rank]),
        lora_(workspace.scratch[team.rank].lora),
        rows_(by_columns_ ? Range{0, batch.tokens()} : team.share(batch.tokens())) {}

  void run() {
    for_chunks([&](Range chunk) { embed(mine(chunk)); });
    for (const PackedLayer& layer : model_.layers) {
      for_chunks([&](Range chunk) { project_qkv(layer, chunk); });
      team_.wait();
      attend(layer);
      team_.wait();
      for_chunks([&](Range chunk) {
        attention_output(layer, chunk);
        feed_forward(layer, chunk);
      });
    }
    if (model_.final_norm.present()) {
      for_chunks([&](Range chunk) { norm_in_place(model_.final_norm, mine(chunk)); });
    }
    team_.wait();
  }

 private:
  template <class F>
  void for_chunks(const F& f) {
    const size_t step = by_columns_ ? batch_.tokens() : kRowsPerChunk;
    for (size_t begin = rows_.begin; begin < rows_.end; begin += step)
      f(Range{begin, std::min(begin + step, rows_.end)});
  }
  // The rows of a chunk on which this thread does row-wise work.
  Range mine(Range chunk) const {
    if (!by_columns_) return chunk;
    const Range share = team_.share(chunk.size());
    return {chunk.begin + share.begin, chunk.begin + share.end};
  }
  void wait_if_by_columns() const {
    if (by_columns_) team_.wait();
  }
  MatView<float> hidden(Range rows) const {
    return workspace_.hidden.row_range(rows.begin, rows.size());
  }

  void norm_in_place(const NormWeights& norm, Range rows) const {
    norm_rows(arch_, norm, hidden(rows), hidden(rows));
  }

  void embed(Range rows) const {
    const auto dim = static_cast<size_t>(arch_.hidden);
    size_t text = 0;
    std::vector<float> position(dim);
    for (size_t t = rows.begin; t < rows.end; ++t) {
      while (batch_.offsets[text + 1] <= t) ++text;
      const std::span<float> row(workspace_.hidden.row(t), dim);
      const auto id = static_cast<size_t>(batch_.ids[t]);
      tensor_to_f32(model_.token_table, id * dim, row);
      const int32_t adapter = workspace_.row_adapters.empty() ? -1 : workspace_.row_adapters[t];
      model_.token_lora.add(batch_.ids[t], adapter, row);
      if (!model_.type_row.empty()) kernels::add_scaled(model_.type_row.data(), 1.0F, row);
      model_.type_lora.add(0, adapter, row);
      if (!model_.position_table.bytes.empty()) {
        const size_t index = t - batch_.offsets[text] + static_cast<size_t>(arch_.position_offset);
        tensor_to_f32(model_.position_table, index * dim, position);
        kernels::add_scaled(position.data(), 1.0F, row);
      }
    }
    if (model_.embedding_norm.present()) norm_in_place(model_.embedding_norm, rows);
  }

  // out (+)= f(in W^T + b) for the rows of a chunk; ends with this thread's rows complete (by
  // columns: all rows).
  void project(const Projection& projection, kernels::Operand& operand, Range chunk,
               MatView<const float> in, Epilogue epilogue, MatView<float> out) const {
    const kernels::PackedLinear& w = projection.base;
    const bool adapted = !projection.lora.empty() && !workspace_.row_adapters.empty();
    const Activation late = adapted && epilogue.kind == EpilogueKind::activate
                                ? epilogue.activation
                                : Activation::identity;
    if (late != Activation::identity) epilogue = {EpilogueKind::store, Activation::identity};
    const Range local = mine({0, chunk.size()});
    if (by_columns_) {
      operand.set_rows(local.begin, in.row_range(local.begin, local.size()));
      team_.wait();
    } else {
      operand.set_all(in.row_range(0, chunk.size()));
    }
    const Range panels = by_columns_ ? team_.share(w.panels()) : Range{0, w.panels()};
    w.run(operand, 0, chunk.size(), panels.begin, panels.end, epilogue, out);
    wait_if_by_columns();
    if (!adapted) return;
    const auto adapters =
        std::span(workspace_.row_adapters).subspan(chunk.begin + local.begin, local.size());
    const MatView<float> to = out.row_range(local.begin, local.size());
    projection.lora.add(in.row_range(local.begin, local.size()), adapters, lora_, to);
    if (late == Activation::identity) return;
    for (size_t r = 0; r < to.rows(); ++r) kernels::activate({to.row(r), to.cols()}, late);
  }

  // What goes into a block: the hidden rows, or in a pre-norm model their norm.
  MatView<const float> block_input(const NormWeights& norm, Range chunk) const {
    if (arch_.norm_place == NormPlace::post || !norm.present()) return hidden(chunk);
    const MatView<float> normed(scratch_.normed.data(), chunk.size(), workspace_.hidden.cols());
    const Range rows = mine(chunk);
    norm_rows(arch_, norm, hidden(rows), normed.row_range(rows.begin - chunk.begin, rows.size()));
    return normed;
  }

  void project_qkv(const PackedLayer& layer, Range chunk) const {
    const MatView<float> qkv = workspace_.qkv.row_range(chunk.begin, chunk.size());
    project(layer.qkv, scratch_.hidden_operand, chunk, block_input(layer.attn_norm, chunk), {},
            qkv);
    const auto heads = static_cast<size_t>(arch_.heads),
               head_dim = static_cast<size_t>(arch_.head_dim), width = heads * head_dim;
    const Range rows = mine(chunk);
    const MatView<float> own = workspace_.qkv.row_range(rows.begin, rows.size());
    const MatView<float> q = own.col_range(0, width), k = own.col_range(width, width);
    if (layer.q_norm.present()) {
      norm_rows(arch_, layer.q_norm, q, q);
      norm_rows(arch_, layer.k_norm, k, k);
    }
    if (arch_.position != PositionKind::rotary) return;
    const size_t rotary_dim =
        arch_.rotary_dim > 0 ? static_cast<size_t>(arch_.rotary_dim) : head_dim;
    const kernels::RotaryTable& table =
        layer.local && arch_.rotary_base_local > 0 ? workspace_.rotary_local : workspace_.rotary;
    size_t text = 0;
    for (size_t t = rows.begin; t < rows.end;) {
      while (batch_.offsets[text + 1] <= t) ++text;
      const size_t end = std::min<size_t>(batch_.offsets[text + 1], rows.end),
                   first = t - batch_.offsets[text];
      const auto cosine = table.cosine.view().row_range(first, end - t),
                 sine = table.sine.view().row_range(first, end - t);
      for (const MatView<float>& side : {q, k}) {
        kernels::rotary(side.row_range(t - rows.begin, end - t), heads, head_dim, rotary_dim,
                        arch_.rotary_interleaved, cosine, sine);
      }
      t = end;
    }
  }

  // Tasks are (text, head, chunk of queries), dealt out in turn.
  void attend(const PackedLayer& layer) const {
    const auto heads = static_cast<size_t>(arch_.heads),
               head_dim = static_cast<size_t>(arch_.head_dim), width = heads * head_dim;
    kernels::AttentionArgs args;
    args.heads = heads;
    args.head_dim = head_dim;
    args.scale = arch_.resolved_attention_scale();
    args.window = layer.local ? static_cast<size_t>(arch_.local_window) : 0;
    if (!workspace_.bias.values.empty()) {
      args.bias = workspace_.bias.values.data();
      args.bias_stride = workspace_.bias.stride;
      args.bias_center = workspace_.bias.center;
    }
    kernels::AttentionScratch& scratch = workspace_.scratch[team_.rank].attention;
    size_t task = 0;
    for (size_t text = 0; text < batch_.size(); ++text) {
      const size_t begin = batch_.offsets[text], length = batch_.offsets[text + 1] - begin;
      const MatView<const float> rows = workspace_.qkv.row_range(begin, length);
      args.q = rows.col_range(0, width);
      args.k = rows.col_range(width, width);
      args.v = rows.col_range(2 * width, width);
      args.out = workspace_.context.row_range(begin, length);
      for (size_t head = 0; head < heads; ++head) {
        for (size_t q = 0; q < length; q += kernels::kQueryChunk) {
          if (task++ % team_.size != team_.rank) continue;
          kernels::attention(args, head, q, std::min(q + kernels::kQueryChunk, length), scratch);
        }
      }
    }
  }

  void attention_output(const PackedLayer& layer, Range chunk) const {
    const Range rows = mine(chunk);
    const MatView<float> saved(
        scratch_.normed.data() + (rows.begin - chunk.begin) * workspace_.hidden.cols(), rows.size(),
        workspace_.hidden.cols());
    if (layer.inner_norm.present()) {
      std::memcpy(saved.data(), hidden(rows).data(), rows.size() * saved.cols() * sizeof(float));
    }
    project(layer.out, scratch_.context_operand, chunk,
            workspace_.context.row_range(chunk.begin, chunk.size()), {EpilogueKind::add, {}},
            hidden(chunk));
    if (layer.inner_norm.present()) {
      norm_in_place(layer.inner_norm, rows);
      for (size_t r = 0; r < rows.size(); ++r)
        kernels::add_scaled(saved.row(r), 1.0F, {hidden(rows).row(r), saved.cols()});
    }
    if (arch_.norm_place == NormPlace::post) norm_in_place(layer.attn_norm, rows);
  }

  void feed_forward(const PackedLayer& layer, Range chunk) const {
    const auto width = static_cast<size_t>(arch_.ffn_hidden);
    const size_t columns = layer.up.base.n();
    const MatView<float> wide(scratch_.ffn.data(), chunk.size(), columns);
    const Epilogue epilogue =
        arch_.gated_ffn ? Epilogue{} : Epilogue{EpilogueKind::activate, arch_.activation};
    project(layer.up, scratch_.hidden_operand, chunk, block_input(layer.ffn_norm, chunk), epilogue,
            wide);
    if (arch_.gated_ffn) {
      const Range rows = mine({0, chunk.size()});
      const MatView<float> own = wide.row_range(rows.begin, rows.size());
      kernels::gated(own.col_range(0, width), own.col_range(width, width), arch_.activation,
                     own.col_range(0, width));
    }
    project(layer.down, scratch_.ffn_operand, chunk, wide.col_range(0, width),
            {EpilogueKind::add, {}}, hidden(chunk));
    if (arch_.norm_place == NormPlace::post) norm_in_place(layer.ffn_norm, mine(chunk));
  }

  const PackedModel& model_;
  const ArchSpec& arch_;
  const TokenBatch& batch_;
  Workspace& workspace_;
  const Team team_;
  const bool by_columns_;
  ThreadScratch& scratch_;
  LoraScratch& lora_;  // never shared: each thread adds to rows of its own
  const Range rows_;
};

}  // namespace

void Workspace::prepare(const PackedModel& model, const TokenBatch& batch, size_t team_size) {
  constexpr size_t kSlack = 64;  // vector loads past the last row
  const ArchSpec& arch = model.arch;
  const size_t tokens = batch.tokens(), dim = static_cast<size_t>(arch.hidden);
  const auto heads = static_cast<size_t>(arch.heads),
             width = heads * static_cast<size_t>(arch.head_dim);
  hidden_.ensure(tokens * dim + kSlack);
  qkv_.ensure(tokens * 3 * width + kSlack);
  context_.ensure(tokens * width + kSlack);
  hidden = {hidden_.data(), tokens, dim};
  qkv = {qkv_.data(), tokens, 3 * width};
  context = {context_.data(), tokens, width};
  scratch.resize(std::max(scratch.size(), team_size));
  const size_t rows = std::min(tokens, std::max(kRowsPerChunk, kColumnsBelowTokens * team_size));
  const size_t ffn = static_cast<size_t>(arch.ffn_hidden) * (arch.gated_ffn ? 2 : 1);
  const kernels::Backend operand =
      batch.size() == 0 ? model.backend
                        : kernels::operand_backend(model.backend, batch.text(0).size());
  for (size_t b = 1; b < batch.size(); ++b)
    AKIN_DCHECK(kernels::operand_backend(model.backend, batch.text(b).size()) == operand);
  for (ThreadScratch& s : scratch) {
    s.normed.ensure(rows * dim + kSlack);
    s.ffn.ensure(rows * ffn + kSlack);
    s.hidden_operand.reserve(operand, rows, dim);
    s.context_operand.reserve(operand, rows, width);
    s.ffn_operand.reserve(operand, rows, static_cast<size_t>(arch.ffn_hidden));
  }
  row_adapters.clear();
  size_t longest = 1;
  for (size_t b = 0; b < batch.size(); ++b) longest = std::max(longest, batch.text(b).size());
  if (std::any_of(batch.adapters.begin(), batch.adapters.end(), [](int32_t a) { return a >= 0; })) {
    for (size_t b = 0; b < batch.size(); ++b)
      row_adapters.insert(row_adapters.end(), batch.text(b).size(), batch.adapters[b]);
  }
  if (longest <= table_length_) return;
  table_length_ = std::max<size_t>(64, longest + longest / 2);
  const size_t rotary_dim =
      static_cast<size_t>(arch.rotary_dim > 0 ? arch.rotary_dim : arch.head_dim);
  if (arch.position == PositionKind::rotary) {
    rotary = kernels::make_rotary_table(table_length_, rotary_dim, arch.rotary_base);
    if (arch.rotary_base_local > 0)
      rotary_local = kernels::make_rotary_table(table_length_, rotary_dim, arch.rotary_base_local);
  } else if (arch.position == PositionKind::alibi) {
    bias = kernels::make_alibi_table(table_length_, heads);
  } else if (arch.position == PositionKind::relative_bias) {
    bias = kernels::make_relative_table(table_length_, arch, model.relative_bias.view());
  }
}

void forward(const PackedModel& model, const TokenBatch& batch, Workspace& workspace,
             const Team& team) {
  if (batch.tokens() == 0) return;
  Pass(model, batch, workspace, team).run();
}

void forward_with_team(const PackedModel& model, const TokenBatch& batch, Workspace& workspace,
                       ThreadPool& pool) {
  workspace.prepare(model, batch, pool.size());
  if (pool.size() == 1) return forward(model, batch, workspace, {});
  SpinBarrier barrier(pool.size());
  pool.run([&](size_t thread) {
    try {
      forward(model, batch, workspace, {thread, pool.size(), &barrier});
    } catch (...) {
      barrier.break_up(std::current_exception());
      throw;
    }
  });
}

}  // namespace akin::engine
