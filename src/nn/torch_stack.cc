#include "nn/torch_stack.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>

#include "nn/autograd_op.h"
#include "nn/torch_attention.h"
#include "nn/torch_ops.h"
#include "nn/torch_positions.h"

namespace akin::nn {
namespace {

// Places where dropout acts.
enum class Place : uint64_t { attention_weights, attention_output, ffn_output, per_layer };
constexpr uint64_t kEmbeddingPlace = 1U << 20;

class Pass : public std::enable_shared_from_this<Pass> {
 public:
  Pass(const ArchSpec& arch, const StackOptions& options, bool sparse_tokens,
       const NamedTensors& weights, const TokenBatch& batch, const DropoutSeed& seed)
      : arch_(arch),
        options_(options),
        sparse_tokens_(sparse_tokens),
        weights_(weights),
        batch_(batch),
        seed_(seed),
        like_(tensor_at(weights, "embed.token")) {
    std::vector<int64_t> position;
    for (size_t b = 0; b < batch.size(); ++b) {
      const auto length = static_cast<int64_t>(batch.text(b).size());
      longest_ = std::max(longest_, length);
      for (int64_t t = 0; t < length; ++t) position.push_back(t);
      if (!batch.adapters.empty())
        row_adapters_.insert(row_adapters_.end(), static_cast<size_t>(length), batch.adapters[b]);
    }
    positions_ = on_device(at::tensor(position, at::kLong));
    attention_ = std::make_shared<const TorchAttention>(arch, batch, like_);
  }

  at::Tensor run() {
    make_rotary();
    at::Tensor hidden = embed();
    for (int64_t i = 0; i < arch_.layers; ++i)
      hidden = options_.recompute ? layer_again_in_backward(i, hidden) : layer(i, hidden);
    return norm("final_norm", hidden);
  }

 private:
  at::Tensor on_device(const at::Tensor& t) const { return t.to(like_.device()); }
  static std::string layer_name(int64_t index, std::string_view part) {
    return fmt::format("layer.{}.{}", index, part);
  }

  at::Tensor norm(const std::string& name, const at::Tensor& x) const {
    const at::Tensor gamma = tensor_or_none(weights_, name + ".weight");
    if (!gamma.defined()) return x;
    return norm_rows(arch_, x, gamma, tensor_or_none(weights_, name + ".bias"));
  }

  at::Tensor drop_rows(const at::Tensor& x, uint64_t place) const {
    if (options_.dropout <= 0 || seed_.seed == 0) return x;
    return drop(x, on_device(dropout_keys(seed_, batch_, place)), options_.dropout);
  }
  static uint64_t place_of(int64_t layer, Place place) {
    return static_cast<uint64_t>(layer) * static_cast<uint64_t>(Place::per_layer) +
           static_cast<uint64_t>(place);
  }

  // [T, 1], 1 for tokens of texts with this adapter; undefined where no text has it.
  at::Tensor adapter_mask(size_t adapter) const {
    std::vector<float> mask(row_adapters_.size());
    for (size_t t = 0; t < mask.size(); ++t)
      mask[t] = row_adapters_[t] == static_cast<int32_t>(adapter) ? 1.0F : 0.0F;
    if (std::find(mask.begin(), mask.end(), 1.0F) == mask.end()) return {};
    return at::tensor(mask).unsqueeze(1).to(like_.options());
  }

  // y + scaling * (A x) B for tokens of texts with an adapter that has this weight.
  at::Tensor add_adapters(const std::string& name, const at::Tensor& y,
                          const std::function<at::Tensor(const at::Tensor&)>& times_a) const {
    at::Tensor out = y;
    if (row_adapters_.empty()) return out;
    for (size_t a = 0; a < arch_.adapters.size(); ++a) {
      const std::string base = fmt::format("adapter.{}.{}", a, name);
      const at::Tensor lora_a = tensor_or_none(weights_, base + ".lora_a");
      const at::Tensor mask = lora_a.defined() ? adapter_mask(a) : at::Tensor();
      if (!mask.defined()) continue;
      at::Tensor b = tensor_at(weights_, base + ".lora_b");
      if (!name.starts_with("embed.")) b = b.t();  // linear: [out, r]; embedding: [r, D]
      out = out + at::matmul(times_a(lora_a), b) * mask * static_cast<double>(arch_.lora_scaling);
    }
    return out;
  }

