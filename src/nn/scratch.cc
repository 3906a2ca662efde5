// A model that does not exist yet, as if it had been read from a folder: architecture, random
// weights under the names that Hugging Face's BertModel or model2vec give them, config.json,
// tokenizer.
//
// The random numbers of a weight depend on the seed and its name alone.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "nn/model_parts.h"
#include "nn/scratch_rows.h"

namespace akin::nn {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxFileBytes = uint64_t{256} << 20;
constexpr float kQuiet = 0.1F;
constexpr int64_t kTypes = 2;  // rows of BERT's token type table; row 0 is used

// Weights in memory.
class MadeWeights final : public model::Weights {
 public:
  void add(const std::string& name, std::string source, std::vector<int64_t> shape,
           std::vector<float> values) {
    Entry& entry = table_[name];
    entry.values = std::move(values);
    entry.tensor = {DType::f32, std::move(shape), std::as_bytes(std::span(entry.values))};
    entry.source = std::move(source);
    parameters_ += entry.values.size();
  }
  uint64_t parameters() const { return parameters_; }
  bool has(std::string_view name) const override { return table_.contains(name); }
  const Tensor& at(std::string_view name) const override { return find(name).tensor; }
  std::vector<std::string> names() const override {
    std::vector<std::string> out;
    for (const auto& [name, entry] : table_) out.push_back(name);
    return out;
  }
  std::string_view source(std::string_view name) const override { return find(name).source; }
  void release_pages() const override {}

 private:
  struct Entry {
    std::vector<float> values;
    Tensor tensor;
    std::string source;
  };
  const Entry& find(std::string_view name) const {
    if (const auto it = table_.find(name); it != table_.end()) return it->second;
    throw_error(ErrorKind::not_found, "weights", "{} is not a weight of this model", quote(name));
  }
  std::map<std::string, Entry, std::less<>> table_;
  uint64_t parameters_ = 0;
};

std::vector<float> normal_values(const std::string& name, int64_t count, const ScratchSpec& spec) {
  Rng rng(hash64(name, spec.seed));
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(spec.init_std * rng.normal());
  return values;
}

// The first values of a token table, [vocabulary, D].
std::vector<float> token_rows(const std::string& name, const ScratchSpec& spec,
                              const text::Tokenizer& tokenizer) {
  const auto rows = tokenizer.vocab_size();
  std::vector<float> values = normal_values(name, static_cast<int64_t>(rows) * spec.hidden, spec);
  if (!spec.embeddings_from.empty()) {
    copy_static_rows(spec.embeddings_from, tokenizer, spec.init_std,
                     {values.data(), rows, static_cast<size_t>(spec.hidden)});
  }
  return values;
}

// Adds weights to a model in BertModel's names.
class BertMaker {
 public:
  BertMaker(const ScratchSpec& spec, MadeWeights& weights) : spec_(spec), weights_(weights) {}

  void matrix(const std::string& name, const std::string& source, int64_t rows, int64_t cols) {
    weights_.add(name, source, {rows, cols}, normal_values(name, rows * cols, spec_));
  }
  // Positions and types add up with the words. Beside a table that knows its words they start
  // small: at the words' own size they would drown half of what was copied.
  void offsets(const std::string& name, const std::string& source, int64_t rows) {
    std::vector<float> values = normal_values(name, rows * spec_.hidden, spec_);
    if (!spec_.embeddings_from.empty()) {
      for (float& value : values) value *= kQuiet;
    }
    weights_.add(name, source, {rows, spec_.hidden}, std::move(values));
  }
  void vector(const std::string& name, const std::string& source, int64_t size, float value) {
    weights_.add(name, source, {size}, std::vector<float>(static_cast<size_t>(size), value));
  }
  void linear(const std::string& name, const std::string& source, int64_t out, int64_t in) {
    matrix(name + ".weight", source + ".weight", out, in);
    vector(name + ".bias", source + ".bias", out, 0.0F);
  }
  void norm(const std::string& name, const std::string& source) {
    vector(name + ".weight", source + ".weight", spec_.hidden, 1.0F);
    vector(name + ".bias", source + ".bias", spec_.hidden, 0.0F);
  }
  void layer(int64_t index) {
    const std::string to = fmt::format("layer.{}.", index),
                      from = fmt::format("encoder.layer.{}.", index);
    const int64_t hidden = spec_.hidden, ffn = spec_.ffn_hidden;
    linear(to + "attn.q", from + "attention.self.query", hidden, hidden);
    linear(to + "attn.k", from + "attention.self.key", hidden, hidden);
    linear(to + "attn.v", from + "attention.self.value", hidden, hidden);
    linear(to + "attn.out", from + "attention.output.dense", hidden, hidden);
    norm(to + "attn.norm", from + "attention.output.LayerNorm");
    linear(to + "ffn.up", from + "intermediate.dense", ffn, hidden);
    linear(to + "ffn.down", from + "output.dense", hidden, ffn);
    norm(to + "ffn.norm", from + "output.LayerNorm");
  }

