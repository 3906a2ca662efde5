// The parts of a tiny folder that all families share: tokenizer, sentence-transformers files,
// weights on disk. The families' tensors are in tiny_families.cc.
#include "tiny_folder.h"

#include <unistd.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "store/safetensors.h"
#include "store/st_folder.h"

namespace akin::parity {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

// Specials, single letters and digits (so that every word of letters has a split), syllables.
std::vector<std::string> tiny_vocab(const TinySpecials& specials) {
  std::vector<std::string> vocab = specials.tokens;
  for (char c = 'a'; c <= 'z'; ++c) vocab.emplace_back(1, c);
  for (char c = '0'; c <= '9'; ++c) vocab.emplace_back(1, c);
  for (const char* mark : {".", ",", "!", "?"}) vocab.emplace_back(mark);
  for (char c = 'a'; c <= 'z'; ++c) vocab.push_back(std::string("##") + c);
  for (const char c : std::string("bdgklmnprst")) {
    for (const char v : std::string("aeiou")) {
      vocab.push_back(std::string{c, v});
      vocab.push_back(std::string("##") + c + v);
    }
  }
  return vocab;
}

Json tokenizer_json(const TinySpecials& specials, const std::vector<std::string>& vocab) {
  Json json = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  json["added_tokens"] = Json::array();
  for (size_t id = 0; id < specials.tokens.size(); ++id) {
    json["added_tokens"].push_back({{"id", id},
                                    {"content", specials.tokens[id]},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"normalized", false},
                                    {"special", true}});
  }
  json["normalizer"] = {{"type", "BertNormalizer"},
                        {"clean_text", true},
                        {"handle_chinese_chars", true},
                        {"strip_accents", nullptr},
                        {"lowercase", true}};
  json["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  const auto id_of = [&](const std::string& token) {
    return std::find(vocab.begin(), vocab.end(), token) - vocab.begin();
  };
  Json single = Json::array(), used = Json::object();
  const auto special = [&](const std::string& token) {
    if (token.empty()) return;
    single.push_back({{"SpecialToken", {{"id", token}, {"type_id", 0}}}});
    used[token] = {{"id", token}, {"ids", {id_of(token)}}, {"tokens", {token}}};
  };
  special(specials.bos);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  special(specials.eos);
  Json pair = single;
  pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
  json["post_processor"] = {
      {"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", used}};
  json["decoder"] = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  Json ids = Json::object();
  for (size_t i = 0; i < vocab.size(); ++i) ids[vocab[i]] = i;
  json["model"] = {{"type", "WordPiece"},
                   {"unk_token", specials.unk},
                   {"continuing_subword_prefix", "##"},
                   {"max_input_chars_per_word", 100},
                   {"vocab", ids}};
  return json;
}

std::vector<std::byte> to_bytes(const std::vector<float>& values, DType dtype) {
  std::vector<std::byte> out;
  for (const float value : values) {
    uint32_t bits = std::bit_cast<uint32_t>(value);
    size_t size = 4;
    if (dtype == DType::f16) {
      bits = float_to_half(value);
      size = 2;
    } else if (dtype == DType::bf16) {
      bits >>= 16;
      size = 2;
    } else if (dtype == DType::i32) {
      bits = static_cast<uint32_t>(static_cast<int32_t>(value));
    }
    for (size_t i = 0; i < size; ++i) out.push_back(static_cast<std::byte>(bits >> (8 * i)));
  }
  return out;
}

void write_weights(const fs::path& path, const TinyBuilder& b) {
  std::map<std::string, std::vector<std::byte>> bytes;
  std::map<std::string, Tensor, std::less<>> table;
  for (const auto& [name, tensor] : b.tensors) {
    const DType dtype = name == "mapping" ? DType::i32 : b.spec.dtype;
    bytes[name] = to_bytes(tensor.second, dtype);
    table[name] = {dtype, tensor.first, bytes[name]};
  }
  store::write_safetensors(path, table, {{"format", "pt"}});
}

// Tensors of the Dense modules, beside their config.json.
void write_dense(const fs::path& folder, const store::StFolder& st, uint64_t seed, DType dtype) {
  for (size_t i = 0; i < st.dense.size(); ++i) {
    const store::StDense& dense = st.dense[i];
    TinySpec spec;
    spec.seed = seed * 1000 + i;
    spec.dtype = dtype;
    TinyBuilder b(spec);
    b.linear("linear", dense.out, dense.in, dense.bias);
    if (dense.use_residual && dense.in != dense.out) {
      b.linear("residual", dense.out, dense.in, false);
    }
    write_weights(folder / dense.path / "model.safetensors", b);
  }
}

