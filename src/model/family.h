// What one family file gives: from config.json and the checkpoint's tensor names to an ArchSpec and
// a list of rules "this canonical weight is those rows of that tensor, and has that shape". Pure
// data: no file is opened, no byte of a weight is read. Internal to model/.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/arch_spec.h"
#include "core/tensor.h"
#include "model/config_reader.h"
#include "model/model.h"

namespace akin::model {

using TensorTable = std::map<std::string, Tensor, std::less<>>;

// One canonical weight: rows [begin, begin + rows) of `tensor`, whose whole shape must be `shape`.
struct WeightRule {
  std::string name;    // canonical, see model.h
  std::string tensor;  // in the checkpoint
  std::vector<int64_t> shape = {};
  int64_t begin = 0;
  int64_t rows = -1;     // -1: the whole tensor
  bool flatten = false;  // [n, a, b] seen as [n * a, b]; begin and rows count those rows
};

// The names of one layer's tensors, after the layer's prefix; empty: this family has none.
struct LayerNames {
  std::string_view q = {}, k = {}, v = {};
  std::string_view qkv = {};  // instead of q, k, v: [3 H d, D], q rows first, then k, then v
  std::string_view q_norm = {}, k_norm = {};
  std::string_view out = {}, attn_inner_norm = {}, attn_norm = {};
  std::string_view up = {}, gate = {}, down = {};
  std::string_view gate_up = {};  // instead of up and gate: [2 F, D], gate rows first
  std::string_view up_gate = {};  // the same, up rows first
  std::string_view ffn_norm = {};
};

// Collects rules. Knows the two spellings of a norm (weight/bias, gamma/beta) and of a weight with
// LoRA adapters (parametrizations.weight.original + .0.lora_A/.0.lora_B).
class WeightPlan {
 public:
  WeightPlan(const ArchSpec& arch, const TensorTable& tensors) : arch_(arch), tensors_(tensors) {}

  // The first of `prefixes` under which `probe` is in the checkpoint; later names get it in front.
  // Errors: not_found naming what was tried and what is there.
  void choose_prefix(std::initializer_list<std::string_view> prefixes, std::string_view probe,
                     std::string_view where);
  bool has(std::string_view tensor) const;  // under the chosen prefix

  void tensor(std::string name, std::string_view tensor, std::vector<int64_t> shape);
  void norm(const std::string& name, std::string_view tensor, int64_t dim);
  // Rows [begin, begin + out) of a linear with `total_out` rows; total_out 0 = out.
  void linear(const std::string& name, std::string_view tensor, int64_t out, int64_t in, bool bias,
              int64_t begin = 0, int64_t total_out = 0);
  void embedding(const std::string& name, std::string_view tensor, int64_t rows, int64_t dim);
  // BERT's table of words, positions (of so many rows; 0: none) and, where arch has them, token
  // types, under BERT's names, and the norm after them.
  void embeddings(int64_t position_rows, std::string_view norm_name);
  // Every layer: "encoder.layer." + number + "." + the names.
  void layers(std::string_view prefix, const LayerNames& names);

  std::vector<WeightRule> take() { return std::move(rules_); }

 private:
  void add(WeightRule rule);
  void layer(int64_t index, std::string_view layer_prefix, const LayerNames& names);
  void adapters(const std::string& name, const std::string& base, int64_t out, int64_t in,
                int64_t begin, int64_t total_out, bool is_embedding);

  const ArchSpec& arch_;
  const TensorTable& tensors_;
  std::string prefix_;
  std::vector<WeightRule> rules_;
};

struct FamilyPlan {
  ArchSpec arch;
  StaticSpec static_spec;
  std::vector<WeightRule> weights;
  std::map<std::string, std::string> task_prompts;
  // A rule written down by the family's authors for folders without a Pooling config. Rare.
  std::optional<PoolingSpec> pooling;
};

struct Family {
  std::string_view name;
  std::string_view models;  // examples, for --list
  // Is this config.json mine? At most one family says yes.
  bool (*claims)(const JsonValue& config);
  // Errors: bad_format, unsupported, not_found; never allocates by a number from the config.
  FamilyPlan (*plan)(ConfigReader& config, const TensorTable& tensors);
};

// registry.cc
const std::vector<Family>& families();
// Errors: unsupported naming the model_type and the known families.
const Family& family_for(const JsonValue& config);

// Shared by the family files: model_type equals one of `names`.
bool is_model_type(const JsonValue& config, std::initializer_list<std::string_view> names);
// Fills head_dim. Errors: bad_format when heads do not divide hidden.
void set_heads(ArchSpec& arch, int64_t heads, std::string_view where);
// vocab_size, hidden_size, num_hidden_layers, num_attention_heads and intermediate_size.
void read_bert_sizes(ConfigReader& config, ArchSpec& arch);
// RoBERTa's positions begin after the padding token's row: max_position_embeddings, which is
// returned, counts the rows before as well.
int64_t read_positions_after_padding(ConfigReader& config, ArchSpec& arch);

}  // namespace akin::model
