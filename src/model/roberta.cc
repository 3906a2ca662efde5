// RoBERTa (arXiv:1907.11692), XLM-RoBERTa (arXiv:1911.02116) and CamemBERT: BERT whose first
// position is row pad_token_id + 1 of the table. multilingual-e5, bge-m3 (dense vector).
#include "base/error.h"
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
  arch.vocab_size = config.count("vocab_size", 1, kMaxVocab);
  arch.hidden = config.count("hidden_size", 1, kMaxHidden);
  arch.layers = config.count("num_hidden_layers", 1, kMaxLayers);
  set_heads(arch, config.count("num_attention_heads", 1, arch.hidden), config.where());
  arch.ffn_hidden = config.count("intermediate_size", 1, kMaxFfn);
  const int64_t rows = config.count("max_position_embeddings", 1, kMaxPositions);
  arch.type_vocab = config.count("type_vocab_size", 0, kMaxVocab, 1);
  arch.pad_token_id = config.count("pad_token_id", 0, kMaxVocab, 1);
  arch.position_offset = arch.pad_token_id + 1;
  arch.max_positions = rows - arch.position_offset;
  if (arch.max_positions < 1) {
    throw_error(ErrorKind::bad_format, config.where(),
                "max_position_embeddings is {}, expected more than pad_token_id + 1 = {}", rows,
                arch.position_offset);
  }
  arch.norm_eps = static_cast<float>(config.number("layer_norm_eps", 0, 1, 1e-12));
  arch.activation = activation_from_name(config.text("hidden_act", "gelu"), config.where());

  WeightPlan weights(arch, tensors);
  weights.choose_prefix({"", "roberta."}, "embeddings.word_embeddings", config.where());
  weights.embedding("embed.token", "embeddings.word_embeddings", arch.vocab_size, arch.hidden);
  weights.embedding("embed.position", "embeddings.position_embeddings", rows, arch.hidden);
  if (arch.type_vocab > 0) {
    weights.embedding("embed.type", "embeddings.token_type_embeddings", arch.type_vocab,
                      arch.hidden);
  }
  weights.norm("embed.norm", "embeddings.LayerNorm", arch.hidden);
  for (int64_t i = 0; i < arch.layers; ++i) {
    weights.layer(i, layer_prefix("encoder.layer.", i), kLayer);
  }
  out.weights = weights.take();
  return out;
}

}  // namespace

Family family_roberta() {
  return {"roberta", "RoBERTa, XLM-RoBERTa: multilingual-e5, bge-m3 (dense)", claims, plan};
}

}  // namespace akin::model
