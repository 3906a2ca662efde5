// MPNet (arXiv:2004.09297): BERT with a learned position table from row pad_token_id + 1 and, on
// top, one bucketed relative bias that all layers share.
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
  read_bert_sizes(config, arch);
  const int64_t rows = read_positions_after_padding(config, arch);
  arch.position = PositionKind::relative_bias;
  arch.absolute_too = true;
  arch.relative_buckets = config.count("relative_attention_num_buckets", 4, 4096, 32);
  arch.relative_max_distance = 128;  // fixed in the reference
  arch.norm_eps = static_cast<float>(config.number("layer_norm_eps", 0, 1, 1e-12));
  arch.activation = activation_from_name(config.text("hidden_act", "gelu"), config.where());

  WeightPlan weights(arch, tensors);
  weights.choose_prefix({"", "mpnet."}, "embeddings.word_embeddings", config.where());
  weights.embeddings(rows, "embeddings.LayerNorm");
  weights.tensor("relative_bias.weight", "encoder.relative_attention_bias.weight",
                 {arch.relative_buckets, arch.heads});
  weights.layers("encoder.layer.", kLayer);
  out.weights = weights.take();
  return out;
}

}  // namespace

Family family_mpnet() {
  return {"mpnet", "all-mpnet-base-v2, multi-qa-mpnet, paraphrase-multilingual-mpnet", claims,
          plan};
}

}  // namespace akin::model
