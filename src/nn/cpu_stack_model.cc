#include "nn/cpu_stack_model.h"

#include <algorithm>

#include "base/error.h"
#include "nn/cpu_stack_adapters.h"

namespace akin::nn {
namespace {

constexpr std::string_view kWhere = "the CPU training stack";

// Declares slots in the order of the forward pass.
class Builder {
 public:
  explicit Builder(StackModel& model) : model_(model), arch_(model.arch) {}

  void build() {
    const size_t dim = model_.hidden();
    model_.token = slot("embed.token", 0, dim);
    if (arch_.position == PositionKind::absolute || arch_.absolute_too)
      model_.position = slot("embed.position", 0, dim);
    if (arch_.type_vocab > 0) model_.type = slot("embed.type", 0, dim);
    model_.token_adapters = table_adapters("embed.token");
    if (model_.type != kNoSlot) model_.type_adapters = table_adapters("embed.type");
    if (arch_.position == PositionKind::relative_bias) {
      model_.relative_bias =
          slot("relative_bias.weight", static_cast<size_t>(arch_.relative_buckets), model_.heads());
    }
    if (arch_.embedding_norm) model_.embedding_norm = norm("embed.norm", dim);
    for (int64_t i = 0; i < arch_.layers; ++i) layer(i);
    if (arch_.final_norm) model_.final_norm = norm("final_norm", dim);
  }

 private:
  size_t slot(std::string name, size_t rows, size_t cols, bool required = true) {
    model_.slots.push_back({std::move(name), rows, cols, required, nullptr});
    return model_.slots.size() - 1;
  }
  Norm norm(const std::string& name, size_t size) {
    Norm out;
    out.gamma = slot(name + ".weight", 1, size);
    if (arch_.norm == NormKind::layer_norm && arch_.norm_bias)
      out.beta = slot(name + ".bias", 1, size, false);
    return out;
  }
  void add_part(Linear& linear, const std::string& name, size_t rows, size_t cols, bool bias) {
    Linear::Part part{slot(name + ".weight", rows, cols), kNoSlot, rows};
    if (bias) part.bias = slot(name + ".bias", 1, rows, false);
    linear.parts.push_back(part);
    linear.adapters.resize(arch_.adapters.size());
    for (size_t t = 0; t < linear.adapters.size(); ++t) {
      const std::string base = adapter_name(t, name);
      LinearAdapter::Pair& pair = linear.adapters[t].pairs.emplace_back();
      pair.a = slot(base + ".lora_a", 0, cols, false);
      pair.b = slot(base + ".lora_b", rows, 0, false);
      pair.column = linear.out;
      pair.rows = rows;
    }
    linear.in = cols;
    linear.out += rows;
  }
  std::vector<TableAdapter> table_adapters(const std::string& name) {
    std::vector<TableAdapter> out;
    for (size_t t = 0; t < arch_.adapters.size(); ++t) {
      const std::string base = adapter_name(t, name);
      TableAdapter& adapter = out.emplace_back();
      adapter.a = slot(base + ".lora_a", 0, 0, false);
      adapter.b = slot(base + ".lora_b", 0, model_.hidden(), false);
    }
    return out;
  }
  void layer(int64_t index) {
    const size_t dim = model_.hidden(), width = model_.width(), ffn = model_.ffn();
    const std::string name = "layer." + std::to_string(index) + ".";
    const std::string attn = name + "attn.", feed = name + "ffn.";
    Layer& out = model_.layers.emplace_back();
    out.index = static_cast<size_t>(index);
    out.local = arch_.local_window > 0 && index % arch_.global_every != 0;
    for (const char* side : {"q", "k", "v"})
      add_part(out.qkv, attn + side, width, dim, arch_.qkv_bias);
    if (arch_.qk_norm) {
      out.q_norm = norm(attn + "q_norm", width);
      out.k_norm = norm(attn + "k_norm", width);
    }
    add_part(out.out, attn + "out", dim, width, arch_.attn_out_bias);
    if (arch_.attn_inner_norm) out.inner_norm = norm(attn + "inner_norm", dim);
    if (model_.post() || index > 0 || arch_.first_layer_attn_norm)
      out.attn_norm = norm(attn + "norm", dim);
    if (arch_.gated_ffn) add_part(out.up, feed + "gate", ffn, dim, arch_.ffn_in_bias);
    add_part(out.up, feed + "up", ffn, dim, arch_.ffn_in_bias);
    add_part(out.down, feed + "down", dim, ffn, arch_.ffn_out_bias);
    out.ffn_norm = norm(feed + "norm", dim);
    out.qkv.adapter_site = DropoutSite::adapter_qkv;
    out.out.adapter_site = DropoutSite::adapter_out;
    out.up.adapter_site = DropoutSite::adapter_up;
    out.down.adapter_site = DropoutSite::adapter_down;
  }

