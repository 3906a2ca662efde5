// config.json and tensors of every family, as their checkpoints spell them.
#include <cmath>

#include "base/error.h"
#include "tiny_folder.h"

namespace akin::parity {
namespace {

using Json = nlohmann::ordered_json;

Json bert_like_config(const TinyBuilder& b, const char* model_type, const char* architecture) {
  return {{"architectures", {architecture}},
          {"model_type", model_type},
          {"vocab_size", b.vocab},
          {"hidden_size", b.spec.hidden},
          {"num_hidden_layers", b.spec.layers},
          {"num_attention_heads", b.spec.heads},
          {"intermediate_size", b.spec.ffn},
          {"hidden_act", "gelu"},
          {"hidden_dropout_prob", 0.1},
          {"max_position_embeddings", b.spec.positions},
          {"type_vocab_size", 2},
          {"layer_norm_eps", 1e-12},
          {"pad_token_id", 0}};
}

// BERT and RoBERTa.
void bert_tensors(TinyBuilder& b, const std::string& prefix, int64_t positions, int64_t types,
                  bool old_names) {
  const int64_t d = b.spec.hidden;
  const char* gain = old_names ? "gamma" : "weight";
  const char* shift = old_names ? "beta" : "bias";
  b.add(prefix + "embeddings.word_embeddings.weight", {b.vocab, d}, 0.5);
  b.add(prefix + "embeddings.position_embeddings.weight", {positions, d}, 0.2);
  b.add(prefix + "embeddings.token_type_embeddings.weight", {types, d}, 0.1);
  b.norm(prefix + "embeddings.LayerNorm", d, true, gain, shift);
  for (int64_t i = 0; i < b.spec.layers; ++i) {
    const std::string layer = fmt::format("{}encoder.layer.{}.", prefix, i);
    b.linear(layer + "attention.self.query", d, d, true, 1.5);
    b.linear(layer + "attention.self.key", d, d, true, 1.5);
    b.linear(layer + "attention.self.value", d, d, true);
    b.linear(layer + "attention.output.dense", d, d, true);
    b.norm(layer + "attention.output.LayerNorm", d, true, gain, shift);
    b.linear(layer + "intermediate.dense", b.spec.ffn, d, true);
    b.linear(layer + "output.dense", d, b.spec.ffn, true);
    b.norm(layer + "output.LayerNorm", d, true, gain, shift);
  }
  b.linear(prefix + "pooler.dense", d, d, true);  // in every checkpoint, used by nobody here
}

void build_bert(TinyBuilder& b) {
  const bool old_names = b.spec.kind == "bert_old";
  b.config = bert_like_config(b, "bert", "BertModel");
  bert_tensors(b, old_names ? "bert." : "", b.spec.positions, 2, old_names);
}

void build_roberta(TinyBuilder& b) {
  const bool xlm = b.spec.kind == "xlm_roberta";
  b.config = xlm ? bert_like_config(b, "xlm-roberta", "XLMRobertaModel")
                 : bert_like_config(b, "roberta", "RobertaForMaskedLM");
  b.config["max_position_embeddings"] = b.spec.positions + 2;
  b.config["type_vocab_size"] = 1;
  b.config["layer_norm_eps"] = 1e-5;
  b.config["pad_token_id"] = 1;
  bert_tensors(b, xlm ? "" : "roberta.", b.spec.positions + 2, 1, false);
}

void build_distilbert(TinyBuilder& b) {
  const int64_t d = b.spec.hidden;
  b.config = {{"activation", "gelu"},
              {"architectures", {"DistilBertModel"}},
              {"dim", d},
              {"hidden_dim", b.spec.ffn},
              {"max_position_embeddings", b.spec.positions},
              {"model_type", "distilbert"},
              {"n_heads", b.spec.heads},
              {"n_layers", b.spec.layers},
              {"pad_token_id", 0},
              {"sinusoidal_pos_embds", false},
              {"vocab_size", b.vocab}};
  b.add("distilbert.embeddings.word_embeddings.weight", {b.vocab, d}, 0.5);
  b.add("distilbert.embeddings.position_embeddings.weight", {b.spec.positions, d}, 0.2);
  b.norm("distilbert.embeddings.LayerNorm", d);
  for (int64_t i = 0; i < b.spec.layers; ++i) {
    const std::string layer = fmt::format("distilbert.transformer.layer.{}.", i);
    b.linear(layer + "attention.q_lin", d, d, true, 1.5);
    b.linear(layer + "attention.k_lin", d, d, true, 1.5);
    b.linear(layer + "attention.v_lin", d, d, true);
    b.linear(layer + "attention.out_lin", d, d, true);
    b.norm(layer + "sa_layer_norm", d);
    b.linear(layer + "ffn.lin1", b.spec.ffn, d, true);
    b.linear(layer + "ffn.lin2", d, b.spec.ffn, true);
    b.norm(layer + "output_layer_norm", d);
  }
}

void build_mpnet(TinyBuilder& b) {
  const int64_t d = b.spec.hidden;
  b.config = bert_like_config(b, "mpnet", "MPNetForMaskedLM");
  b.config.erase("type_vocab_size");
  b.config["max_position_embeddings"] = b.spec.positions + 2;
  b.config["layer_norm_eps"] = 1e-5;
  b.config["pad_token_id"] = 1;
  b.config["relative_attention_num_buckets"] = 32;
  b.add("embeddings.word_embeddings.weight", {b.vocab, d}, 0.5);
  b.add("embeddings.position_embeddings.weight", {b.spec.positions + 2, d}, 0.2);
  b.norm("embeddings.LayerNorm", d);
  b.add("encoder.relative_attention_bias.weight", {32, b.spec.heads}, 0.7);
  for (int64_t i = 0; i < b.spec.layers; ++i) {
    const std::string layer = fmt::format("encoder.layer.{}.", i);
    b.linear(layer + "attention.attn.q", d, d, true, 1.5);
    b.linear(layer + "attention.attn.k", d, d, true, 1.5);
    b.linear(layer + "attention.attn.v", d, d, true);
    b.linear(layer + "attention.attn.o", d, d, true);
    b.norm(layer + "attention.LayerNorm", d);
    b.linear(layer + "intermediate.dense", b.spec.ffn, d, true);
    b.linear(layer + "output.dense", d, b.spec.ffn, true);
    b.norm(layer + "output.LayerNorm", d);
  }
}

void build_t5(TinyBuilder& b) {
  const bool gated = b.spec.kind == "t5_gated";
  const int64_t d = b.spec.hidden, kv = 10, inner = kv * b.spec.heads;  // inner != hidden
  b.config = {{"architectures", {"T5EncoderModel"}},
              {"d_ff", b.spec.ffn},
              {"d_kv", kv},
              {"d_model", d},
              {"feed_forward_proj", gated ? "gated-gelu" : "relu"},
              {"layer_norm_epsilon", 1e-6},
              {"model_type", "t5"},
              {"n_positions", 512},
              {"num_heads", b.spec.heads},
              {"num_layers", b.spec.layers},
              {"pad_token_id", 0},
              {"relative_attention_num_buckets", 32},
              {"vocab_size", b.vocab}};
  b.add("shared.weight", {b.vocab, d}, 1.0);
  for (int64_t i = 0; i < b.spec.layers; ++i) {
    const std::string layer = fmt::format("encoder.block.{}.layer.", i);
    b.norm(layer + "0.layer_norm", d, false);
    // Attention is not scaled, so the scale lies in the weights.
    b.linear(layer + "0.SelfAttention.q", inner, d, false, 0.6);
    b.linear(layer + "0.SelfAttention.k", inner, d, false);
    b.linear(layer + "0.SelfAttention.v", inner, d, false);
    b.linear(layer + "0.SelfAttention.o", d, inner, false);
    if (i == 0) {
      b.add(layer + "0.SelfAttention.relative_attention_bias.weight", {32, b.spec.heads}, 0.7);
    }
    b.norm(layer + "1.layer_norm", d, false);
    const std::string dense = layer + "1.DenseReluDense.";
    b.linear(dense + (gated ? "wi_0" : "wi"), b.spec.ffn, d, false);
    if (gated) b.linear(dense + "wi_1", b.spec.ffn, d, false);
    b.linear(dense + "wo", d, b.spec.ffn, false);
  }
  b.norm("encoder.final_layer_norm", d, false);
}

void build_jina_bert(TinyBuilder& b) {
  const int64_t d = b.spec.hidden, f = b.spec.ffn;
  const bool code = b.spec.kind == "jina_bert_code";
  b.config = bert_like_config(b, "bert", "JinaBertModel");
  b.config["position_embedding_type"] = "alibi";
  b.config["feed_forward_type"] = b.spec.kind == "jina_bert_reglu" ? "reglu" : "geglu";
  b.config["emb_pooler"] = "mean";
  b.add("embeddings.word_embeddings.weight", {b.vocab, d}, 0.5);
  b.add("embeddings.token_type_embeddings.weight", {2, d}, 0.1);
  b.norm("embeddings.LayerNorm", d);
  for (int64_t i = 0; i < b.spec.layers; ++i) {
    const std::string layer = fmt::format("encoder.layer.{}.", i);
    b.linear(layer + "attention.self.query", d, d, true, 1.5);
    b.linear(layer + "attention.self.key", d, d, true, 1.5);
    b.linear(layer + "attention.self.value", d, d, true);
    b.linear(layer + "attention.output.dense", d, d, true);
    b.norm(layer + "attention.output.LayerNorm", d);
    if (code) {
      b.norm(layer + "attention.self.layer_norm_q", d);
      b.norm(layer + "attention.self.layer_norm_k", d);
      b.norm(layer + "layer_norm_1", d);
      b.norm(layer + "layer_norm_2", d);
    } else {
      b.norm(layer + "mlp.layernorm", d);
    }
    b.linear(layer + (code ? "mlp.up_gated_layer" : "mlp.gated_layers"), 2 * f, d, false);
    b.linear(layer + (code ? "mlp.down_layer" : "mlp.wo"), d, f, true);
  }
}

// A weight with stacked adapters: torch's parametrization names.
void parametrized(TinyBuilder& b, const std::string& name, int64_t out, int64_t in, int64_t tasks,
                  int64_t rank, bool is_embedding, double deviation) {
  const std::string stem = name + ".parametrizations.weight.";
  b.add(stem + "original", {out, in}, deviation);
  if (is_embedding) {  // [out, in] is [rows, D] here
    b.add(stem + "0.lora_A", {tasks, out, rank}, 0.3);
    b.add(stem + "0.lora_B", {tasks, rank, in}, 0.3);
  } else {
    b.add(stem + "0.lora_A", {tasks, rank, in}, 1.0 / std::sqrt(static_cast<double>(in)));
    b.add(stem + "0.lora_B", {tasks, out, rank}, 0.4);
  }
}

void build_jina_v3(TinyBuilder& b) {
  const bool adapters = b.spec.kind == "jina_v3";
  const int64_t d = b.spec.hidden, f = b.spec.ffn, tasks = 3, rank = 2;
  b.config = bert_like_config(b, "xlm-roberta", adapters ? "XLMRobertaLoRA" : "XLMRobertaModel");
  b.config["type_vocab_size"] = 1;
  b.config["layer_norm_eps"] = 1e-5;
  b.config["pad_token_id"] = 1;
  b.config["position_embedding_type"] = "rotary";
  b.config["rotary_emb_base"] = 20000.0;
  b.config["matryoshka_dimensions"] = {8, 16, 32};
  if (adapters) {
    b.config["lora_adaptations"] = {"retrieval.query", "retrieval.passage", "text-matching"};
    b.config["lora_rank"] = rank;
    b.config["lora_alpha"] = 1;
    b.config["task_instructions"] = {
        {"retrieval.query", "ka ri: "}, {"retrieval.passage", "mo: "}, {"text-matching", ""}};
  }
  const std::string prefix = adapters ? "roberta." : "";
  const auto linear = [&](const std::string& name, int64_t out, int64_t in, double gain) {
    if (!adapters) return b.linear(name, out, in, true, gain);
    parametrized(b, name, out, in, tasks, rank, false, gain / std::sqrt(static_cast<double>(in)));
    b.add(name + ".bias", {out}, 0.1);
  };
  const auto table = [&](const std::string& name, int64_t rows, double deviation) {
    if (!adapters) return b.add(name + ".weight", {rows, d}, deviation);
    parametrized(b, name, rows, d, tasks, rank, true, deviation);
  };
  table(prefix + "embeddings.word_embeddings", b.vocab, 0.5);
  table(prefix + "embeddings.token_type_embeddings", 1, 0.1);
  b.norm(prefix + "emb_ln", d);
  for (int64_t i = 0; i < b.spec.layers; ++i) {
    const std::string layer = fmt::format("{}encoder.layers.{}.", prefix, i);
    linear(layer + "mixer.Wqkv", 3 * d, d, 1.3);
    linear(layer + "mixer.out_proj", d, d, 1.0);
    b.norm(layer + "norm1", d);
    linear(layer + "mlp.fc1", f, d, 1.0);
    linear(layer + "mlp.fc2", d, f, 1.0);
    b.norm(layer + "norm2", d);
  }
}

void build_modernbert(TinyBuilder& b) {
  const int64_t d = b.spec.hidden, f = b.spec.ffn;
  b.config = {{"architectures", {"ModernBertForMaskedLM"}},
              {"attention_bias", false},
              {"global_attn_every_n_layers", 3},
              {"global_rope_theta", 160000.0},
              {"hidden_activation", "gelu"},
              {"hidden_size", d},
              {"intermediate_size", f},
              {"local_attention", 24},
              {"local_rope_theta", 10000.0},
              {"max_position_embeddings", b.spec.positions},
              {"mlp_bias", false},
              {"model_type", "modernbert"},
              {"norm_bias", false},
              {"norm_eps", 1e-5},
              {"num_attention_heads", b.spec.heads},
              {"num_hidden_layers", b.spec.layers},
              {"pad_token_id", 0},
              {"vocab_size", b.vocab}};
  b.add("model.embeddings.tok_embeddings.weight", {b.vocab, d}, 0.5);
  b.norm("model.embeddings.norm", d, false);
  for (int64_t i = 0; i < b.spec.layers; ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i);
    if (i > 0) b.norm(layer + "attn_norm", d, false);
    b.linear(layer + "attn.Wqkv", 3 * d, d, false, 1.3);
    b.linear(layer + "attn.Wo", d, d, false);
    b.norm(layer + "mlp_norm", d, false);
    b.linear(layer + "mlp.Wi", 2 * f, d, false);
    b.linear(layer + "mlp.Wo", d, f, false);
  }
  b.norm("model.final_norm", d, false);
}

void build_nomic(TinyBuilder& b) {
  const bool partial = b.spec.kind == "nomic_partial";  // interleaved, a part of the head, biases
  const int64_t d = b.spec.hidden, f = b.spec.ffn;
  b.config = {{"activation_function", partial ? "gelu" : "swiglu"},
              {"architectures", {"NomicBertModel"}},
              {"layer_norm_epsilon", 1e-12},
              {"mlp_fc1_bias", partial},
              {"mlp_fc2_bias", partial},
              {"model_type", "nomic_bert"},
              {"n_embd", d},
              {"n_head", b.spec.heads},
              {"n_inner", f},
              {"n_layer", b.spec.layers},
              {"n_positions", b.spec.positions},
              {"prenorm", false},
              {"qkv_proj_bias", partial},
              {"rotary_emb_base", 1000},
              {"rotary_emb_fraction", partial ? 0.43 : 1.0},  // 0.43 * 14 rounds to 6
              {"rotary_emb_interleaved", partial},
              {"rotary_scaling_factor", nullptr},
              {"type_vocab_size", 2},
              {"vocab_size", b.vocab}};
  b.add("embeddings.word_embeddings.weight", {b.vocab, d}, 0.5);
  b.add("embeddings.token_type_embeddings.weight", {2, d}, 0.1);
  b.norm("emb_ln", d);
  for (int64_t i = 0; i < b.spec.layers; ++i) {
    const std::string layer = fmt::format("encoder.layers.{}.", i);
    b.linear(layer + "attn.Wqkv", 3 * d, d, partial, 1.3);
    b.linear(layer + "attn.out_proj", d, d, partial);
    b.norm(layer + "norm1", d);
    if (partial) {
      b.linear(layer + "mlp.fc1", f, d, true);
    } else {
      b.linear(layer + "mlp.fc11", f, d, false);
      b.linear(layer + "mlp.fc12", f, d, false);
    }
    b.linear(layer + "mlp.fc2", d, f, partial);
    b.norm(layer + "norm2", d);
  }
}

void build_static(TinyBuilder& b) {
  const int64_t d = b.spec.hidden;
  b.config = {{"model_type", "model2vec"},
              {"architectures", {"StaticModel"}},
              {"tokenizer_name", "tiny"},
              {"normalize", b.spec.normalize},
              {"seq_length", 1000000}};
  if (b.spec.kind == "static_module") {
    b.add("embedding.weight", {b.vocab, d}, 0.5);
  } else if (b.spec.kind == "model2vec") {
    b.add("embeddings", {b.vocab, d}, 0.5);
  } else {
    b.add("embeddings", {17, d}, 0.5);
    b.add("weights", {b.vocab}, 0.3, 1.0);
    std::vector<float> mapping;
    for (int64_t i = 0; i < b.vocab; ++i) mapping.push_back(static_cast<float>(b.rng.below(17)));
    b.tensors["mapping"] = {{b.vocab}, std::move(mapping)};
  }
}

struct Kind {
  const char* name;
  void (*build)(TinyBuilder& b);
  bool rotary;
};
constexpr Kind kKinds[] = {{"bert", build_bert, false},
                           {"bert_old", build_bert, false},
                           {"roberta", build_roberta, false},
                           {"xlm_roberta", build_roberta, false},
                           {"distilbert", build_distilbert, false},
                           {"mpnet", build_mpnet, false},
                           {"t5", build_t5, false},
                           {"t5_gated", build_t5, false},
                           {"jina_bert", build_jina_bert, false},
                           {"jina_bert_reglu", build_jina_bert, false},
                           {"jina_bert_code", build_jina_bert, false},
                           {"jina_v3", build_jina_v3, true},
                           {"jina_v3_plain", build_jina_v3, true},
                           {"modernbert", build_modernbert, true},
                           {"nomic", build_nomic, true},
                           {"nomic_partial", build_nomic, true},
                           {"model2vec", build_static, false},
                           {"model2vec_quantized", build_static, false},
                           {"static_module", build_static, false}};

const Kind& find_kind(const std::string& name) {
  for (const Kind& kind : kKinds) {
    if (name == kind.name) return kind;
  }
  throw_error(ErrorKind::internal, "tiny_folder", "no kind {}", quote(name));
}

}  // namespace

std::vector<std::string> tiny_kinds() {
  std::vector<std::string> out;
  for (const Kind& kind : kKinds) out.emplace_back(kind.name);
  return out;
}

bool is_static_kind(const std::string& kind) { return find_kind(kind).build == build_static; }
bool is_rotary_kind(const std::string& kind) { return find_kind(kind).rotary; }
void build_tiny_family(TinyBuilder& b) { find_kind(b.spec.kind).build(b); }

TinySpecials tiny_specials(const std::string& kind) {
  if (is_static_kind(kind)) return {{"[PAD]", "[UNK]"}, "[UNK]", "", ""};
  if (kind.starts_with("t5")) return {{"<pad>", "</s>", "<unk>"}, "<unk>", "", "</s>"};
  if (kind.find("roberta") != std::string::npos || kind == "mpnet" || kind.starts_with("jina_v3")) {
    return {{"<s>", "<pad>", "</s>", "<unk>", "<mask>"}, "<unk>", "<s>", "</s>"};
  }
  return {{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}, "[UNK]", "[CLS]", "[SEP]"};
}

}  // namespace akin::parity
