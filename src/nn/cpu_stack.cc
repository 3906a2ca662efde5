// The training stack's driver: cuts a batch into micro-batches of whole texts, gives them to
// threads, and brings the gradients of the threads together in a fixed order.
#include "nn/cpu_stack.h"

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "kernels/gradients.h"
#include "nn/cpu_stack_adapters.h"
#include "nn/cpu_stack_model.h"
#include "nn/cpu_stack_parts.h"

namespace akin::nn {
namespace {

constexpr size_t kMicroTokens = 384;  // activations of a layer stay in L2; dW is touched seldom

struct Range {
  size_t begin, end;
};
Range share(size_t count, size_t rank, size_t size) {
  return {count * rank / size, count * (rank + 1) / size};
}

class PassData final : public CpuStack::Pass {
 public:
  explicit PassData(std::shared_ptr<BlockPool> blocks) : blocks_(std::move(blocks)) {}
  ~PassData() override {
    for (MicroBatch& micro : micros) blocks_->give(std::move(micro.memory));
  }
  PassData(const PassData&) = delete;
  PassData& operator=(const PassData&) = delete;

  TokenBatch batch;
  uint64_t dropout_seed = 0, first_text = 0;
  std::vector<MicroBatch> micros;

 private:
  std::shared_ptr<BlockPool> blocks_;  // shared with the stack, which a pass may outlive
};

// Cuts at the text ends nearest to equal shares of the tokens: a multiple of `threads` pieces, so
// that every thread has as many.
std::vector<MicroBatch> cut(const TokenBatch& batch, size_t threads) {
  const size_t tokens = batch.tokens();
  size_t pieces = (tokens + kMicroTokens - 1) / kMicroTokens;
  pieces = std::max<size_t>(1, (pieces + threads - 1) / threads * threads);
  std::vector<MicroBatch> micros;
  size_t text = 0;
  for (size_t piece = 0; piece < pieces; ++piece) {
    const size_t target = tokens * (piece + 1) / pieces;
    size_t end = text;
    while (end < batch.size() &&
           (piece + 1 == pieces || batch.offsets[end] + batch.offsets[end + 1] <= 2 * target))
      ++end;
    MicroBatch micro;
    micro.text_begin = text;
    micro.text_end = end;
    micro.token_begin = batch.offsets[text];
    micro.tokens = batch.offsets[end] - batch.offsets[text];
    micros.push_back(std::move(micro));  // may be empty: a long text took more than its share
    text = end;
  }
  return micros;
}

class Stack final : public CpuStack {
 public:
  Stack(const ArchSpec& arch, const StackOptions& options, ThreadPool& pool)
      : model_(make_stack_model(arch, options)),
        pool_(pool),
        blocks_(std::make_shared<BlockPool>()),
        scratch_(pool.size()) {}

  void set_weights(const StackTensors& weights) override {
    take_weights(model_, weights, pool_);
    ready_ = true;
  }
  std::unique_ptr<Pass> forward(const TokenBatch& batch, uint64_t dropout_seed, uint64_t first_text,
                                bool keep, MatView<float> out) override;
  void backward(const Pass& pass, MatView<const float> d_out,
                const StackTensors& gradients) override;

 private:
  void check(const TokenBatch& batch) const;
  void lay_out_micro(MicroBatch& micro, bool keep);
  void forward_micro(const StepContext& context, bool keep, Scratch& scratch, MatView<float> out);
  void backward_micro(const StepContext& context, const Sink& sink, Scratch& scratch,
                      MatView<float> d_embedded);
  std::vector<Sink> make_sinks(const StackTensors& gradients);
  void add_relative_bias(const Sink& sink, Scratch& scratch) const;
  void gather(const std::vector<Sink>& sinks, const TokenBatch& batch, size_t rank);
  void scatter_tables(const Sink& sink, const TokenBatch& batch, size_t rank) const;

