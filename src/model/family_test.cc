// Family files as data: config.json and a table of tensor names in, ArchSpec and rules out. No
// files, no weights.
#include "model/family.h"

#include <gtest/gtest.h>

#include <set>

#include "base/error.h"

namespace akin::model {
namespace {

struct Planned {
  FamilyPlan plan;
  std::string family;
  std::vector<std::string> unread;
  const WeightRule& rule(const std::string& name) const {
    for (const WeightRule& rule : plan.weights) {
      if (rule.name == name) return rule;
    }
    throw Error(ErrorKind::not_found, "no rule " + name);
  }
  bool has(const std::string& name) const {
    for (const WeightRule& rule : plan.weights) {
      if (rule.name == name) return true;
    }
    return false;
  }
};

TensorTable table(std::initializer_list<const char*> names) {
  TensorTable out;
  for (const char* name : names) out[name] = Tensor{DType::f32, {100, 12}, {}};
  return out;
}

Planned plan(const std::string& config, const TensorTable& tensors) {
  const JsonDocument document = JsonDocument::parse(config, "config.json");
  const JsonValue json(document);
  ConfigReader reader(json);
  const Family& family = family_for(json);
  Planned out;
  out.plan = family.plan(reader, tensors);
  out.family = family.name;
  out.unread = reader.unread();
  return out;
}

Error error_of(const std::string& config, const TensorTable& tensors) {
  try {
    plan(config, tensors);
  } catch (const Error& error) {
    return error;
  }
  return {ErrorKind::internal, "no error"};
}

std::string bert_config(const std::string& extra = "", const std::string& type = "bert") {
  return R"({"model_type": ")" + type +
         R"(", "vocab_size": 100, "hidden_size": 12, "num_hidden_layers": 2,
          "num_attention_heads": 3, "intermediate_size": 20, "max_position_embeddings": 64)" +
         (extra.empty() ? "" : ", " + extra) + "}";
}

const TensorTable kBert = table({"embeddings.word_embeddings.weight"});

TEST(Families, EachConfigIsClaimedOnce) {
  const char* configs[] = {R"({"model_type": "bert"})",
                           R"({"model_type": "bert", "position_embedding_type": "alibi"})",
                           R"({"model_type": "roberta"})",
                           R"({"model_type": "xlm-roberta"})",
                           R"({"model_type": "xlm-roberta", "position_embedding_type": "rotary"})",
                           R"({"model_type": "distilbert"})",
                           R"({"model_type": "mpnet"})",
                           R"({"model_type": "t5"})",
                           R"({"model_type": "mt5"})",
                           R"({"model_type": "modernbert"})",
                           R"({"model_type": "nomic_bert"})",
                           R"({"model_type": "model2vec"})"};
  std::set<std::string_view> seen;
  for (const char* config : configs) {
    const JsonDocument document = JsonDocument::parse(config, "config.json");
    size_t claims = 0;
    for (const Family& family : families()) {
      if (!family.claims(JsonValue(document))) continue;
      seen.insert(family.name);
      ++claims;
    }
    EXPECT_EQ(claims, 1U) << config;
  }
  EXPECT_EQ(seen.size(), families().size());
}

TEST(Families, AnUnknownTypeIsNamedWithTheKnownOnes) {
  for (const char* type : {"new", "umt5", "deberta-v2", "qwen2"}) {
    const Error error = error_of(bert_config("", type), kBert);
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    EXPECT_NE(error.message().find(type), std::string::npos);
    EXPECT_NE(error.message().find("jina_bert"), std::string::npos);
  }
  EXPECT_EQ(error_of("{}", kBert).kind(), ErrorKind::unsupported);
  EXPECT_EQ(error_of("[]", kBert).kind(), ErrorKind::bad_format);
}

