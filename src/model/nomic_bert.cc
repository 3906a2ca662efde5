// nomic-bert (arXiv:2402.01613): post-norm BERT with rotary positions and SwiGLU, in the layout of
// the flash-attention implementation; nomic-embed-text-v1 and v1.5. The mixture-of-experts layers
// of v2 and scaled rotary positions are refused.
#include <cmath>

#include "base/error.h"
#include "model/family.h"

namespace akin::model {
namespace {

// fc12 is the gate, fc11 the value.
constexpr LayerNames kLayer = {.qkv = "attn.Wqkv",
                               .out = "attn.out_proj",
                               .attn_norm = "norm1",
                               .up = "mlp.fc11",
                               .gate = "mlp.fc12",
                               .down = "mlp.fc2",
                               .ffn_norm = "norm2"};
constexpr LayerNames kUngated = {.qkv = "attn.Wqkv",
                                 .out = "attn.out_proj",
                                 .attn_norm = "norm1",
                                 .up = "mlp.fc1",
                                 .down = "mlp.fc2",
                                 .ffn_norm = "norm2"};

bool claims(const JsonValue& config) { return is_model_type(config, {"nomic_bert"}); }

void refuse_unknown(ConfigReader& config) {
  config.require("prenorm", false);
  config.require("causal", false);
  config.require("parallel_block", false);
  config.require("use_rms_norm", false);
  config.require("scale_attn_by_inverse_layer_idx", false);
  config.require("scale_attn_weights", true);
  config.ignore({"parallel_block_tied_norm",
                 "fused_dropout_add_ln",
                 "fused_bias_fc",
                 "use_xentropy",
                 "dense_seq_output",
                 "pad_vocab_size_multiple",
                 "attn_pdrop",
                 "embd_pdrop",
                 "resid_pdrop",
                 "layer_norm_training",
                 "mlp_bias",
                 "rotary_emb_scale_base",
                 "summary_activation",
                 "summary_first_dropout",
                 "summary_proj_to_labels",
                 "summary_type",
                 "summary_use_proj",
                 "reorder_and_upcast_attn",
                 "max_trained_positions",
                 "ffn_div",
                 "moe_top_k",
                 "moe_normalize_expert_weights",
                 "moe_resid_pdrop",
                 "moe_impl",
                 "num_shared_experts",
                 "shared_expert_ffn_hidden_size",
                 "expert_choice_router",
                 "router_aux_loss_coef",
                 "use_rms_norm"});
  if (config.count("num_experts", 0, kMaxLayers, 0) > 0 &&
      config.count("moe_every_n_layers", -1, kMaxLayers, 0) > 0) {
    throw_error(ErrorKind::unsupported, config.where(),
                "num_experts is not 0: mixture-of-experts layers are not something akin runs");
  }
  if (config.find("rotary_scaling_factor")) {
    throw_error(ErrorKind::unsupported, config.where(),
                "\"rotary_scaling_factor\" is set; akin runs unscaled rotary positions only");
  }
}

void read_feed_forward(ConfigReader& config, ArchSpec& arch) {
  const std::string name = config.text("activation_function", "gelu");
  arch.gated_ffn = name == "swiglu" || name == "geglu" || name == "glu";
  arch.activation = name == "swiglu"  ? Activation::silu
                    : name == "geglu" ? Activation::gelu_erf
                    : name == "glu"   ? Activation::sigmoid
                                      : activation_from_name(name, config.where());
  arch.ffn_in_bias = config.flag("mlp_fc1_bias", true);
  arch.ffn_out_bias = config.flag("mlp_fc2_bias", true);
}

void read_rotary(ConfigReader& config, ArchSpec& arch) {
  arch.position = PositionKind::rotary;
  arch.rotary_base = config.number("rotary_emb_base", 1, 1e12, 10000.0);
  arch.rotary_interleaved = config.flag("rotary_emb_interleaved", false);
  const double fraction = config.number("rotary_emb_fraction", 0, 1, 0);
  arch.rotary_dim = std::llround(fraction * static_cast<double>(arch.head_dim));
  if (arch.rotary_dim < 2 || arch.rotary_dim % 2 != 0) {
    throw_error(ErrorKind::unsupported, config.where(),
                "rotary_emb_fraction {} of a head size of {} is not an even number of dims >= 2",
                fraction, arch.head_dim);
  }
}

FamilyPlan plan(ConfigReader& config, const TensorTable& tensors) {
  FamilyPlan out;
  ArchSpec& arch = out.arch;
  arch.family = "nomic_bert";
  refuse_unknown(config);
  arch.vocab_size = config.count("vocab_size", 1, kMaxVocab);
  arch.hidden = config.count("n_embd", 1, kMaxHidden);
  arch.layers = config.count("n_layer", 1, kMaxLayers);
  set_heads(arch, config.count("n_head", 1, arch.hidden), config.where());
  arch.ffn_hidden = config.count("n_inner", 1, kMaxFfn, 4 * arch.hidden);
  arch.max_positions = config.count("n_positions", 1, kMaxPositions, 8192);
  arch.type_vocab = config.count("type_vocab_size", 0, kMaxVocab, 2);
  arch.pad_token_id = config.count("pad_token_id", 0, kMaxVocab, 0);
  arch.norm_eps = static_cast<float>(config.number("layer_norm_epsilon", 0, 1, 1e-12));
  arch.qkv_bias = config.flag("qkv_proj_bias", true);
  arch.attn_out_bias = arch.qkv_bias;
  read_feed_forward(config, arch);
  read_rotary(config, arch);

  WeightPlan weights(arch, tensors);
  weights.choose_prefix({"", "bert."}, "embeddings.word_embeddings", config.where());
  weights.embeddings(0, "emb_ln");
  weights.layers("encoder.layers.", arch.gated_ffn ? kLayer : kUngated);
  out.weights = weights.take();
  return out;
}

}  // namespace

Family family_nomic_bert() { return {"nomic_bert", "nomic-embed-text-v1, v1.5", claims, plan}; }

}  // namespace akin::model