  at::Tensor linear(const std::string& name, const at::Tensor& x) const {
    const at::Tensor y = linear_rows(x, tensor_at(weights_, name + ".weight"),
                                     tensor_or_none(weights_, name + ".bias"), low_precision());
    return add_adapters(name, y, [&](const at::Tensor& a) {
      return at::matmul(drop_adapter_input(name, x), a.t());
    });
  }
  // q, k and v read one input under one mask; so do the others under theirs.
  at::Tensor drop_adapter_input(const std::string& name, const at::Tensor& x) const {
    if (options_.adapter_dropout <= 0 || seed_.seed == 0) return x;
    const auto layer = static_cast<uint64_t>(std::stoll(name.substr(name.find('.') + 1)));
    const uint64_t site = name.ends_with("out")                     ? 1
                          : name.ends_with("down")                  ? 2
                          : name.find(".ffn.") != std::string::npos ? 3
                                                                    : 0;
    const uint64_t place = (uint64_t{1} << 21) + 4 * layer + site;
    return drop(x, on_device(dropout_keys(seed_, batch_, place)), options_.adapter_dropout);
  }
  bool low_precision() const {
    return options_.precision == TrainPrecision::bf16 && like_.scalar_type() == at::kFloat;
  }

  at::Tensor embed() const {
    const at::Tensor ids =
        on_device(at::tensor(at::ArrayRef<int32_t>(batch_.ids), at::kInt).to(at::kLong));
    at::Tensor x = at::embedding(like_, ids, -1, false, sparse_tokens_);
    x = add_adapters("embed.token", x, [&](const at::Tensor& a) { return a.index_select(0, ids); });
    if (const at::Tensor types = tensor_or_none(weights_, "embed.type"); types.defined()) {
      x = x + types[0];
      x = add_adapters("embed.type", x, [&](const at::Tensor& a) {
        return a.narrow(0, 0, 1).expand({x.size(0), a.size(1)});
      });
    }
    if (const at::Tensor table = tensor_or_none(weights_, "embed.position"); table.defined())
      x = x + table.index_select(0, positions_ + arch_.position_offset);
    return drop_rows(norm("embed.norm", x), kEmbeddingPlace);
  }

  void make_rotary() {
    if (arch_.position != PositionKind::rotary) return;
    const int64_t dim = arch_.rotary_dim > 0 ? arch_.rotary_dim : arch_.head_dim;
    const auto table = [&](double base) {
      RotaryAngles angles = rotary_angles(longest_, dim, base);
      for (at::Tensor* side : {&angles.cosine, &angles.sine})
        *side = side->to(like_.options()).index_select(0, positions_).unsqueeze(1);
      return angles;
    };
    rotary_ = table(arch_.rotary_base);
    if (arch_.rotary_base_local > 0) rotary_local_ = table(arch_.rotary_base_local);
  }

  at::Tensor attend(int64_t index, const at::Tensor& x) const {
    const bool local = arch_.local_window > 0 && index % arch_.global_every != 0;
    const auto heads = [&](const at::Tensor& t) {
      return t.view({t.size(0), arch_.heads, arch_.head_dim});
    };
    at::Tensor q = linear(layer_name(index, "attn.q"), x),
               k = linear(layer_name(index, "attn.k"), x);
    if (arch_.qk_norm) {
      q = norm(layer_name(index, "attn.q_norm"), q);
      k = norm(layer_name(index, "attn.k_norm"), k);
    }
    q = heads(q);
    k = heads(k);
    if (arch_.position == PositionKind::rotary) {
      const RotaryAngles& angles = local && rotary_local_ ? *rotary_local_ : *rotary_;
      q = rotate(q, angles.cosine, angles.sine, arch_.rotary_interleaved).to(q.scalar_type());
      k = rotate(k, angles.cosine, angles.sine, arch_.rotary_interleaved).to(k.scalar_type());
    }
    const at::Tensor v = heads(linear(layer_name(index, "attn.v"), x));
    TorchAttention::Args args;
    args.qkv = at::stack({q.to(v.scalar_type()), k.to(v.scalar_type()), v}, 1);
    args.relative_bias = tensor_or_none(weights_, "relative_bias.weight");
    args.local = local;
    args.dropout = options_.attention_dropout;
    args.seed = seed_;
    args.place = place_of(index, Place::attention_weights);
    const at::Tensor out = attention_->run(args).flatten(1);
    return drop_rows(linear(layer_name(index, "attn.out"), out),
                     place_of(index, Place::attention_output));
  }

