// A BERT folder of a few kilobytes with random weights, for what a static model cannot show:
// limits, prompts, token vectors, int8. Its vectors mean nothing.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/rng.h"
#include "run_program.h"
#include "store/safetensors.h"

namespace akin::cli_test {

inline constexpr size_t kTinyHidden = 16;

inline void write_tiny_words(const TemporaryFolder& folder, const std::string& name) {
  std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n";
  for (char c = 'a'; c <= 'z'; ++c) vocabulary += std::string(1, c) + "\n##" + c + "\n";
  folder.write(name + "/vocab.txt", vocabulary);
  folder.write(name + "/tokenizer_config.json",
               R"({"tokenizer_class": "BertTokenizer", "do_lower_case": true})");
  folder.write(name + "/config.json",
               R"({"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 16,
 "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "hidden_act": "gelu",
 "max_position_embeddings": 32, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0, "vocab_size": 56})");
  folder.write(
      name + "/modules.json",
      R"([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
 {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}])");
  folder.write(
      name + "/1_Pooling/config.json",
      R"({"word_embedding_dimension": 16, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true})");
  folder.write(name + "/sentence_bert_config.json",
               R"({"max_seq_length": 32, "do_lower_case": false})");
  folder.write(name + "/config_sentence_transformers.json",
               R"({"prompts": {"query": "ask ", "document": ""}})");
}

// `more`: tensors beside the encoder's.
inline std::string write_tiny_bert(const TemporaryFolder& folder, const std::string& name,
                                   const std::map<std::string, std::vector<int64_t>>& more = {}) {
  write_tiny_words(folder, name);
  std::map<std::string, std::vector<int64_t>> shapes = {
      {"embeddings.word_embeddings.weight", {56, 16}},
      {"embeddings.position_embeddings.weight", {32, 16}},
      {"embeddings.token_type_embeddings.weight", {2, 16}},
      {"embeddings.LayerNorm.weight", {16}},
      {"embeddings.LayerNorm.bias", {16}}};
  const std::string layer = "encoder.layer.0.";
  const auto linear = [&](const std::string& at, int64_t out, int64_t in) {
    shapes[layer + at + ".weight"] = {out, in};
    shapes[layer + at + ".bias"] = {out};
  };
  for (const char* part : {"query", "key", "value"})
    linear(std::string("attention.self.") + part, 16, 16);
  linear("attention.output.dense", 16, 16);
  linear("intermediate.dense", 32, 16);
  linear("output.dense", 16, 32);
  for (const char* norm : {"attention.output.LayerNorm.", "output.LayerNorm."}) {
    shapes[layer + norm + "weight"] = {16};
    shapes[layer + norm + "bias"] = {16};
  }
  shapes.insert(more.begin(), more.end());
  Rng rng(1);
  std::map<std::string, std::vector<float>> values;
  std::map<std::string, Tensor, std::less<>> tensors;
  for (const auto& [tensor, shape] : shapes) {
    int64_t count = 1;
    for (const int64_t n : shape) count *= n;
    auto& numbers = values[tensor];
    for (int64_t i = 0; i < count; ++i) numbers.push_back(static_cast<float>(0.3 * rng.normal()));
    tensors[tensor] = {DType::f32, shape, std::as_bytes(std::span(numbers))};
  }
  store::write_safetensors(folder.path() / name / "model.safetensors", tensors);
  return folder.file(name);
}

// The same with a head of so many classes; of one: a reranker.
inline std::string write_tiny_classifier(const TemporaryFolder& folder, const std::string& name,
                                         int64_t classes) {
  write_tiny_bert(folder, name,
                  {{"pooler.dense.weight", {16, 16}},
                   {"pooler.dense.bias", {16}},
                   {"classifier.weight", {classes, 16}},
                   {"classifier.bias", {classes}}});
  std::filesystem::remove(folder.path() / name / "modules.json");
  folder.write(name + "/config.json",
               R"({"model_type": "bert", "architectures": ["BertForSequenceClassification"],
 "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
 "hidden_act": "gelu", "max_position_embeddings": 32, "type_vocab_size": 2,
 "layer_norm_eps": 1e-12, "pad_token_id": 0, "vocab_size": 56})");
  return folder.file(name);
}

}  // namespace akin::cli_test
