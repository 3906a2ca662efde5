// The encoder of T5 (arXiv:1910.10683) and mT5 (arXiv:2010.11934): pre-norm with RMS norms, no
// biases, unscaled attention, one relative bias (layer 0's table) for all layers. sentence-t5,
// gtr-t5, jina-embedding-s/b/l. The decoder's tensors, if there, are left alone. uMT5 has a table
// in every layer and is refused by its model_type.
#include "base/error.h"
#include "model/family.h"

namespace akin::model {
namespace {

constexpr LayerNames kLayer = {.q = "layer.0.SelfAttention.q",
                               .k = "layer.0.SelfAttention.k",
                               .v = "layer.0.SelfAttention.v",
                               .out = "layer.0.SelfAttention.o",
                               .attn_norm = "layer.0.layer_norm",
                               .up = "layer.1.DenseReluDense.wi",
                               .down = "layer.1.DenseReluDense.wo",
                               .ffn_norm = "layer.1.layer_norm"};

bool claims(const JsonValue& config) { return is_model_type(config, {"t5", "mt5"}); }

// "relu", "gated-gelu" (whose gelu is the tanh form in the reference), "gated-silu", ...
void set_activation(ConfigReader& config, ArchSpec& arch) {
  const std::string feed_forward = config.text("feed_forward_proj", "relu");
  config.ignore({"dense_act_fn", "is_gated_act"});
  std::string_view name = feed_forward;
  arch.gated_ffn = name.starts_with("gated-");
  if (arch.gated_ffn) name.remove_prefix(6);
  if (arch.gated_ffn && name == "gelu") name = "gelu_new";
  arch.activation = activation_from_name(name, config.where());
}

FamilyPlan plan(ConfigReader& config, const TensorTable& tensors) {
  FamilyPlan out;
  ArchSpec& arch = out.arch;
  arch.family = "t5";
  config.ignore({"num_decoder_layers", "n_positions", "tie_word_embeddings", "max_new_tokens"});
  arch.vocab_size = config.count("vocab_size", 1, kMaxVocab);
  arch.hidden = config.count("d_model", 1, kMaxHidden);
  arch.layers = config.count("num_layers", 1, kMaxLayers);
  arch.heads = config.count("num_heads", 1, kMaxHidden);
  arch.head_dim = config.count("d_kv", 1, kMaxHidden);
  arch.ffn_hidden = config.count("d_ff", 1, kMaxFfn);
  arch.pad_token_id = config.count("pad_token_id", 0, kMaxVocab, 0);
  arch.norm = NormKind::rms_norm;
  arch.norm_place = NormPlace::pre;
  arch.norm_eps = static_cast<float>(config.number("layer_norm_epsilon", 0, 1, 1e-6));
  arch.norm_bias = false;
  arch.embedding_norm = false;
  arch.final_norm = true;
  arch.position = PositionKind::relative_bias;
  arch.relative_buckets = config.count("relative_attention_num_buckets", 4, 4096, 32);
  arch.relative_max_distance = config.count("relative_attention_max_distance", 2, 1 << 20, 128);
  if (arch.relative_max_distance <= arch.relative_buckets / 4) {
    throw_error(ErrorKind::bad_format, config.where(),
                "relative_attention_max_distance is {}, expected more than a quarter of the {} "
                "buckets",
                arch.relative_max_distance, arch.relative_buckets);
  }
  arch.attention_scale = 1.0F;
  arch.qkv_bias = arch.attn_out_bias = arch.ffn_in_bias = arch.ffn_out_bias = false;
  set_activation(config, arch);

  LayerNames layer = kLayer;
  if (arch.gated_ffn) {
    layer.gate = "layer.1.DenseReluDense.wi_0";
    layer.up = "layer.1.DenseReluDense.wi_1";
  }
  WeightPlan weights(arch, tensors);
  weights.choose_prefix({"", "transformer."}, "encoder.final_layer_norm", config.where());
  weights.embedding("embed.token", weights.has("shared.weight") ? "shared" : "encoder.embed_tokens",
                    arch.vocab_size, arch.hidden);
  weights.tensor("relative_bias.weight",
                 "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                 {arch.relative_buckets, arch.heads});
  weights.layers("encoder.block.", layer);
  weights.norm("final_norm", "encoder.final_layer_norm", arch.hidden);
  out.weights = weights.take();
  return out;
}

}  // namespace

Family family_t5() {
  return {"t5", "sentence-t5, gtr-t5, jina-embedding-s/b/l (encoder of T5, mT5)", claims, plan};
}

}  // namespace akin::model