  StackModel& model_;
  const ArchSpec& arch_;
};

void read_slot(Slot& slot, const StackTensors& weights) {
  slot.values = nullptr;
  const auto it = weights.find(slot.name);
  if (it == weights.end()) {
    if (!slot.required) return;
    throw_error(ErrorKind::not_found, slot.name, "{} needs this weight and was not given it",
                kWhere);
  }
  const MatView<float> view = it->second.values;
  if (slot.cols == 0) slot.cols = view.cols();
  if (view.cols() != slot.cols || (slot.rows != 0 && view.rows() != slot.rows) ||
      view.rows() == 0 || view.stride() != view.cols()) {
    throw_error(ErrorKind::bad_format, slot.name,
                "is [{}, {}] with rows {} apart, expected dense rows of [{}, {}]", view.rows(),
                view.cols(), view.stride(), slot.rows == 0 ? view.rows() : slot.rows, slot.cols);
  }
  slot.table_rows = view.rows();
  slot.values = view.data();
}

// The rows of W, one part after the other, and its biases.
std::vector<const float*> linear_rows(const StackModel& model, const Linear& linear) {
  std::vector<const float*> rows;
  for (const Linear::Part& part : linear.parts) {
    for (size_t r = 0; r < part.rows; ++r)
      rows.push_back(model.values(part.weight) + r * linear.in);
  }
  return rows;
}

void reserve(const StackModel& model, Linear& linear) {
  linear.forward.reserve(model.numbers, linear.in, linear.out);
  linear.backward.reserve(model.numbers, linear.out, linear.in);
  size_t col = 0;
  for (const Linear::Part& part : linear.parts) {
    const float* bias = model.values(part.bias);
    if (bias != nullptr) linear.forward.set_bias(col, {bias, part.rows});
    col += part.rows;
  }
}

kernels::RotaryTable turned_back(const kernels::RotaryTable& table) {
  kernels::RotaryTable out{Mat<float>(table.cosine.rows(), table.cosine.cols()),
                           Mat<float>(table.sine.rows(), table.sine.cols())};
  for (size_t i = 0; i < table.sine.rows() * table.sine.cols(); ++i) {
    out.cosine.data()[i] = table.cosine.data()[i];
    out.sine.data()[i] = -table.sine.data()[i];
  }
  return out;
}

void make_tables(StackModel& model) {
  const ArchSpec& arch = model.arch;
  const auto rotary_dim =
      static_cast<size_t>(arch.rotary_dim > 0 ? arch.rotary_dim : arch.head_dim);
  const size_t length = model.table_length;
  if (arch.position == PositionKind::rotary) {
    model.rotary = kernels::make_rotary_table(length, rotary_dim, arch.rotary_base);
    model.rotary_back = turned_back(model.rotary);
    if (arch.rotary_base_local > 0) {
      model.rotary_local = kernels::make_rotary_table(length, rotary_dim, arch.rotary_base_local);
      model.rotary_local_back = turned_back(model.rotary_local);
    }
  } else if (arch.position == PositionKind::alibi) {
    model.bias = kernels::make_alibi_table(length, model.heads());
  } else if (arch.position == PositionKind::relative_bias) {
    const Slot& slot = model.slots[model.relative_bias];
    model.bias = kernels::make_relative_table(length, arch, {slot.values, slot.rows, slot.cols});
  }
}

void check_supported(const ArchSpec& arch, const StackOptions& options) {
  const auto refuse = [](std::string_view what) {
    throw_error(ErrorKind::unsupported, kWhere, "does not run {}; use the torch stack", what);
  };
  if (arch.kind != ModelKind::transformer) refuse("models without layers");
  if (arch.layers <= 0 || arch.heads <= 0 || arch.head_dim <= 0 || arch.hidden <= 0 ||
      arch.ffn_hidden <= 0)
    refuse("a spec without sizes");
  if (arch.attn_inner_norm && arch.norm_place == NormPlace::pre)
    refuse("an inner norm in a pre-norm model");
  if (options.precision == TrainPrecision::bf16 && !kernels::bf16_products_available())
    throw_error(
        ErrorKind::device, kWhere,
        "bf16 needs a CPU with AMX, or AVX512_BF16 of AMD, which this one has not; use f32");
  for (const double p : {options.dropout, options.attention_dropout, options.adapter_dropout}) {
    if (!(p >= 0 && p < 1))
      throw_error(ErrorKind::usage, "dropout", "is {}, expected 0 <= p < 1", p);
  }
}

}  // namespace

StackModel make_stack_model(const ArchSpec& arch, const StackOptions& options) {
  check_supported(arch, options);
  StackModel model;
  model.arch = arch;
  model.options = options;
  model.numbers = options.precision == TrainPrecision::bf16 ? kernels::ProductNumbers::bf16
                                                            : kernels::ProductNumbers::f32;
  Builder(model).build();
  return model;
}

void take_weights(StackModel& model, const StackTensors& weights, ThreadPool& pool) {
  for (Slot& slot : model.slots) read_slot(slot, weights);
  std::vector<Linear*> linears;
  for (Layer& layer : model.layers) {
    for (Linear* linear : {&layer.qkv, &layer.out, &layer.up, &layer.down}) {
      reserve(model, *linear);
      linears.push_back(linear);
    }
  }
  check_table_adapters(model);
  // Three tasks a linear: its panels forward and backward, and its adapters.
  parallel_for(pool, 3 * linears.size(), 1, [&](size_t index, size_t) {
    Linear& linear = *linears[index / 3];
    if (index % 3 == 2) return pack_adapters(model, linear);
    const std::vector<const float*> rows = linear_rows(model, linear);
    if (index % 3 == 0) {
      linear.forward.pack_transposed(rows, 0, linear.forward.panels());
    } else {
      linear.backward.pack(rows, 0, linear.backward.panels());
    }
  });
  if (model.table_length > 0 && model.relative_bias != kNoSlot) make_tables(model);
}

void grow_tables(StackModel& model, size_t length) {
  if (length <= model.table_length) return;
  model.table_length = std::max<size_t>(64, length + length / 2);
  make_tables(model);
}

}  // namespace akin::nn