 private:
  const ScratchSpec& spec_;
  MadeWeights& weights_;
};

void require(bool holds, std::string_view what, int64_t got, std::string_view expected) {
  if (!holds) throw_error(ErrorKind::usage, what, "{}, expected {}", got, expected);
}

void check_spec(const ScratchSpec& spec) {
  require(spec.hidden >= 1 && spec.hidden <= 65536, "hidden", spec.hidden, "1 to 65536");
  if (!(spec.init_std > 0 && spec.init_std <= 10))
    throw_error(ErrorKind::usage, "init_std", "{}, expected more than 0", spec.init_std);
  if (spec.family == "static_embedding") return;
  if (spec.family != "bert") {
    throw_error(ErrorKind::unsupported, "family",
                "{} cannot be made from scratch; akin makes \"bert\" and \"static_embedding\", "
                "others are opened from a folder",
                quote(spec.family));
  }
  require(spec.layers >= 1 && spec.layers <= 1000, "layers", spec.layers, "1 to 1000");
  require(spec.heads >= 1 && spec.hidden % spec.heads == 0, "heads", spec.heads,
          fmt::format("a divisor of the hidden size {}", spec.hidden));
  require(spec.ffn_hidden >= 1 && spec.ffn_hidden <= (1 << 20), "ffn_hidden", spec.ffn_hidden,
          "1 to 1048576");
  require(spec.max_positions >= 3 && spec.max_positions <= (1 << 22), "max_positions",
          spec.max_positions, "3 to 4194304");
  if (spec.pooling.modes.empty())
    throw_error(ErrorKind::usage, "pooling", "no mode given, expected mean, cls, ...");
}

int32_t special_id(const text::Tokenizer& tokenizer,
                   std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (const auto id = tokenizer.token_id(name)) return *id;
  }
  return 0;
}

// What other tools need besides tokenizer.json: which tokens play which part, and the limit.
std::string tokenizer_config(const text::Tokenizer& tokenizer, size_t max_tokens) {
  Json json;
  constexpr std::pair<const char*, std::array<std::string_view, 2>> kRoles[] = {
      {"unk_token", {"[UNK]", "<unk>"}},
      {"cls_token", {"[CLS]", "<s>"}},
      {"sep_token", {"[SEP]", "</s>"}},
      {"pad_token", {"[PAD]", "<pad>"}},
      {"mask_token", {"[MASK]", "<mask>"}}};
  for (const auto& [role, names] : kRoles) {
    for (const std::string_view name : names) {
      if (!tokenizer.token_id(name)) continue;
      json[role] = name;
      break;
    }
  }
  if (max_tokens > 0) json["model_max_length"] = max_tokens;
  json["tokenizer_class"] = "PreTrainedTokenizerFast";
  return json.dump(2) + "\n";
}

void read_tokenizer(const ScratchSpec& spec, size_t max_tokens, ModelParts& parts) {
  std::error_code ignored;
  if (fs::is_directory(spec.tokenizer, ignored)) {
    parts.model.tokenizer = text::Tokenizer::load_folder(spec.tokenizer);
    parts.files = read_side_files(spec.tokenizer);
  } else {
    std::string json = read_file(spec.tokenizer, kMaxFileBytes);
    parts.model.tokenizer = text::Tokenizer::from_json(json, spec.tokenizer.string());
    parts.files["tokenizer.json"] = std::move(json);
  }
  // A limit of some other model's tokenizer folder is not this model's.
  parts.files["tokenizer_config.json"] = tokenizer_config(*parts.model.tokenizer, max_tokens);
}

