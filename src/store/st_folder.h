// A sentence-transformers folder's own files: which modules follow which, pooling, dense heads,
// prompts, limits. Reads old and new keys, writes the old ones. No weights, no tokenizer, no
// config.json of the transformer (except its Matryoshka keys). Follows sentence-transformers 2.2
// to 6.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/arch_spec.h"

namespace akin::store {

struct StModule {
  std::string type;  // last word of the class: Transformer, StaticEmbedding, Pooling, Dense,
                     // Normalize, Dropout
  std::string path;  // relative to the folder; empty: the folder itself
  int64_t idx = 0;
};

struct StDense {
  int64_t in = 0, out = 0;
  bool bias = true;
  std::string activation;  // class name as in the file: "torch.nn.modules.activation.Tanh"
  bool use_residual = false;
  std::string path;  // module folder, relative; its weights: linear.weight, linear.bias
};

struct StFolder {
  std::vector<StModule> modules;  // in order; empty: a folder without modules.json
  std::string transformer_path;   // relative folder of module 0: "" or "0_Transformer"
  std::optional<int64_t> max_seq_length;
  bool do_lower_case = false;
  std::map<std::string, std::string> prompts;
  std::string default_prompt_name;  // empty: none
  std::string similarity_fn_name;   // cosine | dot | euclidean | manhattan; empty: not said
  std::optional<int64_t> truncate_dim;
  std::optional<PoolingSpec> pooling;     // never guessed: empty where the folder does not say
  int64_t embedding_dim = 0;              // token vectors' length as Pooling states it; 0: not said
  std::vector<StDense> dense;             // in module order
  bool normalize = false;                 // a Normalize module
  std::optional<bool> config_normalize;   // model2vec: "normalize" of config_sentence_transformers
  std::vector<int64_t> matryoshka_dims;   // config.json; empty: not a Matryoshka model
  std::vector<std::string> ignored_keys;  // "1_Pooling/config.json: foo", read by nobody here
};

struct StReadOptions {
  // The caller has a pooling of its own (--pooling): a missing Pooling config is then no error.
  bool pooling_given = false;
};

// Errors: not_found (the folder, or a Pooling / Dense config that modules.json names); bad_format;
// unsupported naming a module class that is remote code or that akin does not run.
StFolder read_st_folder(const std::filesystem::path& folder, const StReadOptions& options = {});

// The usual layout: Transformer in the folder itself, N_Pooling, N_Dense..., N_Normalize. Fills
// `modules` and the paths of `dense` from the other fields.
void set_standard_modules(StFolder& st);

// Writes modules.json, sentence_bert_config.json, config_sentence_transformers.json and the module
// folders with their config.json, in the old keys (sentence-transformers 2.x and TEI read them).
// Weights are the caller's. Errors: io; unsupported for what the old keys cannot say (a pooling
// order other than theirs).
void write_st_folder(const std::filesystem::path& folder, const StFolder& st);

}  // namespace akin::store
