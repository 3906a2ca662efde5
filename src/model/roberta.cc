// RoBERTa (arXiv:1907.11692), XLM-RoBERTa (arXiv:1911.02116) and CamemBERT: BERT whose first
// position is row pad_token_id + 1 of the table. multilingual-e5, bge-m3 (dense vector).
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
  return is_model_type(config, {"roberta", "xlm-roberta", "camembert"}) &&
         config.get("position_embedding_type", "absolute") != "rotary";
}

FamilyPlan plan(ConfigReader& config, const TensorTable& tensors) {
  FamilyPlan out;
  ArchSpec& arch = out.arch;
  arch.family = "roberta";
  config.require("position_embedding_type", "absolute");
  config.require("is_decoder", false);
  config.require("add_cross_attention", false);
  read_bert_sizes(config, arch);
  const int64_t rows = read_positions_after_padding(config, arch);
  arch.type_vocab = config.count("type_vocab_size", 0, kMaxVocab, 1);
  arch.norm_eps = static_cast<float>(config.number("layer_norm_eps", 0, 1, 1e-12));
  arch.activation = activation_from_name(config.text("hidden_act", "gelu"), config.where());

  WeightPlan weights(arch, tensors);
  weights.choose_prefix({"", "roberta."}, "embeddings.word_embeddings", config.where());
  weights.embeddings(rows, "embeddings.LayerNorm");
  weights.layers("encoder.layer.", kLayer);
  out.weights = weights.take();
  return out;
}

}  // namespace

Family family_roberta() {
  return {"roberta", "RoBERTa, XLM-RoBERTa: multilingual-e5, bge-m3 (dense)", claims, plan};
}

}  // namespace akin::model