void make_bert(const ScratchSpec& spec, ModelParts& parts, MadeWeights& weights) {
  ArchSpec& arch = parts.model.arch;
  arch.family = "bert";
  arch.layers = spec.layers;
  arch.heads = spec.heads;
  arch.head_dim = spec.hidden / spec.heads;
  arch.ffn_hidden = spec.ffn_hidden;
  arch.max_positions = spec.max_positions;
  arch.type_vocab = kTypes;
  arch.pad_token_id = special_id(*parts.model.tokenizer, {"[PAD]", "<pad>"});
  BertMaker make(spec, weights);
  weights.add("embed.token", "embeddings.word_embeddings.weight", {arch.vocab_size, arch.hidden},
              token_rows("embed.token", spec, *parts.model.tokenizer));
  make.offsets("embed.position", "embeddings.position_embeddings.weight", arch.max_positions);
  make.offsets("embed.type", "embeddings.token_type_embeddings.weight", kTypes);
  make.norm("embed.norm", "embeddings.LayerNorm");
  for (int64_t i = 0; i < arch.layers; ++i) make.layer(i);
  parts.config_json = Json{
      {"architectures", {"BertModel"}},
      {"model_type", "bert"},
      {"attention_probs_dropout_prob", 0.1},
      {"hidden_act", "gelu"},
      {"hidden_dropout_prob", 0.1},
      {"hidden_size", arch.hidden},
      {"initializer_range", spec.init_std},
      {"intermediate_size", arch.ffn_hidden},
      {"layer_norm_eps", 1e-12},
      {"max_position_embeddings", arch.max_positions},
      {"num_attention_heads", arch.heads},
      {"num_hidden_layers", arch.layers},
      {"pad_token_id", arch.pad_token_id},
      {"position_embedding_type", "absolute"},
      {"torch_dtype", "float32"},
      {"type_vocab_size", kTypes},
      {"vocab_size",
       arch.vocab_size}}.dump(2);
}

// In model2vec's layout, which its own package, sentence-transformers and akin read. They disagree
// about unknown tokens (left out of the mean, or counted): their row is zero, so that a normalised
// vector is the same everywhere.
void make_static(const ScratchSpec& spec, ModelParts& parts, MadeWeights& weights) {
  model::Model& model = parts.model;
  model.arch.family = "static_embedding";
  model.arch.kind = ModelKind::static_embedding;
  model.arch.position = PositionKind::none;
  model.arch.embedding_norm = false;
  model.static_spec.normalize = spec.normalize;
  model.static_spec.skip_unk = model.tokenizer->model_type() != "Unigram";
  model.static_spec.max_tokens = model.max_tokens;
  const std::string name = "static.embeddings";
  const int64_t rows = model.arch.vocab_size, dim = model.arch.hidden;
  std::vector<float> values = token_rows(name, spec, *model.tokenizer);
  if (const auto unk = model.tokenizer->unk_id(); unk && model.static_spec.skip_unk)
    std::fill_n(values.begin() + static_cast<ptrdiff_t>(*unk * dim), dim, 0.0F);
  weights.add(name, "embeddings", {rows, dim}, std::move(values));
  parts.config_json = Json{
      {"model_type", "model2vec"},
      {"architectures", {"StaticModel"}},
      {"hidden_dim", dim},
      {"seq_length", 1000000},
      {"normalize",
       spec.normalize}}.dump(2);
}

}  // namespace

ModelParts make_scratch_parts(const ScratchSpec& spec) {
  check_spec(spec);
  const bool is_static = spec.family == "static_embedding";
  ModelParts parts;
  model::Model& model = parts.model;
  if (!is_static) {
    const auto positions = static_cast<size_t>(spec.max_positions);
    model.max_tokens = spec.max_tokens == 0 ? positions : std::min(spec.max_tokens, positions);
  }
  read_tokenizer(spec, model.max_tokens, parts);
  model.name = "from scratch";
  model.arch.hidden = spec.hidden;
  model.arch.vocab_size = static_cast<int64_t>(model.tokenizer->vocab_size());
  model.pooling = is_static ? PoolingSpec{{PoolingMode::mean}, true} : spec.pooling;
  if (spec.normalize) model.heads.push_back({model::HeadKind::normalize, 0});
  model.dim = static_cast<size_t>(spec.hidden) * model.pooling.modes.size();
  auto weights = std::make_shared<MadeWeights>();
  is_static ? make_static(spec, parts, *weights) : make_bert(spec, parts, *weights);
  model.parameters = weights->parameters();
  model.weights = std::move(weights);
  Hasher hasher;
  hasher.add(parts.config_json);
  hasher.add(spec.seed);
  hasher.add(model.tokenizer->hash());
  model.fingerprint = hasher.hex();
  return parts;
}

}  // namespace akin::nn
