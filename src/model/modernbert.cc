// ModernBERT (arXiv:2412.13663): pre-norm, rotary, a gated FFN, no biases; every n-th layer attends
// globally, the others within a window, with a rotary base of their own. Layer 0 has no norm before
// attention. Reads the flat keys and the nested ones of later releases (rope_parameters,
// layer_types).
#include "base/error.h"
#include "model/family.h"

namespace akin::model {
namespace {

constexpr LayerNames kLayer = {.qkv = "attn.Wqkv",
                               .out = "attn.Wo",
                               .attn_norm = "attn_norm",
                               .down = "mlp.Wo",
                               .gate_up = "mlp.Wi",
                               .ffn_norm = "mlp_norm"};

bool claims(const JsonValue& config) { return is_model_type(config, {"modernbert"}); }

// rope_parameters: {"full_attention": {"rope_theta": ..., "rope_type": "default"}, ...}
double nested_base(const JsonValue& parameters, std::string_view kind, double fallback) {
  const auto group = parameters.find(kind);
  if (!group) return fallback;
  if (const std::string type = group->get("rope_type", "default"); type != "default") {
    throw_error(ErrorKind::unsupported, group->where(), "rope_type is {}; akin runs \"default\"",
                quote(type));
  }
  const double base = group->get("rope_theta", fallback);
  if (!(base >= 1 && base <= 1e12)) group->fail("a rope_theta in [1, 1e12]");
  return base;
}

void read_rotary(ConfigReader& config, ArchSpec& arch) {
  arch.position = PositionKind::rotary;
  arch.rotary_base = config.number("global_rope_theta", 1, 1e12, 160000.0);
  arch.rotary_base_local = config.number("local_rope_theta", 1, 1e12, arch.rotary_base);
  if (const auto parameters = config.find("rope_parameters")) {
    arch.rotary_base = nested_base(*parameters, "full_attention", arch.rotary_base);
    arch.rotary_base_local = nested_base(*parameters, "sliding_attention", arch.rotary_base_local);
  }
  if (arch.head_dim % 2 != 0) {
    throw_error(ErrorKind::bad_format, config.where(),
                "rotary positions need an even head size, got {}", arch.head_dim);
  }
}

void read_windows(ConfigReader& config, ArchSpec& arch) {
  arch.global_every = config.count("global_attn_every_n_layers", 1, kMaxLayers, 3);
  arch.local_window = config.count("local_attention", 2, kMaxPositions, 128);
  const auto types = config.find("layer_types");
  if (!types) return;
  const auto items = types->items();
  for (size_t i = 0; i < items.size(); ++i) {
    const bool global = static_cast<int64_t>(i) % arch.global_every == 0;
    if (items[i].as_string() != (global ? "full_attention" : "sliding_attention")) {
      throw_error(ErrorKind::unsupported, types->where(),
                  "layer {} is {}; akin runs one global layer in every {} only", i,
                  quote(items[i].as_string()), arch.global_every);
    }
  }
}

FamilyPlan plan(ConfigReader& config, const TensorTable& tensors) {
  FamilyPlan out;
  ArchSpec& arch = out.arch;
  arch.family = "modernbert";
  config.ignore({"classifier_activation", "classifier_bias", "classifier_pooling", "decoder_bias",
                 "deterministic_flash_attn", "embedding_dropout", "initializer_cutoff_factor",
                 "layer_norm_eps", "mlp_dropout", "position_embedding_type", "reference_compile",
                 "repad_logits_with_grad", "sparse_pred_ignore_index", "sparse_prediction"});
  read_bert_sizes(config, arch);
  arch.max_positions = config.count("max_position_embeddings", 1, kMaxPositions, 8192);
  arch.pad_token_id = config.count("pad_token_id", 0, kMaxVocab, 0);
  arch.norm_place = NormPlace::pre;
  arch.norm_eps = static_cast<float>(config.number("norm_eps", 0, 1, 1e-5));
  arch.norm_bias = config.flag("norm_bias", false);
  arch.final_norm = true;
  arch.first_layer_attn_norm = false;
  arch.qkv_bias = arch.attn_out_bias = config.flag("attention_bias", false);
  arch.ffn_in_bias = arch.ffn_out_bias = config.flag("mlp_bias", false);
  arch.gated_ffn = true;
  arch.activation = activation_from_name(config.text("hidden_activation", "gelu"), config.where());
  read_rotary(config, arch);
  read_windows(config, arch);

  WeightPlan weights(arch, tensors);
  weights.choose_prefix({"", "model."}, "embeddings.tok_embeddings", config.where());
  weights.embedding("embed.token", "embeddings.tok_embeddings", arch.vocab_size, arch.hidden);
  weights.norm("embed.norm", "embeddings.norm", arch.hidden);
  weights.layers("layers.", kLayer);
  weights.norm("final_norm", "final_norm", arch.hidden);
  out.weights = weights.take();
  return out;
}

}  // namespace

Family family_modernbert() {
  return {"modernbert", "ModernBERT-base/large, gte-modernbert, modernbert-embed", claims, plan};
}

}  // namespace akin::model
