#include "nn/cpu_stack_adapters.h"

#include "base/error.h"
#include "kernels/elementwise.h"
#include "kernels/gradients.h"

namespace akin::nn {
namespace {

using kernels::EpilogueKind;

// Texts in a row that chose the same adapter.
struct Run {
  size_t text_begin, text_end, row, rows;
};

template <typename Visit>
void each_run(const StepContext& context, const Linear& linear, const Visit& visit) {
  if (context.batch.adapters.empty() || linear.adapters.empty()) return;
  const size_t end = context.micro.text_end;
  for (size_t text = context.micro.text_begin, next = text; text < end; text = next) {
    const int32_t number = context.adapter(text);
    for (next = text + 1; next < end && context.adapter(next) == number;) ++next;
    const size_t rows = context.batch.offsets[next] - context.batch.offsets[text];
    if (number < 0 || rows == 0) continue;
    const LinearAdapter& adapter = linear.adapters[static_cast<size_t>(number)];
    if (adapter.rank > 0) visit(adapter, Run{text, next, context.text_row(text), rows});
  }
}

MatView<float> room(AlignedArray<float>& memory, size_t rows, size_t cols) {
  memory.ensure(rows * cols + kSlack);
  return {memory.data(), rows, cols};
}

void scale(MatView<float> x, float factor) {
  for (size_t r = 0; r < x.rows(); ++r) {
    for (size_t c = 0; c < x.cols(); ++c) x(r, c) *= factor;
  }
}

bool drops(const StepContext& context) {
  return context.dropout_seed != 0 && context.model.options.adapter_dropout > 0;
}

// out = mask(x), plus residual unless that is empty. Rows of the run, dense.
void drop_run(const StepContext& context, const Layer& layer, const Linear& linear, const Run& run,
              MatView<const float> x, MatView<const float> residual, MatView<float> out) {
  for (size_t text = run.text_begin; text < run.text_end; ++text) {
    const size_t row = context.text_row(text) - run.row, length = context.text_length(text);
    if (length == 0) continue;
    const kernels::Dropout dropout = text_dropout(context, context.model.options.adapter_dropout,
                                                  text, layer.index, linear.adapter_site);
    kernels::apply_dropout(dropout, 0, {x.row(row), length * x.cols()},
                           residual.empty() ? nullptr : residual.row(row), out.row(row));
  }
}

// What A reads of the run's rows: x, or x under dropout.
MatView<const float> input_of(const StepContext& context, const Layer& layer, const Linear& linear,
                              const Run& run, MatView<const float> x, Scratch& scratch) {
  const MatView<const float> rows = x.row_range(run.row, run.rows);
  if (!drops(context)) return rows;
  const MatView<float> dropped = room(scratch.adapter_input, run.rows, x.cols());
  drop_run(context, layer, linear, run, rows, {}, dropped);
  return dropped;
}

// scaling * A x, [rows, rank].
MatView<float> inner_of(const StackModel& model, const LinearAdapter& adapter,
                        MatView<const float> x, Scratch& scratch) {
  const MatView<float> inner = room(scratch.adapter_inner, x.rows(), adapter.rank);
  scratch.left.set(model.numbers, x);
  adapter.a_forward.multiply(scratch.left, {EpilogueKind::store, Activation::identity}, inner);
  scale(inner, model.arch.lora_scaling);
  return inner;
}

// scaling * dy B, [rows, rank].
MatView<float> inner_gradient_of(const StackModel& model, const LinearAdapter& adapter,
                                 MatView<const float> dy, Scratch& scratch) {
  const MatView<float> d_inner = room(scratch.adapter_inner_gradient, dy.rows(), adapter.rank);
  for (const LinearAdapter::Pair& pair : adapter.pairs) {
    if (pair.rank == 0) continue;
    scratch.left.set(model.numbers, dy.col_range(pair.column, pair.rows));
    pair.b_backward.multiply(scratch.left, {EpilogueKind::store, Activation::identity},
                             d_inner.col_range(pair.begin, pair.rank));
  }
  scale(d_inner, model.arch.lora_scaling);
  return d_inner;
}

std::vector<const float*> rows_of(const float* values, size_t rows, size_t cols) {
  std::vector<const float*> out(rows);
  for (size_t r = 0; r < rows; ++r) out[r] = values + r * cols;
  return out;
}

// out [M, N] += left^T right over the rows of both.
void add_transposed_product(const StackModel& model, MatView<const float> left,
                            MatView<const float> right, Scratch& scratch, MatView<float> out) {
  scratch.rows.resize(right.rows());
  for (size_t r = 0; r < right.rows(); ++r) scratch.rows[r] = right.row(r);
  scratch.right.reserve(model.numbers, right.rows(), right.cols());
  scratch.right.pack(scratch.rows, 0, scratch.right.panels());
  scratch.left.set_transposed(model.numbers, left);
  scratch.right.multiply(scratch.left, {EpilogueKind::add, Activation::identity}, out);
}

void check_pair(const Slot& a, const Slot& b, size_t a_rank, size_t b_rank) {
  if ((a.values == nullptr) != (b.values == nullptr) ||
      (a.values != nullptr && (a_rank != b_rank || a_rank == 0))) {
    throw_error(ErrorKind::bad_format, a.name,
                "is [{}, {}] and {} [{}, {}]; a pair has one rank and both halves", a.table_rows,
                a.cols, b.name, b.table_rows, b.cols);
  }
}

// dB += scaling * A[id] d_row.
void add_table_b(const StackModel& model, const TableAdapter& adapter, size_t id,
                 std::span<const float> d_row, float* out) {
  const Slot& a = model.slots[adapter.a];
  for (size_t k = 0; k < a.cols; ++k) {
    kernels::add_scaled(d_row.data(), a.values[id * a.cols + k] * model.arch.lora_scaling,
                        {out + k * d_row.size(), d_row.size()});
  }
}

// dA[id] += scaling * B d_row.
void add_table_a(const StackModel& model, const TableAdapter& adapter, size_t id,
                 std::span<const float> d_row, float* out) {
  const Slot& b = model.slots[adapter.b];
  for (size_t k = 0; k < b.table_rows; ++k) {
    out[id * b.table_rows + k] +=
        model.arch.lora_scaling *
        kernels::dot(b.values + k * d_row.size(), d_row.data(), d_row.size());
  }
}

// The pair of a text's adapter on a table, null where there is none.
const TableAdapter* pair_of(const StackModel& model, const std::vector<TableAdapter>& adapters,
                            int32_t number) {
  if (number < 0 || adapters.empty()) return nullptr;
  const TableAdapter& adapter = adapters[static_cast<size_t>(number)];
  return model.values(adapter.a) == nullptr ? nullptr : &adapter;
}

}  // namespace

std::string adapter_name(size_t adapter, const std::string& name) {
  return "adapter." + std::to_string(adapter) + "." + name;
}

void pack_adapters(const StackModel& model, Linear& linear) {
  for (LinearAdapter& adapter : linear.adapters) {
    adapter.rank = 0;
    std::vector<const float*> a_rows;
    for (LinearAdapter::Pair& pair : adapter.pairs) {
      const Slot &a = model.slots[pair.a], &b = model.slots[pair.b];
      check_pair(a, b, a.table_rows, b.cols);
      pair.begin = adapter.rank;
      pair.rank = a.values == nullptr ? 0 : a.table_rows;
      adapter.rank += pair.rank;
      if (pair.rank == 0) continue;
      for (const float* row : rows_of(a.values, pair.rank, linear.in)) a_rows.push_back(row);
      const std::vector<const float*> b_rows = rows_of(b.values, pair.rows, pair.rank);
      pair.b_forward.reserve(model.numbers, pair.rank, pair.rows);
      pair.b_forward.pack_transposed(b_rows, 0, pair.b_forward.panels());
      pair.b_backward.reserve(model.numbers, pair.rows, pair.rank);
      pair.b_backward.pack(b_rows, 0, pair.b_backward.panels());
    }
    if (adapter.rank == 0) continue;
    adapter.a_forward.reserve(model.numbers, linear.in, adapter.rank);
    adapter.a_forward.pack_transposed(a_rows, 0, adapter.a_forward.panels());
    adapter.a_backward.reserve(model.numbers, adapter.rank, linear.in);
    adapter.a_backward.pack(a_rows, 0, adapter.a_backward.panels());
  }
}

void check_table_adapters(const StackModel& model) {
  const auto check = [&](const std::vector<TableAdapter>& adapters, size_t table) {
    for (const TableAdapter& adapter : adapters) {
      const Slot &a = model.slots[adapter.a], &b = model.slots[adapter.b];
      check_pair(a, b, a.cols, b.table_rows);
      if (a.values == nullptr || a.table_rows == model.slots[table].table_rows) continue;
      throw_error(ErrorKind::bad_format, a.name, "has {} rows, the table {}", a.table_rows,
                  model.slots[table].table_rows);
    }
  };
  check(model.token_adapters, model.token);
  if (model.type != kNoSlot) check(model.type_adapters, model.type);
}

void add_adapters(const StepContext& context, const Layer& layer, const Linear& linear,
                  MatView<const float> x, Scratch& scratch, MatView<float> y) {
  const StackModel& model = context.model;
  each_run(context, linear, [&](const LinearAdapter& adapter, const Run& run) {
    const MatView<const float> in = input_of(context, layer, linear, run, x, scratch);
    const MatView<float> inner = inner_of(model, adapter, in, scratch);
    for (const LinearAdapter::Pair& pair : adapter.pairs) {
      if (pair.rank == 0) continue;
      scratch.left.set(model.numbers, inner.col_range(pair.begin, pair.rank));
      pair.b_forward.multiply(scratch.left, {EpilogueKind::add, Activation::identity},
                              y.row_range(run.row, run.rows).col_range(pair.column, pair.rows));
    }
  });
}

void add_adapters_back(const StepContext& context, const Layer& layer, const Linear& linear,
                       MatView<const float> dy, Scratch& scratch, MatView<float> dx) {
  const StackModel& model = context.model;
  each_run(context, linear, [&](const LinearAdapter& adapter, const Run& run) {
    const MatView<float> d_inner =
        inner_gradient_of(model, adapter, dy.row_range(run.row, run.rows), scratch);
    const MatView<float> own = dx.row_range(run.row, run.rows);
    scratch.left.set(model.numbers, d_inner);
    if (!drops(context)) {
      adapter.a_backward.multiply(scratch.left, {EpilogueKind::add, Activation::identity}, own);
      return;
    }
    const MatView<float> before = room(scratch.adapter_input, run.rows, dx.cols());
    adapter.a_backward.multiply(scratch.left, {EpilogueKind::store, Activation::identity}, before);
    drop_run(context, layer, linear, run, before, own, own);
  });
}

void add_adapter_gradients(const StepContext& context, const Layer& layer, const Linear& linear,
                           const Sink& sink, MatView<const float> dy, MatView<const float> x,
                           Scratch& scratch) {
  const StackModel& model = context.model;
  each_run(context, linear, [&](const LinearAdapter& adapter, const Run& run) {
    const MatView<const float> own = dy.row_range(run.row, run.rows);
    const MatView<const float> in = input_of(context, layer, linear, run, x, scratch);
    const MatView<float> inner = inner_of(model, adapter, in, scratch);
    const MatView<float> d_inner = inner_gradient_of(model, adapter, own, scratch);
    for (const LinearAdapter::Pair& pair : adapter.pairs) {
      if (pair.rank == 0) continue;
      if (float* d_b = sink[pair.b]) {
        add_transposed_product(model, own.col_range(pair.column, pair.rows),
                               inner.col_range(pair.begin, pair.rank), scratch,
                               {d_b, pair.rows, pair.rank});
      }
      if (float* d_a = sink[pair.a]) {
        add_transposed_product(model, d_inner.col_range(pair.begin, pair.rank), in, scratch,
                               {d_a, pair.rank, linear.in});
      }
    }
  });
}

void add_table_adapters(const StackModel& model, int32_t adapter, int32_t id,
                        std::span<float> row) {
  const auto add = [&](const std::vector<TableAdapter>& adapters, size_t index) {
    const TableAdapter* pair = pair_of(model, adapters, adapter);
    if (pair == nullptr) return;
    const Slot &a = model.slots[pair->a], &b = model.slots[pair->b];
    for (size_t k = 0; k < a.cols; ++k) {
      kernels::add_scaled(b.values + k * row.size(),
                          a.values[index * a.cols + k] * model.arch.lora_scaling, row);
    }
  };
  add(model.token_adapters, static_cast<size_t>(id));
  add(model.type_adapters, 0);
}

void add_table_adapter_gradients(const StepContext& context, const Sink& sink,
                                 MatView<const float> d) {
  const StackModel& model = context.model;
  for (size_t text = context.micro.text_begin; text < context.micro.text_end; ++text) {
    const TableAdapter* token = pair_of(model, model.token_adapters, context.adapter(text));
    const TableAdapter* type = pair_of(model, model.type_adapters, context.adapter(text));
    for (size_t i = 0; i < context.text_length(text); ++i) {
      const std::span<const float> row(d.row(context.text_row(text) + i), d.cols());
      const auto id = static_cast<size_t>(context.batch.ids[context.batch.offsets[text] + i]);
      if (token != nullptr && sink[token->b] != nullptr)
        add_table_b(model, *token, id, row, sink[token->b]);
      if (type != nullptr && sink[type->b] != nullptr)
        add_table_b(model, *type, 0, row, sink[type->b]);
      if (type != nullptr && sink[type->a] != nullptr)
        add_table_a(model, *type, 0, row, sink[type->a]);
    }
  }
}

void add_token_adapter_row(const StackModel& model, const Sink& sink, int32_t adapter, size_t id,
                           std::span<const float> d_row) {
  const TableAdapter* pair = pair_of(model, model.token_adapters, adapter);
  if (pair != nullptr && sink[pair->a] != nullptr)
    add_table_a(model, *pair, id, d_row, sink[pair->a]);
}

}  // namespace akin::nn
