// JinaBERT (arXiv:2310.19923): BERT with symmetric ALiBi and a gated FFN. Two layouts exist: the
// plain one (jina-embeddings-v2-small/base-en, -zh, -de, -es) and "qk-post-norm" (-code), which
// norms q and k, has two norms after attention, and stores the FFN's halves the other way round.
#include "base/error.h"
#include "model/family.h"

namespace akin::model {
namespace {

constexpr LayerNames kPlain = {.q = "attention.self.query",
                               .k = "attention.self.key",
                               .v = "attention.self.value",
                               .out = "attention.output.dense",
                               .attn_norm = "attention.output.LayerNorm",
                               .down = "mlp.wo",
                               .gate_up = "mlp.gated_layers",
                               .ffn_norm = "mlp.layernorm"};
constexpr LayerNames kQkNorm = {.q = "attention.self.query",
                                .k = "attention.self.key",
                                .v = "attention.self.value",
                                .q_norm = "attention.self.layer_norm_q",
                                .k_norm = "attention.self.layer_norm_k",
                                .out = "attention.output.dense",
                                .attn_inner_norm = "attention.output.LayerNorm",
                                .attn_norm = "layer_norm_1",
                                .down = "mlp.down_layer",
                                .up_gate = "mlp.up_gated_layer",
                                .ffn_norm = "layer_norm_2"};

bool claims(const JsonValue& config) {
  return is_model_type(config, {"bert", "jina_bert"}) &&
         config.get("position_embedding_type", "absolute") == "alibi";
}

void set_feed_forward(ConfigReader& config, ArchSpec& arch) {
  const std::string type = config.text("feed_forward_type", "original");
  arch.gated_ffn = true;
  arch.ffn_in_bias = false;
  if (type == "geglu") {
    arch.activation = Activation::gelu_erf;
  } else if (type == "reglu") {
    arch.activation = Activation::relu;
  } else {
    throw_error(ErrorKind::unsupported, config.where(),
                "feed_forward_type is {}; akin runs \"geglu\" and \"reglu\" of JinaBERT",
                quote(type));
  }
}

FamilyPlan plan(ConfigReader& config, const TensorTable& tensors) {
  FamilyPlan out;
  ArchSpec& arch = out.arch;
  arch.family = "jina_bert";
  config.ignore({"attn_implementation", "emb_pooler", "model_max_length", "hidden_act",
                 "position_embedding_type"});
  config.require("is_decoder", false);
  read_bert_sizes(config, arch);
  arch.max_positions = config.count("max_position_embeddings", 1, kMaxPositions);
  arch.type_vocab = config.count("type_vocab_size", 0, kMaxVocab, 2);
  arch.pad_token_id = config.count("pad_token_id", 0, kMaxVocab, 0);
  arch.norm_eps = static_cast<float>(config.number("layer_norm_eps", 0, 1, 1e-12));
  arch.position = PositionKind::alibi;
  set_feed_forward(config, arch);

  WeightPlan weights(arch, tensors);
  weights.choose_prefix({"", "bert."}, "embeddings.word_embeddings", config.where());
  arch.qk_norm = weights.has("encoder.layer.0.attention.self.layer_norm_q.weight");
  arch.attn_inner_norm = arch.qk_norm;
  weights.embeddings(0, "embeddings.LayerNorm");
  weights.layers("encoder.layer.", arch.qk_norm ? kQkNorm : kPlain);
  out.weights = weights.take();
  return out;
}

}  // namespace

Family family_jina_bert() {
  return {"jina_bert", "jina-embeddings-v2-small/base-en, -zh, -de, -es, -code", claims, plan};
}

}  // namespace akin::model