  StackModel model_;
  ThreadPool& pool_;
  std::shared_ptr<BlockPool> blocks_;
  std::vector<Scratch> scratch_;                // per thread
  std::vector<AlignedArray<float>> gradients_;  // per thread but the first
  AlignedArray<float> d_embedded_;              // [T, D]
  bool ready_ = false;
};

void Stack::check(const TokenBatch& batch) const {
  if (!ready_) throw_error(ErrorKind::internal, "CpuStack", "forward before set_weights");
  const size_t vocab = model_.slots[model_.token].table_rows;
  for (const int32_t id : batch.ids) {
    if (id < 0 || static_cast<size_t>(id) >= vocab)
      throw_error(ErrorKind::usage, "embed.token", "has {} rows, a text has token {}", vocab, id);
  }
  AKIN_CHECK(batch.adapters.empty() || batch.adapters.size() == batch.size());
  for (const int32_t adapter : batch.adapters) {
    if (adapter < static_cast<int32_t>(model_.arch.adapters.size())) continue;
    throw_error(ErrorKind::usage, "adapters", "a text asks for adapter {} of {}", adapter,
                model_.arch.adapters.size());
  }
  if (model_.position == kNoSlot) return;
  const size_t positions = model_.slots[model_.position].table_rows,
               offset = static_cast<size_t>(model_.arch.position_offset);
  for (size_t b = 0; b < batch.size(); ++b) {
    if (batch.text(b).size() + offset > positions)
      throw_error(ErrorKind::too_long, "embed.position",
                  "has room for {} tokens, text {} has {}; cut texts before the model",
                  positions - offset, b, batch.text(b).size());
  }
}

// With recompute the inputs of the layers alone, else all that backward reads.
void Stack::lay_out_micro(MicroBatch& micro, bool keep) {
  const size_t dim = model_.hidden(), layers = model_.layers.size();
  const size_t row_floats = (micro.tokens * dim + 15) / 16 * 16 + kSlack;
  const bool all = keep && !model_.options.recompute;
  const size_t kept = all ? layer_keep_floats(model_, micro.tokens) : 0;
  const size_t inputs = keep ? layers + 1 : 2;
  micro.memory = blocks_->take(row_floats * (1 + inputs) + kept * layers);
  float* at = micro.memory.data();
  const auto rows = [&] {
    const MatView<float> view(at, micro.tokens, dim);
    at += row_floats;
    return view;
  };
  micro.embedded = rows();
  micro.layers.resize(layers);
  std::vector<MatView<float>> x;
  for (size_t i = 0; i < inputs; ++i) x.push_back(rows());
  for (size_t i = 0; i < layers; ++i) {
    micro.layers[i].x = x[i % inputs];
    if (all) at += lay_out(model_, micro.tokens, at, micro.layers[i]);
  }
  micro.final_input = x[layers % inputs];
}

void Stack::forward_micro(const StepContext& context, bool keep, Scratch& scratch,
                          MatView<float> out) {
  const MicroBatch& micro = context.micro;
  scratch.prepare(model_, micro.tokens);
  embed_forward(context, micro.layers.front().x);
  for (const Layer& layer : model_.layers) {
    LayerKeep kept = micro.layers[layer.index];
    if (!keep || model_.options.recompute) {
      kept = scratch.layer;
      kept.x = micro.layers[layer.index].x;
    }
    const bool last = layer.index + 1 == model_.layers.size();
    layer_forward(context, layer, kept, scratch,
                  last ? micro.final_input : micro.layers[layer.index + 1].x);
  }
  if (model_.final_norm.present()) {
    norm_forward(model_, model_.final_norm, micro.final_input, out);
  } else {
    for (size_t t = 0; t < micro.tokens; ++t)
      std::copy_n(micro.final_input.row(t), model_.hidden(), out.row(t));
  }
}

std::unique_ptr<CpuStack::Pass> Stack::forward(const TokenBatch& batch, uint64_t dropout_seed,
                                               uint64_t first_text, bool keep, MatView<float> out) {
  AKIN_CHECK(out.rows() == batch.tokens() && out.cols() == model_.hidden());
  check(batch);
  size_t longest = 1;
  for (size_t b = 0; b < batch.size(); ++b) longest = std::max(longest, batch.text(b).size());
  grow_tables(model_, longest);
  auto pass = std::make_unique<PassData>(blocks_);
  pass->batch.ids = batch.ids;
  pass->batch.offsets = batch.offsets;
  pass->batch.adapters = batch.adapters;
  pass->dropout_seed = dropout_seed;
  pass->first_text = first_text;
  pass->micros = cut(batch, pool_.size());
  // No result depends on who takes which micro-batch here, so they are dealt out as threads come.
  parallel_for(pool_, pass->micros.size(), 1, [&](size_t index, size_t thread) {
    MicroBatch& micro = pass->micros[index];
    if (micro.tokens == 0) return;
    lay_out_micro(micro, keep);
    const StepContext context{model_, pass->batch, dropout_seed, first_text, micro};
    forward_micro(context, keep, scratch_[thread], out.row_range(micro.token_begin, micro.tokens));
  });
  if (!keep) return nullptr;
  return pass;
}

void Stack::backward_micro(const StepContext& context, const Sink& sink, Scratch& scratch,
                           MatView<float> d_embedded) {
  const MicroBatch& micro = context.micro;
  if (model_.final_norm.present()) {
    norm_backward(model_, model_.final_norm, sink, micro.final_input, scratch.d, scratch.d);
  }
  for (size_t i = model_.layers.size(); i-- > 0;) {
    const Layer& layer = model_.layers[i];
    LayerKeep kept = micro.layers[i];
    if (model_.options.recompute) {
      kept = scratch.layer;
      kept.x = micro.layers[i].x;
      layer_forward(context, layer, kept, scratch, scratch.rest);
    }
    layer_backward(context, layer, kept, sink, scratch);
  }
  embed_backward(context, sink, scratch);
  std::copy_n(scratch.d.data(), micro.tokens * model_.hidden(), d_embedded.row(micro.token_begin));
}

// The first thread adds to the caller's gradients, the others to buffers of their own.
std::vector<Sink> Stack::make_sinks(const StackTensors& gradients) {
  std::vector<Sink> sinks(pool_.size(), Sink(model_.slots.size(), nullptr));
  size_t floats = 0;
  std::vector<size_t> offsets(model_.slots.size(), kNoSlot);
  for (size_t s = 0; s < model_.slots.size(); ++s) {
    const Slot& slot = model_.slots[s];
    const auto it = gradients.find(slot.name);
    if (it == gradients.end() || slot.values == nullptr) continue;
    const MatView<float> view = it->second.values;
    if (view.rows() != slot.table_rows || view.cols() != slot.cols ||
        view.stride() != view.cols()) {
      throw_error(ErrorKind::internal, slot.name, "its gradient is [{}, {}], the weight [{}, {}]",
                  view.rows(), view.cols(), slot.table_rows, slot.cols);
    }
    sinks[0][s] = view.data();
    if (model_.scattered(s)) continue;  // afterwards, row by row
    offsets[s] = floats;
    floats += slot.table_rows * slot.cols + kSlack;
  }
  gradients_.resize(pool_.size());
  for (size_t thread = 1; thread < pool_.size(); ++thread) {
    gradients_[thread].ensure(floats);
    for (size_t s = 0; s < offsets.size(); ++s) {
      if (offsets[s] != kNoSlot) sinks[thread][s] = gradients_[thread].data() + offsets[s];
    }
  }
  return sinks;
}

// From distances to buckets.
void Stack::add_relative_bias(const Sink& sink, Scratch& scratch) const {
  if (model_.relative_bias == kNoSlot || sink[model_.relative_bias] == nullptr) return;
  const kernels::BiasTable& table = model_.bias;
  const auto reach = static_cast<int64_t>(table.center);
  for (int64_t distance = -reach; distance <= reach; ++distance) {
    const auto bucket = static_cast<size_t>(kernels::relative_bucket(
        distance, model_.arch.relative_buckets, model_.arch.relative_max_distance));
    for (size_t h = 0; h < model_.heads(); ++h) {
      sink[model_.relative_bias][bucket * model_.heads() + h] +=
          scratch.bias_gradient[h * table.stride + static_cast<size_t>(reach + distance)];
    }
  }
}

// The rows of tables, each by one thread, which adds its tokens in the order of the batch.
void Stack::scatter_tables(const Sink& sink, const TokenBatch& batch, size_t rank) const {
  const size_t dim = model_.hidden(), threads = pool_.size();
  float* tokens = sink[model_.token];
  float* positions = model_.position == kNoSlot ? nullptr : sink[model_.position];
  for (size_t b = 0; b < batch.size(); ++b) {
    for (size_t t = batch.offsets[b]; t < batch.offsets[b + 1]; ++t) {
      const float* row = d_embedded_.data() + t * dim;
      const auto id = static_cast<size_t>(batch.ids[t]);
      const size_t place = t - batch.offsets[b] + static_cast<size_t>(model_.arch.position_offset);
      if (tokens != nullptr && id % threads == rank)
        kernels::accumulate(row, dim, tokens + id * dim);
      if (positions != nullptr && place % threads == rank)
        kernels::accumulate(row, dim, positions + place * dim);
      if (!batch.adapters.empty() && id % threads == rank)
        add_token_adapter_row(model_, sink, batch.adapters[b], id, {row, dim});
    }
  }
}

// Adds the other threads' gradients to the caller's, this thread's share of every parameter.
void Stack::gather(const std::vector<Sink>& sinks, const TokenBatch& batch, size_t rank) {
  for (size_t s = 0; s < model_.slots.size(); ++s) {
    if (sinks[0][s] == nullptr || model_.scattered(s)) continue;
    const Range own = share(model_.slots[s].table_rows * model_.slots[s].cols, rank, pool_.size());
    for (size_t thread = 1; thread < pool_.size(); ++thread)
      kernels::accumulate(sinks[thread][s] + own.begin, own.end - own.begin,
                          sinks[0][s] + own.begin);
  }
  scatter_tables(sinks[0], batch, rank);
}

void Stack::backward(const Pass& pass, MatView<const float> d_out, const StackTensors& gradients) {
  const auto& data = static_cast<const PassData&>(pass);  // forward made it
  AKIN_CHECK(d_out.rows() == data.batch.tokens() && d_out.cols() == model_.hidden());
  const std::vector<Sink> sinks = make_sinks(gradients);
  const size_t dim = model_.hidden();
  d_embedded_.ensure(data.batch.tokens() * dim + kSlack);
  const MatView<float> d_embedded(d_embedded_.data(), data.batch.tokens(), dim);
  pool_.run([&](size_t thread) {
    Scratch& scratch = scratch_[thread];
    if (thread > 0) std::fill_n(gradients_[thread].data(), gradients_[thread].size(), 0.0F);
    if (model_.relative_bias != kNoSlot) {
      scratch.bias_gradient.ensure(model_.bias.values.size());
      std::fill_n(scratch.bias_gradient.data(), scratch.bias_gradient.size(), 0.0F);
    }
    const Range own = share(data.micros.size(), thread, pool_.size());
    for (size_t i = own.begin; i < own.end; ++i) {
      const MicroBatch& micro = data.micros[i];
      if (micro.tokens == 0) continue;
      scratch.prepare(model_, micro.tokens);
      for (size_t t = 0; t < micro.tokens; ++t)
        std::copy_n(d_out.row(micro.token_begin + t), dim, scratch.d.row(t));
      const StepContext context{model_, data.batch, data.dropout_seed, data.first_text, micro};
      backward_micro(context, sinks[thread], scratch, d_embedded);
    }
    add_relative_bias(sinks[thread], scratch);
  });
  pool_.run([&](size_t thread) { gather(sinks, data.batch, thread); });
}

}  // namespace

bool bf16_available() { return kernels::bf16_products_available(); }

std::unique_ptr<CpuStack> CpuStack::make(const ArchSpec& arch, const StackOptions& options,
                                         ThreadPool& pool) {
  return std::make_unique<Stack>(arch, options, pool);
}

}  // namespace akin::nn
