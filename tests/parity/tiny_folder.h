// Small model folders of every family, in the checkpoints' own tensor names and layouts, with
// seeded random weights of a realistic scale and a tokenizer of about 200 tokens. For tests; no
// real model. The same seed gives the same bytes on every machine (only exact arithmetic is used).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/rng.h"
#include "core/arch_spec.h"
#include "core/tensor.h"

namespace akin::parity {

struct TinyDense {
  int64_t out = 0;
  bool bias = true;
  std::string activation = "torch.nn.modules.activation.Tanh";
  bool use_residual = false;
};

struct TinySpec {
  std::string kind = "bert";  // one of tiny_kinds()
  uint64_t seed = 1;
  int64_t hidden = 0;  // 0: the kind's own, never a multiple of 16: 52 = 4 x 13, 56 = 4 x 14
  int64_t heads = 4, layers = 3, ffn = 76;
  int64_t positions = 0;  // longest text; 0: 320, or 4096 where positions need no table
  std::vector<PoolingMode> pooling{PoolingMode::mean};
  bool include_prompt = true;
  std::vector<TinyDense> dense;
  bool normalize = true;
  bool st_files = true;  // false: config.json, weights and tokenizer only
  DType dtype = DType::f32;
};

// bert, bert_old (bert. prefix, gamma/beta), roberta, xlm_roberta, distilbert, mpnet, t5, t5_gated,
// jina_bert, jina_bert_reglu, jina_bert_code, jina_v3, jina_v3_plain, modernbert, nomic,
// nomic_partial, model2vec, model2vec_quantized, static_module
std::vector<std::string> tiny_kinds();
bool is_static_kind(const std::string& kind);

// A folder that is removed again.
class TinyFolder {
 public:
  explicit TinyFolder(const TinySpec& spec);
  TinyFolder(const TinySpec& spec, std::filesystem::path path);  // kept
  ~TinyFolder();
  TinyFolder(const TinyFolder&) = delete;
  TinyFolder& operator=(const TinyFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  bool keep_ = false;
};

// A text of about `words` words that the tiny tokenizers know, with some that they do not.
std::string tiny_text(Rng& rng, size_t words);

// Within tests/parity: what a family's writer fills.
struct TinyBuilder {
  explicit TinyBuilder(const TinySpec& s) : spec(s), rng(s.seed) {}
  double noise();  // mean 0, variance 1, by sums of uniforms (exact on every machine)
  void add(const std::string& name, std::vector<int64_t> shape, double deviation, double mean = 0);
  void linear(const std::string& name, int64_t out, int64_t in, bool bias, double gain = 1.0);
  void norm(const std::string& name, int64_t dim, bool bias = true,
            const char* weight_name = "weight", const char* bias_name = "bias");

  const TinySpec& spec;
  Rng rng;
  nlohmann::ordered_json config;
  std::map<std::string, std::pair<std::vector<int64_t>, std::vector<float>>> tensors;
  int64_t vocab = 0;  // set by the caller before the family's writer runs
};
// tiny_families.cc: config and tensors of spec.kind.
void build_tiny_family(TinyBuilder& b);
bool is_rotary_kind(const std::string& kind);
// Special tokens of the kind's tokenizer, by id; "bos", "eos" empty where it adds none.
struct TinySpecials {
  std::vector<std::string> tokens;
  std::string unk, bos, eos;
};
TinySpecials tiny_specials(const std::string& kind);

}  // namespace akin::parity
