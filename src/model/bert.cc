// BERT (arXiv:1810.04805): MiniLM, bge, m3e, acge, text2vec, gte (not "new"), jina-embedding-t, e5.
// Tensor names with or without "bert."; old checkpoints spell a norm gamma/beta.
#include "model/family.h"

namespace akin::model {
namespace {

constexpr LayerNames kLayer = {.q = "attention.self.query",
                               .k = "attention.self.key",
                               .v = "attention.self.value",
                               .out = "attention.output.dense",
                               .attn_norm = "attention.output.LayerNorm",
                               .up = "intermediate.dense",
                               .down = "output.dense",
                               .ffn_norm = "output.LayerNorm"};

bool claims(const JsonValue& config) {
  return is_model_type(config, {"bert"}) &&
         config.get("position_embedding_type", "absolute") != "alibi";
}

FamilyPlan plan(ConfigReader& config, const TensorTable& tensors) {
  FamilyPlan out;
  ArchSpec& arch = out.arch;
  arch.family = "bert";
  config.require("position_embedding_type", "absolute");
  config.require("is_decoder", false);
  config.require("add_cross_attention", false);
  read_bert_sizes(config, arch);
  arch.max_positions = config.count("max_position_embeddings", 1, kMaxPositions);
  arch.type_vocab = config.count("type_vocab_size", 0, kMaxVocab, 2);
  arch.pad_token_id = config.count("pad_token_id", 0, kMaxVocab, 0);
  arch.norm_eps = static_cast<float>(config.number("layer_norm_eps", 0, 1, 1e-12));
  arch.activation = activation_from_name(config.text("hidden_act", "gelu"), config.where());

  WeightPlan weights(arch, tensors);
  weights.choose_prefix({"", "bert."}, "embeddings.word_embeddings", config.where());
  weights.embeddings(arch.max_positions, "embeddings.LayerNorm");
  weights.layers("encoder.layer.", kLayer);
  out.weights = weights.take();
  return out;
}

}  // namespace

Family family_bert() {
  return {"bert", "MiniLM, bge, m3e, acge, text2vec, gte, e5, jina-embedding-t", claims, plan};
}

}  // namespace akin::model
