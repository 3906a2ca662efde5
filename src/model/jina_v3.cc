// jina-embeddings-v3 (arXiv:2409.10173): XLM-RoBERTa with rotary positions in the layout of the
// flash-attention implementation, and one LoRA adapter per task on every linear and both embedding
// tables, kept unmerged. Also the plain rotary backbone without adapters.
// The rotary base is the config's: the model was trained with 10,000 and is run with 20,000.
#include <set>

#include "base/error.h"
#include "model/family.h"

namespace akin::model {
namespace {

constexpr LayerNames kLayer = {.qkv = "mixer.Wqkv",
                               .out = "mixer.out_proj",
                               .attn_norm = "norm1",
                               .up = "mlp.fc1",
                               .down = "mlp.fc2",
                               .ffn_norm = "norm2"};
constexpr size_t kMaxAdapters = 64;

bool claims(const JsonValue& config) {
  return is_model_type(config, {"xlm-roberta"}) &&
         config.get("position_embedding_type", "absolute") == "rotary";
}

void read_adapters(ConfigReader& config, FamilyPlan& out) {
  ArchSpec& arch = out.arch;
  config.ignore({"lora_dropout_p", "lora_main_params_trainable", "load_trained_adapters",
                 "emb_pooler", "use_reentrant", "lora_prompts"});
  const auto names = config.find("lora_adaptations");
  if (names) {
    std::set<std::string_view> seen;
    for (const JsonValue& name : names->items()) {
      if (name.as_string().empty() || !seen.insert(name.as_string()).second) {
        name.fail("a task name that is not empty and not in the list twice");
      }
      arch.adapters.emplace_back(name.as_string());
    }
    if (arch.adapters.size() > kMaxAdapters) names->fail("at most 64 tasks");
  }
  if (!arch.adapters.empty()) {
    arch.lora_rank = config.count("lora_rank", 1, 4096, 4);
    const double alpha = config.number("lora_alpha", 0, 1e6, 1);
    arch.lora_scaling = static_cast<float>(alpha / static_cast<double>(arch.lora_rank));
  }
  if (const auto instructions = config.find("task_instructions")) {
    for (const auto& [task, text] : instructions->fields()) {
      out.task_prompts.emplace(task, text.as_string());
    }
  }
}

FamilyPlan plan(ConfigReader& config, const TensorTable& tensors) {
  FamilyPlan out;
  ArchSpec& arch = out.arch;
  arch.family = "jina_v3";
  config.ignore({"position_embedding_type"});
  read_bert_sizes(config, arch);
  if (arch.head_dim % 2 != 0) {
    throw_error(ErrorKind::bad_format, config.where(),
                "rotary positions need an even head size, got {}", arch.head_dim);
  }
  arch.max_positions = config.count("max_position_embeddings", 1, kMaxPositions);
  arch.type_vocab = config.count("type_vocab_size", 0, kMaxVocab, 1);
  arch.pad_token_id = config.count("pad_token_id", 0, kMaxVocab, 1);
  arch.norm_eps = static_cast<float>(config.number("layer_norm_eps", 0, 1, 1e-5));
  arch.position = PositionKind::rotary;
  arch.rotary_base = config.number("rotary_emb_base", 1, 1e12, 10000.0);
  arch.activation = activation_from_name(config.text("hidden_act", "gelu"), config.where());
  read_adapters(config, out);

  WeightPlan weights(arch, tensors);
  weights.choose_prefix({"roberta.", ""}, "embeddings.word_embeddings", config.where());
  weights.embeddings(0, "emb_ln");
  weights.layers("encoder.layers.", kLayer);
  out.weights = weights.take();
  return out;
}

}  // namespace

Family family_jina_v3() {
  return {"jina_v3", "jina-embeddings-v3 (XLM-RoBERTa, rotary, one adapter per task)", claims,
          plan};
}

}  // namespace akin::model