TEST(Bert, NamesAndShapes) {
  const Planned p = plan(bert_config(), kBert);
  EXPECT_EQ(p.plan.arch.head_dim, 4);
  EXPECT_EQ(p.plan.arch.max_positions, 64);
  EXPECT_EQ(p.plan.arch.type_vocab, 2);
  EXPECT_EQ(p.rule("layer.1.attn.q.weight").tensor, "encoder.layer.1.attention.self.query.weight");
  EXPECT_EQ(p.rule("layer.1.ffn.down.weight").shape, (std::vector<int64_t>{12, 20}));
  EXPECT_EQ(p.rule("layer.0.attn.norm.bias").tensor,
            "encoder.layer.0.attention.output.LayerNorm.bias");
  EXPECT_FALSE(p.has("layer.0.ffn.gate.weight"));
  EXPECT_FALSE(p.has("layer.2.attn.q.weight"));
  EXPECT_TRUE(p.unread.empty());
}

TEST(Bert, PrefixAndOldNormNames) {
  const Planned p =
      plan(bert_config(),
           table({"bert.embeddings.word_embeddings.weight", "bert.embeddings.LayerNorm.gamma"}));
  EXPECT_EQ(p.rule("embed.norm.weight").tensor, "bert.embeddings.LayerNorm.gamma");
  EXPECT_EQ(p.rule("embed.norm.bias").tensor, "bert.embeddings.LayerNorm.beta");
  EXPECT_EQ(p.rule("layer.0.attn.norm.weight").tensor,
            "bert.encoder.layer.0.attention.output.LayerNorm.weight");
}

TEST(Bert, UnreadKeysAreNamed) {
  const Planned p = plan(bert_config(R"("surprise": 1, "hidden_dropout_prob": 0.1)"), kBert);
  EXPECT_EQ(p.unread, std::vector<std::string>{"surprise"});
}

TEST(Bert, LyingConfigs) {
  const char* bad[] = {R"("hidden_size": 100000000000)", R"("num_hidden_layers": 1000000)",
                       R"("num_hidden_layers": -1)",     R"("vocab_size": 0)",
                       R"("num_attention_heads": 5)",    R"("intermediate_size": "big")",
                       R"("layer_norm_eps": -1)",        R"("max_position_embeddings": 1e300)"};
  for (const char* member : bad) {
    // The last of two equal keys does not count in simdjson, so put the bad one first.
    std::string config = bert_config();
    config.insert(1, std::string(member) + ", ");
    EXPECT_EQ(error_of(config, kBert).kind(), ErrorKind::bad_format) << member;
  }
  EXPECT_EQ(error_of(R"({"model_type": "bert"})", kBert).kind(), ErrorKind::bad_format);
}

TEST(Bert, DefaultsMayBeSpelledOut) {
  const Planned p =
      plan(bert_config(R"("position_embedding_type": "absolute", "is_decoder": false)"), kBert);
  EXPECT_EQ(p.plan.arch.position, PositionKind::absolute);
}

TEST(Bert, WhatItCannotRunIsRefused) {
  for (const char* member : {R"("position_embedding_type": "relative_key")",
                             R"("is_decoder": true)", R"("hidden_act": "quick_gelu")"}) {
    EXPECT_EQ(error_of(bert_config(member), kBert).kind(), ErrorKind::unsupported) << member;
  }
}

TEST(Bert, ForeignTensorsAreNamed) {
  const Error error = error_of(bert_config(), table({"lm_head.weight"}));
  EXPECT_EQ(error.kind(), ErrorKind::not_found);
  EXPECT_NE(error.message().find("bert.embeddings.word_embeddings.weight"), std::string::npos);
  EXPECT_NE(error.message().find("lm_head.weight"), std::string::npos);
}

TEST(Roberta, PositionsStartAfterPadding) {
  const Planned p = plan(bert_config(R"("pad_token_id": 1)", "xlm-roberta"),
                         table({"roberta.embeddings.word_embeddings.weight"}));
  EXPECT_EQ(p.plan.arch.position_offset, 2);
  EXPECT_EQ(p.plan.arch.max_positions, 62);
  EXPECT_EQ(p.rule("embed.position").shape, (std::vector<int64_t>{64, 12}));
  EXPECT_EQ(error_of(bert_config(R"("pad_token_id": 70)", "roberta"), kBert).kind(),
            ErrorKind::bad_format);
}