  at::Tensor feed_forward(int64_t index, const at::Tensor& x) const {
    at::Tensor wide = linear(layer_name(index, "ffn.up"), x);
    wide = arch_.gated_ffn
               ? activate_rows(linear(layer_name(index, "ffn.gate"), x), arch_.activation) * wide
               : activate_rows(wide, arch_.activation);
    return drop_rows(linear(layer_name(index, "ffn.down"), wide),
                     place_of(index, Place::ffn_output));
  }

  at::Tensor layer(int64_t index, const at::Tensor& in) const {
    const bool post = arch_.norm_place == NormPlace::post;
    const std::string attn_norm = layer_name(index, "attn.norm"),
                      ffn_norm = layer_name(index, "ffn.norm");
    at::Tensor hidden = in + attend(index, post ? in : norm(attn_norm, in));
    if (arch_.attn_inner_norm) hidden = in + norm(layer_name(index, "attn.inner_norm"), hidden);
    if (post) hidden = norm(attn_norm, hidden);
    hidden = hidden + feed_forward(index, post ? hidden : norm(ffn_norm, hidden));
    return post ? norm(ffn_norm, hidden) : hidden;
  }

  // Keeps a layer's input only, and runs the layer again when its gradients are asked for.
  at::Tensor layer_again_in_backward(int64_t index, const at::Tensor& in) const {
    const std::string prefix = layer_name(index, "");
    std::vector<std::string> names{""};
    std::vector<at::Tensor> inputs{in};
    for (const auto& [name, tensor] : weights_) {
      const size_t own = name.starts_with("adapter.") ? name.find('.', 8) + 1 : 0;
      if (name.compare(own, prefix.size(), prefix) != 0 && name != "relative_bias.weight") continue;
      names.push_back(name);
      inputs.push_back(tensor);
    }
    const auto run = [self = shared_from_this(), index, names, inputs](
                         const at::Tensor& d_out, const std::vector<bool>& needs) {
      const at::AutoGradMode graph(true);
      Pass again(*self);
      std::vector<at::Tensor> leaves, wanted;
      for (size_t i = 0; i < inputs.size(); ++i) {
        leaves.push_back(inputs[i].detach().requires_grad_(needs[i]));
        if (needs[i]) wanted.push_back(leaves[i]);
        if (i > 0) again.weights_[names[i]] = leaves[i];
      }
      const std::vector<at::Tensor> found =
          gradients_of(again.layer(index, leaves[0]), d_out, wanted);
      std::vector<at::Tensor> out(inputs.size());
      for (size_t i = 0, next = 0; i < out.size(); ++i) {
        if (needs[i]) out[i] = found[next++];
      }
      return out;
    };
    at::Tensor out;
    {
      const at::NoGradGuard no_graph;
      out = layer(index, in);
    }
    return with_backward(out, inputs, "RecomputedLayer", run);
  }

  // By value: a recomputed layer keeps the pass until backward.
  const ArchSpec arch_;
  const StackOptions options_;
  const bool sparse_tokens_;
  NamedTensors weights_;
  const TokenBatch batch_;
  const DropoutSeed seed_;
  const at::Tensor like_;
  int64_t longest_ = 0;
  at::Tensor positions_;               // [T] within the text
  std::vector<int32_t> row_adapters_;  // [T], empty where no text has one
  std::optional<RotaryAngles> rotary_, rotary_local_;
  std::shared_ptr<const TorchAttention> attention_;
};

}  // namespace

at::Tensor TorchStack::forward(const NamedTensors& weights, const TokenBatch& batch,
                               const DropoutSeed& seed) const {
  return std::make_shared<Pass>(arch_, options_, sparse_tokens_, weights, batch, seed)->run();
}

}  // namespace akin::nn
