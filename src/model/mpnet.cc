// MPNet (arXiv:2004.09297): BERT with a learned position table from row pad_token_id + 1 and, on
// top, one bucketed relative bias that all layers share.
#include "base/error.h"
#include "model/family.h"

namespace akin::model {
namespace {

constexpr LayerNames kLayer = {.q = "attention.attn.q",
                               .k = "attention.attn.k",
                               .v = "attention.attn.v",
                               .out = "attention.attn.o",
                               .attn_norm = "attention.LayerNorm",
                               .up = "intermediate.dense",
                               .down = "output.dense",
                               .ffn_norm = "output.LayerNorm"};

bool claims(const JsonValue& config) { return is_model_type(config, {"mpnet"}); }

FamilyPlan plan(ConfigReader& config, const TensorTable& tensors) {
  FamilyPlan out;
  ArchSpec& arch = out.arch;
  arch.family = "mpnet";
  arch.vocab_size = config.count("vocab_size", 1, kMaxVocab);
  arch.hidden = config.count("hidden_size", 1, kMaxHidden);
  arch.layers = config.count("num_hidden_layers", 1, kMaxLayers);
  set_heads(arch, config.count("num_attention_heads", 1, arch.hidden), config.where());
  arch.ffn_hidden = config.count("intermediate_size", 1, kMaxFfn);
  const int64_t rows = config.count("max_position_embeddings", 1, kMaxPositions);
  arch.pad_token_id = config.count("pad_token_id", 0, kMaxVocab, 1);
  arch.position_offset = arch.pad_token_id + 1;
  arch.max_positions = rows - arch.position_offset;
  if (arch.max_positions < 1) {
    throw_error(ErrorKind::bad_format, config.where(),
                "max_position_embeddings is {}, expected more than pad_token_id + 1 = {}", rows,
                arch.position_offset);
  }
  arch.position = PositionKind::relative_bias;
  arch.absolute_too = true;
  arch.relative_buckets = config.count("relative_attention_num_buckets", 4, 4096, 32);
  arch.relative_max_distance = 128;  // fixed in the reference
  arch.norm_eps = static_cast<float>(config.number("layer_norm_eps", 0, 1, 1e-12));
  arch.activation = activation_from_name(config.text("hidden_act", "gelu"), config.where());

  WeightPlan weights(arch, tensors);
  weights.choose_prefix({"", "mpnet."}, "embeddings.word_embeddings", config.where());
  weights.embedding("embed.token", "embeddings.word_embeddings", arch.vocab_size, arch.hidden);
  weights.embedding("embed.position", "embeddings.position_embeddings", rows, arch.hidden);
  weights.norm("embed.norm", "embeddings.LayerNorm", arch.hidden);
  weights.tensor("relative_bias.weight", "encoder.relative_attention_bias.weight",
                 {arch.relative_buckets, arch.heads});
  for (int64_t i = 0; i < arch.layers; ++i) {
    weights.layer(i, layer_prefix("encoder.layer.", i), kLayer);
  }
  out.weights = weights.take();
  return out;
}

}  // namespace

Family family_mpnet() {
  return {"mpnet", "all-mpnet-base-v2, multi-qa-mpnet, paraphrase-multilingual-mpnet", claims,
          plan};
}

}  // namespace akin::model