TEST(DistilBert, Names) {
  const Planned p = plan(
      R"({"model_type": "distilbert", "vocab_size": 100, "dim": 12, "n_layers": 1, "n_heads": 3,
          "hidden_dim": 20, "max_position_embeddings": 64})",
      table({"distilbert.embeddings.word_embeddings.weight"}));
  EXPECT_EQ(p.plan.arch.type_vocab, 0);
  EXPECT_EQ(p.rule("layer.0.attn.out.bias").tensor,
            "distilbert.transformer.layer.0.attention.out_lin.bias");
  EXPECT_EQ(p.rule("layer.0.attn.norm.weight").tensor,
            "distilbert.transformer.layer.0.sa_layer_norm.weight");
}

TEST(Mpnet, HasBothPositions) {
  const Planned p = plan(bert_config("", "mpnet"), kBert);
  EXPECT_EQ(p.plan.arch.position, PositionKind::relative_bias);
  EXPECT_TRUE(p.plan.arch.absolute_too);
  EXPECT_EQ(p.plan.arch.position_offset, 2);
  EXPECT_EQ(p.rule("relative_bias.weight").tensor, "encoder.relative_attention_bias.weight");
  EXPECT_EQ(p.rule("relative_bias.weight").shape, (std::vector<int64_t>{32, 3}));
}

std::string t5_config(const std::string& feed_forward) {
  return R"({"model_type": "t5", "vocab_size": 100, "d_model": 12, "d_kv": 5, "num_layers": 2,
             "num_heads": 3, "d_ff": 20, "feed_forward_proj": ")" +
         feed_forward + "\"}";
}

TEST(T5, ReluAndGated) {
  const TensorTable tensors = table({"shared.weight", "encoder.final_layer_norm.weight"});
  const Planned relu = plan(t5_config("relu"), tensors);
  EXPECT_EQ(relu.rule("embed.token").tensor, "shared.weight");
  EXPECT_EQ(relu.rule("layer.1.attn.q.weight").shape, (std::vector<int64_t>{15, 12}));
  EXPECT_EQ(relu.rule("layer.1.ffn.up.weight").tensor,
            "encoder.block.1.layer.1.DenseReluDense.wi.weight");
  EXPECT_FALSE(relu.has("layer.0.attn.q.bias"));
  EXPECT_FALSE(relu.has("layer.0.attn.norm.bias"));
  EXPECT_EQ(relu.plan.arch.attention_scale, 1.0F);
  EXPECT_EQ(relu.plan.arch.max_positions, 0);
  const Planned gated =
      plan(t5_config("gated-gelu"),
           table({"encoder.embed_tokens.weight", "encoder.final_layer_norm.weight"}));
  EXPECT_EQ(gated.plan.arch.activation, Activation::gelu_tanh);
  EXPECT_EQ(gated.rule("embed.token").tensor, "encoder.embed_tokens.weight");
  EXPECT_EQ(gated.rule("layer.0.ffn.gate.weight").tensor,
            "encoder.block.0.layer.1.DenseReluDense.wi_0.weight");
}

TEST(JinaBert, TwoLayouts) {
  const std::string config =
      bert_config(R"("position_embedding_type": "alibi", "feed_forward_type": "geglu")");
  const Planned plain = plan(config, kBert);
  EXPECT_EQ(plain.plan.arch.position, PositionKind::alibi);
  EXPECT_FALSE(plain.has("embed.position"));
  EXPECT_EQ(plain.rule("layer.0.ffn.gate.weight").begin, 0);
  EXPECT_EQ(plain.rule("layer.0.ffn.up.weight").begin, 20);
  EXPECT_EQ(plain.rule("layer.0.ffn.up.weight").tensor, "encoder.layer.0.mlp.gated_layers.weight");
  const Planned code = plan(config, table({"embeddings.word_embeddings.weight",
                                           "encoder.layer.0.attention.self.layer_norm_q.weight"}));
  EXPECT_TRUE(code.plan.arch.qk_norm && code.plan.arch.attn_inner_norm);
  EXPECT_EQ(code.rule("layer.0.ffn.gate.weight").begin, 20);
  EXPECT_EQ(code.rule("layer.1.attn.norm.weight").tensor, "encoder.layer.1.layer_norm_1.weight");
  EXPECT_EQ(code.rule("layer.1.attn.inner_norm.weight").tensor,
            "encoder.layer.1.attention.output.LayerNorm.weight");
  EXPECT_EQ(error_of(bert_config(R"("position_embedding_type": "alibi")"), kBert).kind(),
            ErrorKind::unsupported);
}