void write_st_files(const fs::path& folder, const TinySpec& spec, int64_t hidden, int64_t limit) {
  store::StFolder st;
  st.pooling = PoolingSpec{spec.pooling, spec.include_prompt};
  st.embedding_dim = hidden;
  st.max_seq_length = limit;
  st.normalize = spec.normalize;
  st.similarity_fn_name = "cosine";
  st.prompts = {{"query", "pa ko: "}, {"document", ""}};
  int64_t dim = hidden * static_cast<int64_t>(spec.pooling.size());
  for (const TinyDense& dense : spec.dense) {
    st.dense.push_back({dim, dense.out, dense.bias, dense.activation, dense.use_residual, ""});
    dim = dense.out;
  }
  store::set_standard_modules(st);
  store::write_st_folder(folder, st);
  write_dense(folder, st, spec.seed, spec.dtype);
}

void write_static_modules(const fs::path& folder, bool normalize) {
  Json modules = Json::array();
  modules.push_back({{"idx", 0},
                     {"name", "0"},
                     {"path", "0_StaticEmbedding"},
                     {"type", "sentence_transformers.models.StaticEmbedding"}});
  if (normalize) {
    modules.push_back({{"idx", 1},
                       {"name", "1"},
                       {"path", "1_Normalize"},
                       {"type", "sentence_transformers.models.Normalize"}});
  }
  write_file(folder / "modules.json", modules.dump(1));
}

fs::path fresh_folder() {
  static std::atomic<int> counter{0};
  fs::path path =
      fs::temp_directory_path() / fmt::format("akin_tiny_{}_{}", ::getpid(), counter.fetch_add(1));
  fs::create_directories(path);
  return path;
}

void write_tiny_folder(const TinySpec& asked, const fs::path& folder) {
  TinySpec spec = asked;
  if (spec.hidden == 0) spec.hidden = is_rotary_kind(spec.kind) ? 56 : 52;
  if (spec.positions == 0) {
    const bool no_table = is_rotary_kind(spec.kind) || spec.kind.starts_with("jina_bert");
    spec.positions = no_table ? 4096 : 320;
  }
  const TinySpecials specials = tiny_specials(spec.kind);
  const std::vector<std::string> vocab = tiny_vocab(specials);
  TinyBuilder b(spec);
  b.vocab = static_cast<int64_t>(vocab.size());
  build_tiny_family(b);

  const bool static_module = spec.kind == "static_module";
  const fs::path body = static_module ? folder / "0_StaticEmbedding" : folder;
  fs::create_directories(body);
  write_weights(body / "model.safetensors", b);
  write_file(body / "tokenizer.json", tokenizer_json(specials, vocab).dump());
  if (static_module) {
    write_static_modules(folder, spec.normalize);
    return;
  }
  write_file(folder / "config.json", b.config.dump(1));
  if (spec.st_files && !is_static_kind(spec.kind)) {
    write_st_files(folder, spec, spec.hidden, spec.positions);
  }
}

}  // namespace

double TinyBuilder::noise() {
  double sum = 0;
  for (int i = 0; i < 4; ++i) sum += rng.uniform() - 0.5;
  return sum * 1.7320508075688772;  // 4 uniforms have a variance of 1/3
}

void TinyBuilder::add(const std::string& name, std::vector<int64_t> shape, double deviation,
                      double mean) {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = static_cast<float>(mean + deviation * noise());
  tensors[name] = {std::move(shape), std::move(values)};
}

void TinyBuilder::linear(const std::string& name, int64_t out, int64_t in, bool bias, double gain) {
  add(name + ".weight", {out, in}, gain / std::sqrt(static_cast<double>(in)));
  if (bias) add(name + ".bias", {out}, 0.1);
}

void TinyBuilder::norm(const std::string& name, int64_t dim, bool bias, const char* weight_name,
                       const char* bias_name) {
  add(name + "." + weight_name, {dim}, 0.15, 1.0);
  if (bias) add(name + "." + bias_name, {dim}, 0.1);
}

TinyFolder::TinyFolder(const TinySpec& spec) : path_(fresh_folder()) {
  write_tiny_folder(spec, path_);
}

TinyFolder::TinyFolder(const TinySpec& spec, fs::path path) : path_(std::move(path)), keep_(true) {
  fs::create_directories(path_);
  write_tiny_folder(spec, path_);
}

TinyFolder::~TinyFolder() {
  std::error_code ignored;
  if (!keep_) fs::remove_all(path_, ignored);
}

std::string tiny_text(Rng& rng, size_t words) {
  constexpr std::string_view kConsonants = "bdgklmnprst", kVowels = "aeiou";
  std::string out;
  for (size_t w = 0; w < words; ++w) {
    if (w > 0) out += ' ';
    const uint64_t pick = rng.below(20);
    if (pick == 0) {
      out += "\xE4\xBD\xA0";  // a character that the vocabularies lack
    } else if (pick == 1) {
      out += std::to_string(rng.below(1000));
    } else if (pick == 2) {
      out += ",";
    } else {
      for (uint64_t s = 0; s < 1 + rng.below(2); ++s) {
        out += kConsonants[rng.below(kConsonants.size())];
        out += kVowels[rng.below(kVowels.size())];
      }
    }
  }
  return out;
}

}  // namespace akin::parity
