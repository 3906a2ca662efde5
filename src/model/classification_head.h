// The part of a ...ForSequenceClassification folder that is not the encoder: the head over the
// first token (or the mean), its labels, and how two texts are laid out for it. The encoder itself
// is load_model's. Runs nothing.
//
// Heads (Hugging Face transformers' modeling files):
//   bert         tanh(pooler x) -> classifier
//   roberta, mpnet   tanh(classifier.dense x) -> classifier.out_proj   (XLM-R too: bge-reranker)
//   distilbert   relu(pre_classifier x) -> classifier
//   modernbert   norm(act(head.dense x)) -> classifier, x the first token or the mean
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/arch_spec.h"
#include "model/model.h"

namespace akin::model {

// Shapes: D hidden, C classes.
struct ClassificationHead {
  PoolingMode pooling = PoolingMode::cls;
  std::vector<float> dense, dense_bias;  // [D, D] row-major as torch stores it, [D] or empty
  Activation activation = Activation::tanh;
  std::vector<float> norm_gamma, norm_beta;  // layer norm after it; empty: none
  float norm_eps = 1e-5F;
  std::vector<float> out, out_bias;  // [C, D], [C]
  std::vector<std::string> labels;   // [C], of config.json's id2label
};

// config.json names a ...ForSequenceClassification; false also where there is no config.json.
bool is_classifier_folder(const std::filesystem::path& folder);

// load_model of such a folder, where nothing says how to pool: a head reads the first token.
Model load_classifier_body(const std::filesystem::path& folder);

// Errors: unsupported, a folder without such a head (naming its architecture) or of a family whose
// head is not known; not_found, bad_format for its tensors.
ClassificationHead load_classification_head(const std::filesystem::path& folder,
                                            const Model& model);

// Counts the head in the model's parameters and fingerprint, which know the encoder alone.
void add_head(const ClassificationHead& head, Model& model);

// A pair of texts between special tokens: before A between B after, with token types.
struct PairLayout {
  struct Run {
    std::vector<int32_t> ids;
    std::vector<uint8_t> types;
  };
  Run before, between, after;
  uint8_t first_type = 0, second_type = 0;
  size_t special() const { return before.ids.size() + between.ids.size() + after.ids.size(); }
};

// From the pair template of tokenizer.json, else by the family's custom over the tokenizer's own
// special tokens. Types beyond the model's table are 0.
PairLayout read_pair_layout(const Model& model);  // classification_head_pair.cc

}  // namespace akin::model
