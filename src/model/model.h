// A model folder, read: architecture, weights by canonical name, tokenizer, pooling, heads,
// prompts, limits. Runs nothing.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/arch_spec.h"
#include "core/encoder.h"
#include "core/tensor.h"
#include "text/tokenizer.h"

namespace akin::model {

// Weights under canonical names, whatever the checkpoint calls them. Linear weights are [out, in],
// as torch stores them.
//   embed.token [V,D]  embed.position [P,D]  embed.type [types,D]  embed.norm.{weight,bias}
//   layer.<i>.attn.{q,k,v,out}.{weight,bias}
//   layer.<i>.attn.norm.{weight,bias}    post: after the attention residual; pre: before attention
//   layer.<i>.attn.{q_norm,k_norm}.{weight,bias}   with ArchSpec::qk_norm
//   layer.<i>.attn.inner_norm.{weight,bias}        with ArchSpec::attn_inner_norm
//   layer.<i>.ffn.{up,gate,down}.{weight,bias}
//   layer.<i>.ffn.norm.{weight,bias}     post: after the FFN residual; pre: before the FFN
//   final_norm.{weight,bias}   relative_bias.weight [buckets, H]
//   dense.<n>.{weight,bias}    sentence-transformers Dense heads, in order
//   dense.<n>.residual.weight
//   adapter.<t>.<canonical linear>.lora_a [r,in], .lora_b [out,r]   adapter t of
//     ArchSpec::adapters: W + scaling * B A
//   adapter.<t>.embed.token.lora_a [V,r], .lora_b [r,D]  (embed.type likewise, [types,r] and
//     [r,D]): row + scaling * A[id] B
//   static.embeddings [R,D]  static.mapping [V]  static.weights [V]
//   <linear>.weight.scale [out]   beside a linear weight stored as I8 (akin quantize): w = q *
//   scale
// A fused checkpoint tensor (Wqkv) is split by rows: each canonical name is a sub-range of the same
// bytes.
class Weights {
 public:
  virtual ~Weights() = default;
  virtual bool has(std::string_view name) const = 0;
  virtual const Tensor& at(std::string_view name) const = 0;  // Errors: not_found
  virtual std::vector<std::string> names() const = 0;
  // The checkpoint tensor that a canonical weight is, or is a part of. Errors: not_found.
  virtual std::string_view source(std::string_view name) const = 0;
  // After packing: gives the memory of the files' pages back; reading them again stays possible.
  virtual void release_pages() const = 0;
};

struct DenseSpec {
  int64_t in = 0, out = 0;
  bool bias = true;
  bool use_residual = false;
  Activation activation = Activation::identity;
};

// Modules after pooling, in folder order.
enum class HeadKind : uint8_t { dense, normalize };
struct Head {
  HeadKind kind;
  size_t dense_index = 0;  // into Model::dense, for HeadKind::dense
};

// model2vec: vector(text) = mean of rows mapping[id] * weight[id] over its tokens.
struct StaticSpec {
  bool has_mapping = false,
       has_weights =
           false;  // tensors static.embeddings [R,D], static.mapping [V], static.weights [V]
  bool normalize = false;
  bool skip_unk = true;  // drop unknown tokens before averaging, as model2vec does
  size_t max_tokens = 0;
};

struct Model {
  std::filesystem::path folder;
  std::string name;
  ArchSpec arch;
  StaticSpec static_spec;  // for ModelKind::static_embedding
  std::shared_ptr<const Weights>
      weights;  // shared with the engine: mapped files stay open while either lives
  std::unique_ptr<text::Tokenizer> tokenizer;
  PoolingSpec pooling;
  std::vector<DenseSpec> dense;
  std::vector<Head> heads;
  std::map<std::string, std::string> prompts;
  std::string default_prompt_name;
  std::map<std::string, std::string>
      task_prompts;  // adapter task -> its prompt, where a family declares one
  std::string similarity = "cosine";
  size_t max_tokens = 0;  // min of max_seq_length, model_max_length and positions; 0 = no limit
  size_t dim = 0;         // of the final vector
  std::vector<size_t> matryoshka_dims;
  bool do_lower_case = false;  // sentence_bert_config: lower-case the text before the tokenizer
  uint64_t parameters = 0;
  std::string fingerprint;                // without precision
  std::vector<std::string> ignored_keys;  // config keys nobody read, named by `akin info`
};

struct LoadOptions {
  std::optional<PoolingSpec>
      pooling;  // --pooling, where the folder has none; never overrides silently
};

// Errors: not_found (files looked for), bad_format, unsupported (family or module class named).
Model load_model(const std::filesystem::path& folder, const LoadOptions& options = {});

// Hash over every byte of every weight, for `akin doctor`; reads the whole file. Model::fingerprint
// reads a sample only (fingerprint.cc says which).
std::string weights_hash(const Model& model);

EncoderInfo encoder_info(const Model& model, Precision precision);

}  // namespace akin::model