TEST(JinaV3, AdaptersAreRowsOfStackedTensors) {
  const std::string config = bert_config(
      R"("position_embedding_type": "rotary", "rotary_emb_base": 20000.0, "lora_rank": 4,
         "lora_alpha": 2, "lora_adaptations": ["a", "b"],
         "task_instructions": {"a": "Query: ", "b": ""})",
      "xlm-roberta");
  const std::string mixer = "roberta.encoder.layers.1.mixer.Wqkv.parametrizations.weight.";
  const Planned p =
      plan(config, table({"roberta.embeddings.word_embeddings.parametrizations.weight.original",
                          (mixer + "original").c_str()}));
  EXPECT_EQ(p.plan.arch.rotary_base, 20000.0);
  EXPECT_EQ(p.plan.arch.adapters, (std::vector<std::string>{"a", "b"}));
  EXPECT_FLOAT_EQ(p.plan.arch.lora_scaling, 0.5F);
  EXPECT_EQ(p.plan.task_prompts.at("a"), "Query: ");
  const WeightRule& k = p.rule("layer.1.attn.k.weight");
  EXPECT_EQ(k.tensor, mixer + "original");
  EXPECT_EQ(k.begin, 12);
  EXPECT_EQ(k.rows, 12);
  const WeightRule& a = p.rule("adapter.1.layer.1.attn.k.lora_a");
  EXPECT_EQ(a.shape, (std::vector<int64_t>{2, 4, 12}));
  EXPECT_EQ(a.begin, 4);  // rows of the flattened [8, 12]
  const WeightRule& b = p.rule("adapter.1.layer.1.attn.k.lora_b");
  EXPECT_EQ(b.shape, (std::vector<int64_t>{2, 36, 4}));
  EXPECT_EQ(b.begin, 36 + 12);
  EXPECT_EQ(b.rows, 12);
  EXPECT_EQ(p.rule("adapter.0.embed.token.lora_a").shape, (std::vector<int64_t>{2, 100, 4}));
  EXPECT_EQ(p.rule("adapter.1.embed.token.lora_b").begin, 4);
  EXPECT_FALSE(p.has("adapter.0.layer.0.attn.k.lora_a"));  // not parametrized in this table
}

TEST(JinaV3, TaskNamesMustDiffer) {
  const std::string config = bert_config(
      R"("position_embedding_type": "rotary", "lora_adaptations": ["a", "a"])", "xlm-roberta");
  EXPECT_EQ(error_of(config, kBert).kind(), ErrorKind::bad_format);
  const std::string odd =
      R"({"model_type": "xlm-roberta", "position_embedding_type": "rotary", "vocab_size": 9,
          "hidden_size": 15, "num_hidden_layers": 1, "num_attention_heads": 3,
          "intermediate_size": 4, "max_position_embeddings": 9})";
  EXPECT_EQ(error_of(odd, kBert).kind(), ErrorKind::bad_format);
}

