// DistilBERT (arXiv:1910.01108): BERT without token types, with its own names. Its sinusoidal
// positions, where used, are stored in the table like learned ones.
#include "model/family.h"

namespace akin::model {
namespace {

constexpr LayerNames kLayer = {.q = "attention.q_lin",
                               .k = "attention.k_lin",
                               .v = "attention.v_lin",
                               .out = "attention.out_lin",
                               .attn_norm = "sa_layer_norm",
                               .up = "ffn.lin1",
                               .down = "ffn.lin2",
                               .ffn_norm = "output_layer_norm"};

bool claims(const JsonValue& config) { return is_model_type(config, {"distilbert"}); }

FamilyPlan plan(ConfigReader& config, const TensorTable& tensors) {
  FamilyPlan out;
  ArchSpec& arch = out.arch;
  arch.family = "distilbert";
  config.ignore({"sinusoidal_pos_embds", "tie_weights_"});
  arch.vocab_size = config.count("vocab_size", 1, kMaxVocab);
  arch.hidden = config.count("dim", 1, kMaxHidden);
  arch.layers = config.count("n_layers", 1, kMaxLayers);
  set_heads(arch, config.count("n_heads", 1, arch.hidden), config.where());
  arch.ffn_hidden = config.count("hidden_dim", 1, kMaxFfn);
  arch.max_positions = config.count("max_position_embeddings", 1, kMaxPositions);
  arch.pad_token_id = config.count("pad_token_id", 0, kMaxVocab, 0);
  arch.norm_eps = 1e-12F;  // fixed in the reference
  arch.activation = activation_from_name(config.text("activation", "gelu"), config.where());

  WeightPlan weights(arch, tensors);
  weights.choose_prefix({"", "distilbert."}, "embeddings.word_embeddings", config.where());
  weights.embeddings(arch.max_positions, "embeddings.LayerNorm");
  weights.layers("transformer.layer.", kLayer);
  out.weights = weights.take();
  return out;
}

}  // namespace

Family family_distilbert() {
  return {"distilbert", "distiluse, multi-qa-distilbert, msmarco-distilbert", claims, plan};
}

}  // namespace akin::model
