#include "model/config_reader.h"

#include <cmath>

#include "base/error.h"

namespace akin::model {
namespace {

// Keys of transformers' base configuration and of training that no forward pass here depends on.
constexpr std::string_view kHarmless[] = {"_name_or_path",
                                          "_commit_hash",
                                          "_attn_implementation",
                                          "architectures",
                                          "attention_dropout",
                                          "attention_probs_dropout_prob",
                                          "auto_map",
                                          "bos_token_id",
                                          "classifier_dropout",
                                          "cls_token_id",
                                          "decoder_start_token_id",
                                          "directionality",
                                          "dropout",
                                          "dropout_rate",
                                          "dtype",
                                          "eos_token_id",
                                          "finetuning_task",
                                          "gradient_checkpointing",
                                          "hidden_dropout_prob",
                                          "id2label",
                                          "initializer_factor",
                                          "initializer_range",
                                          "is_encoder_decoder",
                                          "is_matryoshka",
                                          "label2id",
                                          "matryoshka_dimensions",
                                          "model_type",
                                          "num_labels",
                                          "output_attentions",
                                          "output_hidden_states",
                                          "output_past",
                                          "pooler_fc_size",
                                          "pooler_num_attention_heads",
                                          "pooler_num_fc_layers",
                                          "pooler_size_per_head",
                                          "pooler_type",
                                          "problem_type",
                                          "qa_dropout",
                                          "seq_classif_dropout",
                                          "sep_token_id",
                                          "task_specific_params",
                                          "tie_word_embeddings",
                                          "tokenizer_class",
                                          "torch_dtype",
                                          "transformers_version",
                                          "truncate_dim",
                                          "use_cache",
                                          "use_flash_attn"};

}  // namespace

ConfigReader::ConfigReader(const JsonValue& root) : root_(root) {
  if (!root.is_object()) root.fail("an object");
  for (const std::string_view key : kHarmless) read_.emplace(key);
}

std::optional<JsonValue> ConfigReader::find(std::string_view key) {
  read_.emplace(key);
  return root_.find(key);
}

int64_t ConfigReader::count(std::string_view key, int64_t low, int64_t high) {
  const auto value = find(key);
  if (!value) {
    throw_error(ErrorKind::bad_format, where(),
                "{} is missing, expected a whole number in [{}, {}]; download the file again",
                quote(key), low, high);
  }
  const int64_t got = value->as_int();
  if (got < low || got > high) {
    throw_error(ErrorKind::bad_format, where(), "{} is {}, expected a whole number in [{}, {}]",
                quote(key), got, low, high);
  }
  return got;
}

int64_t ConfigReader::count(std::string_view key, int64_t low, int64_t high, int64_t fallback) {
  return find(key) ? count(key, low, high) : fallback;
}

bool ConfigReader::flag(std::string_view key, bool fallback) {
  const auto value = find(key);
  return value ? value->as_bool() : fallback;
}

double ConfigReader::number(std::string_view key, double low, double high, double fallback) {
  const auto value = find(key);
  if (!value) return fallback;
  const double got = value->as_double();
  if (!(got >= low && got <= high)) {
    throw_error(ErrorKind::bad_format, where(), "{} is {}, expected a number in [{}, {}]",
                quote(key), got, low, high);
  }
  return got;
}

std::string ConfigReader::text(std::string_view key, std::string_view fallback) {
  const auto value = find(key);
  return std::string(value ? value->as_string() : fallback);
}

void ConfigReader::ignore(std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) read_.emplace(key);
}

void ConfigReader::require(std::string_view key, std::string_view only) {
  const auto value = find(key);
  if (!value || (value->is_string() && value->as_string() == only)) return;
  throw_error(ErrorKind::unsupported, where(), "{} is {}; akin runs {} only", quote(key),
              value->is_string() ? quote(value->as_string()) : "not a string", quote(only));
}

void ConfigReader::require(std::string_view key, bool only) {
  const auto value = find(key);
  if (!value || value->as_bool() == only) return;
  throw_error(ErrorKind::unsupported, where(), "{} is {}; akin runs {} only", quote(key), !only,
              only);
}

std::vector<std::string> ConfigReader::unread() const {
  std::vector<std::string> out;
  for (const auto& [key, value] : root_.fields()) {
    if (!read_.contains(key)) out.emplace_back(key);
  }
  return out;
}

}  // namespace akin::model