TEST(ModernBert, FlatAndNestedKeys) {
  const std::string start =
      R"({"model_type": "modernbert", "vocab_size": 100, "hidden_size": 12,
          "num_hidden_layers": 4, "num_attention_heads": 3, "intermediate_size": 20)";
  const TensorTable tensors = table({"model.embeddings.tok_embeddings.weight"});
  const Planned flat =
      plan(start + R"(, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0})", tensors);
  EXPECT_EQ(flat.plan.arch.global_every, 3);
  EXPECT_EQ(flat.plan.arch.local_window, 128);
  EXPECT_EQ(flat.plan.arch.rotary_base_local, 10000.0);
  EXPECT_FALSE(flat.has("layer.0.attn.norm.weight"));
  EXPECT_TRUE(flat.has("layer.1.attn.norm.weight"));
  EXPECT_FALSE(flat.has("layer.1.attn.norm.bias"));
  EXPECT_EQ(flat.rule("layer.1.ffn.gate.weight").begin, 0);
  EXPECT_EQ(flat.rule("layer.1.attn.v.weight").begin, 24);
  const Planned nested =
      plan(start + R"(, "rope_parameters": {"full_attention": {"rope_theta": 5000.0},
           "sliding_attention": {"rope_theta": 70.0}}, "layer_types": ["full_attention",
           "sliding_attention", "sliding_attention", "full_attention"]})",
           tensors);
  EXPECT_EQ(nested.plan.arch.rotary_base, 5000.0);
  EXPECT_EQ(nested.plan.arch.rotary_base_local, 70.0);
  EXPECT_EQ(error_of(start + R"(, "layer_types": ["sliding_attention"]})", tensors).kind(),
            ErrorKind::unsupported);
}

TEST(NomicBert, GateIsTheSecondTensor) {
  const std::string start =
      R"({"model_type": "nomic_bert", "vocab_size": 100, "n_embd": 12, "n_layer": 1, "n_head": 3,
          "n_inner": 20, "activation_function": "swiglu", "qkv_proj_bias": false,
          "mlp_fc1_bias": false, "mlp_fc2_bias": false, "rotary_emb_fraction": 1.0)";
  const Planned p =
      plan(start + R"(, "rotary_emb_base": 1000, "rotary_scaling_factor": null})", kBert);
  EXPECT_EQ(p.plan.arch.activation, Activation::silu);
  EXPECT_EQ(p.rule("layer.0.ffn.gate.weight").tensor, "encoder.layers.0.mlp.fc12.weight");
  EXPECT_EQ(p.rule("layer.0.ffn.up.weight").tensor, "encoder.layers.0.mlp.fc11.weight");
  EXPECT_FALSE(p.has("layer.0.attn.out.bias"));
  EXPECT_EQ(p.plan.arch.rotary_dim, 4);
  for (const char* member : {R"("rotary_scaling_factor": 2)", R"("prenorm": true)",
                             R"("num_experts": 8, "moe_every_n_layers": 2)"}) {
    EXPECT_EQ(error_of(start + ", " + member + "}", kBert).kind(), ErrorKind::unsupported)
        << member;
  }
}

TEST(StaticEmbedding, ThreeLayouts) {
  TensorTable tensors;
  tensors["embeddings"] = {DType::f32, {7, 4}, {}};
  tensors["mapping"] = {DType::i32, {50}, {}};
  tensors["weights"] = {DType::f64, {50}, {}};
  const Planned p = plan(R"({"model_type": "model2vec", "normalize": true})", tensors);
  EXPECT_EQ(p.plan.arch.hidden, 4);
  EXPECT_EQ(p.plan.arch.vocab_size, 50);
  EXPECT_TRUE(p.plan.static_spec.has_mapping && p.plan.static_spec.has_weights);
  EXPECT_TRUE(p.plan.static_spec.normalize && p.plan.static_spec.skip_unk);
  TensorTable module;
  module["embedding.weight"] = {DType::f32, {7, 4}, {}};
  const Planned st = plan(R"({"model_type": "static"})", module);
  EXPECT_EQ(st.plan.arch.vocab_size, 7);
  EXPECT_FALSE(st.plan.static_spec.skip_unk || st.plan.static_spec.normalize);
  module["embedding.weight"].shape = {7};
  EXPECT_EQ(error_of(R"({"model_type": "static"})", module).kind(), ErrorKind::bad_format);
  EXPECT_EQ(error_of(R"({"model_type": "static"})", kBert).kind(), ErrorKind::not_found);
}

}  // namespace
}  // namespace akin::model
