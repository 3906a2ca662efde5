#include "engine/packed_model.h"

#include <string>

#include "kernels/cpu.h"

namespace akin::engine {
namespace {

using kernels::Backend;
using kernels::PackedLinear;

// Reads several linears as one: their rows one after the other. Rows stored as int8 are multiplied
// by "<name>.scale".
class RowSource {
 public:
  RowSource(const model::Weights& weights, std::vector<std::string> names)
      : names_(std::move(names)) {
    for (const auto& name : names_) {
      Part part{&weights.at(name + ".weight"), {}, rows_};
      if (part.tensor->shape.size() != 2) {
        throw_error(ErrorKind::bad_format, name, "is {}, expected a matrix",
                    part.tensor->shape_string());
      }
      if (weights.has(name + ".weight.scale"))
        part.scales = tensor_to_f32(weights.at(name + ".weight.scale"));
      rows_ += static_cast<size_t>(part.tensor->shape[0]);
      cols_ = static_cast<size_t>(part.tensor->shape[1]);
      const bool biased = weights.has(name + ".bias");
      if (biased || !bias_.empty()) {
        bias_.resize(part.begin, 0.0F);
        if (biased) {
          const std::vector<float> values = tensor_to_f32(weights.at(name + ".bias"));
          bias_.insert(bias_.end(), values.begin(), values.end());
        }
      }
      parts_.push_back(std::move(part));
    }
    if (!bias_.empty()) bias_.resize(rows_, 0.0F);
  }

  PackedLinear pack(Backend backend) const {
    return {backend, rows_, cols_, [this](size_t row, std::span<float> out) { read(row, out); },
            bias_};
  }
  std::vector<size_t> columns() const {
    std::vector<size_t> out;
    for (const Part& part : parts_) out.push_back(static_cast<size_t>(part.tensor->shape[0]));
    return out;
  }
  const std::vector<std::string>& names() const { return names_; }

 private:
  struct Part {
    const Tensor* tensor;
    std::vector<float> scales;
    size_t begin;
  };
  void read(size_t row, std::span<float> out) const {
    size_t p = parts_.size() - 1;
    while (parts_[p].begin > row) --p;
    const size_t local = row - parts_[p].begin;
    tensor_to_f32(*parts_[p].tensor, local * cols_, out);
    if (!parts_[p].scales.empty()) {
      for (float& value : out) value *= parts_[p].scales[local];
    }
  }
  std::vector<std::string> names_;
  std::vector<Part> parts_;
  std::vector<float> bias_;
  size_t rows_ = 0, cols_ = 0;
};

NormWeights read_norm(const model::Weights& weights, const std::string& name) {
  NormWeights norm;
  if (weights.has(name + ".weight")) norm.gamma = tensor_to_f32(weights.at(name + ".weight"));
  if (weights.has(name + ".bias")) norm.beta = tensor_to_f32(weights.at(name + ".bias"));
  return norm;
}

Projection read_projection(const model::Model& model, std::vector<std::string> names,
                           Backend backend) {
  const RowSource source(*model.weights, std::move(names));
  Projection projection;
  projection.base = source.pack(backend);
  projection.lora.load(model, source.names(), source.columns());
  return projection;
}

PackedLayer pack_layer(const model::Model& model, int64_t index, Backend backend) {
  const ArchSpec& arch = model.arch;
  const std::string layer = "layer." + std::to_string(index) + ".";
  const std::string attn = layer + "attn.", ffn = layer + "ffn.";
  PackedLayer out;
  out.qkv = read_projection(model, {attn + "q", attn + "k", attn + "v"}, backend);
  out.out = read_projection(model, {attn + "out"}, backend);
  std::vector<std::string> inputs;
  if (arch.gated_ffn) inputs.push_back(ffn + "gate");
  inputs.push_back(ffn + "up");
  out.up = read_projection(model, std::move(inputs), backend);
  out.down = read_projection(model, {ffn + "down"}, backend);
  const model::Weights& weights = *model.weights;
  out.attn_norm = read_norm(weights, attn + "norm");
  out.ffn_norm = read_norm(weights, ffn + "norm");
  if (arch.qk_norm) {
    out.q_norm = read_norm(weights, attn + "q_norm");
    out.k_norm = read_norm(weights, attn + "k_norm");
  }
  if (arch.attn_inner_norm) out.inner_norm = read_norm(weights, attn + "inner_norm");
  out.local = arch.local_window > 0 && index % arch.global_every != 0;
  return out;
}

void pack_heads(const model::Model& model, PackedModel& out) {
  const Backend backend = kernels::choose_backend(Precision::f32);
  for (const model::Head& head : model.heads) {
    PackedHead packed;
    packed.kind = head.kind;
    if (head.kind == model::HeadKind::dense) {
      const std::string name = "dense." + std::to_string(head.dense_index);
      packed.spec = model.dense.at(head.dense_index);
      packed.dense = RowSource(*model.weights, {name}).pack(backend);
      if (packed.spec.use_residual && model.weights->has(name + ".residual.weight")) {
        packed.residual = RowSource(*model.weights, {name + ".residual"}).pack(backend);
      }
    }
    out.heads.push_back(std::move(packed));
  }
}

}  // namespace

PackedModel pack_model(const model::Model& model, Precision precision) {
  const model::Weights& weights = *model.weights;
  PackedModel out;
  out.arch = model.arch;
  out.weights = model.weights;
  out.backend = kernels::choose_backend(precision);
  out.token_table = weights.at("embed.token");
  if (weights.has("embed.position")) out.position_table = weights.at("embed.position");
  if (weights.has("embed.type")) {
    out.type_row.resize(static_cast<size_t>(model.arch.hidden));
    tensor_to_f32(weights.at("embed.type"), 0, out.type_row);
  }
  if (!model.arch.adapters.empty()) {
    out.token_lora.load(model, "embed.token");
    out.type_lora.load(model, "embed.type");
  }
  out.embedding_norm = read_norm(weights, "embed.norm");
  out.final_norm = read_norm(weights, "final_norm");
  if (weights.has("relative_bias.weight")) {
    const std::vector<float> values = tensor_to_f32(weights.at("relative_bias.weight"));
    out.relative_bias = Mat<float>(static_cast<size_t>(model.arch.relative_buckets),
                                   static_cast<size_t>(model.arch.heads));
    std::copy(values.begin(), values.end(), out.relative_bias.data());
  }
  // What was read lies in packed form from here on; a folder's pages need not stay beside it.
  for (int64_t i = 0; i < model.arch.layers; ++i) {
    weights.release_pages();
    out.layers.push_back(pack_layer(model, i, out.backend));
  }
  pack_heads(model, out);
  weights.release_pages();
  return out;
}

}  // namespace akin::engine
