// The shared parts of family files: collecting weight rules (see family.h).
#include "model/family.h"

#include "base/error.h"

namespace akin::model {
namespace {

constexpr std::string_view kParametrized = ".parametrizations.weight";

std::string join_names(const TensorTable& tensors, size_t count) {
  std::string out;
  for (const auto& [name, tensor] : tensors) {
    if (count-- == 0) return out + ", ...";
    out += (out.empty() ? "" : ", ") + quote(name);
  }
  return out.empty() ? "nothing" : out;
}

}  // namespace

bool is_model_type(const JsonValue& config, std::initializer_list<std::string_view> names) {
  const auto type = config.find("model_type");
  if (!type || !type->is_string()) return false;
  for (const std::string_view name : names) {
    if (type->as_string() == name) return true;
  }
  return false;
}

void set_heads(ArchSpec& arch, int64_t heads, std::string_view where) {
  arch.heads = heads;
  if (arch.hidden % heads != 0) {
    throw_error(ErrorKind::bad_format, where,
                "{} attention heads do not divide a hidden size of {}; the file is damaged", heads,
                arch.hidden);
  }
  arch.head_dim = arch.hidden / heads;
}

void read_bert_sizes(ConfigReader& config, ArchSpec& arch) {
  arch.vocab_size = config.count("vocab_size", 1, kMaxVocab);
  arch.hidden = config.count("hidden_size", 1, kMaxHidden);
  arch.layers = config.count("num_hidden_layers", 1, kMaxLayers);
  set_heads(arch, config.count("num_attention_heads", 1, arch.hidden), config.where());
  arch.ffn_hidden = config.count("intermediate_size", 1, kMaxFfn);
}

int64_t read_positions_after_padding(ConfigReader& config, ArchSpec& arch) {
  const int64_t rows = config.count("max_position_embeddings", 1, kMaxPositions);
  arch.pad_token_id = config.count("pad_token_id", 0, kMaxVocab, 1);
  arch.position_offset = arch.pad_token_id + 1;
  arch.max_positions = rows - arch.position_offset;
  if (arch.max_positions < 1) {
    throw_error(ErrorKind::bad_format, config.where(),
                "max_position_embeddings is {}, expected more than pad_token_id + 1 = {}", rows,
                arch.position_offset);
  }
  return rows;
}

void WeightPlan::choose_prefix(std::initializer_list<std::string_view> prefixes,
                               std::string_view probe, std::string_view where) {
  for (const std::string_view prefix : prefixes) {
    const std::string base = fmt::format("{}{}", prefix, probe);
    if (tensors_.contains(base + ".weight") ||
        tensors_.contains(base + std::string(kParametrized) + ".original")) {
      prefix_ = prefix;
      return;
    }
  }
  std::vector<std::string> tried;
  for (const std::string_view prefix : prefixes) {
    tried.push_back(fmt::format("\"{}{}.weight\"", prefix, probe));
  }
  throw_error(ErrorKind::not_found, where,
              "the weights have no {}, which a {} model needs; they hold {} tensors: {}",
              fmt::join(tried, " or "), arch_.family, tensors_.size(), join_names(tensors_, 4));
}

bool WeightPlan::has(std::string_view tensor) const {
  return tensors_.contains(fmt::format("{}{}", prefix_, tensor));
}

void WeightPlan::add(WeightRule rule) { rules_.push_back(std::move(rule)); }

void WeightPlan::tensor(std::string name, std::string_view tensor, std::vector<int64_t> shape) {
  add({.name = std::move(name),
       .tensor = fmt::format("{}{}", prefix_, tensor),
       .shape = std::move(shape)});
}

void WeightPlan::norm(const std::string& name, std::string_view tensor, int64_t dim) {
  const bool old = has(fmt::format("{}.gamma", tensor));
  this->tensor(name + ".weight", fmt::format("{}.{}", tensor, old ? "gamma" : "weight"), {dim});
  if (arch_.norm_bias) {
    this->tensor(name + ".bias", fmt::format("{}.{}", tensor, old ? "beta" : "bias"), {dim});
  }
}

void WeightPlan::linear(const std::string& name, std::string_view tensor, int64_t out, int64_t in,
                        bool bias, int64_t begin, int64_t total_out) {
  const std::string base = fmt::format("{}{}", prefix_, tensor);
  if (total_out == 0) total_out = out;
  const int64_t rows = total_out == out ? -1 : out;
  const std::string original = base + std::string(kParametrized) + ".original";
  const bool parametrized = tensors_.contains(original);
  add({.name = name + ".weight",
       .tensor = parametrized ? original : base + ".weight",
       .shape = {total_out, in},
       .begin = begin,
       .rows = rows});
  if (bias) {
    add({.name = name + ".bias",
         .tensor = base + ".bias",
         .shape = {total_out},
         .begin = begin,
         .rows = rows});
  }
  if (parametrized) adapters(name, base, out, in, begin, total_out, /*is_embedding=*/false);
}

void WeightPlan::embedding(const std::string& name, std::string_view tensor, int64_t rows,
                           int64_t dim) {
  const std::string base = fmt::format("{}{}", prefix_, tensor);
  const std::string original = base + std::string(kParametrized) + ".original";
  const bool parametrized = tensors_.contains(original);
  add({.name = name, .tensor = parametrized ? original : base + ".weight", .shape = {rows, dim}});
  if (parametrized) adapters(name, base, dim, rows, 0, dim, /*is_embedding=*/true);
}

// Adapters of all tasks are stacked: linear A [tasks, r, in], B [tasks, out, r]; embedding A
// [tasks, V, r], B [tasks, r, D]. A fused linear shares A among its parts.
void WeightPlan::adapters(const std::string& name, const std::string& base, int64_t out, int64_t in,
                          int64_t begin, int64_t total_out, bool is_embedding) {
  const auto tasks = static_cast<int64_t>(arch_.adapters.size());
  const int64_t rank = arch_.lora_rank;
  const std::string stem = base + std::string(kParametrized) + ".0.lora_";
  for (int64_t t = 0; t < tasks; ++t) {
    const std::string canonical = fmt::format("adapter.{}.{}", t, name);
    WeightRule a{.name = canonical + ".lora_a", .tensor = stem + "A", .flatten = true};
    WeightRule b{.name = canonical + ".lora_b", .tensor = stem + "B", .flatten = true};
    a.shape = is_embedding ? std::vector<int64_t>{tasks, in, rank}
                           : std::vector<int64_t>{tasks, rank, in};
    b.shape = is_embedding ? std::vector<int64_t>{tasks, rank, out}
                           : std::vector<int64_t>{tasks, total_out, rank};
    a.rows = a.shape[1];
    a.begin = t * a.rows;
    b.rows = is_embedding ? rank : out;
    b.begin = t * b.shape[1] + begin;
    add(std::move(a));
    add(std::move(b));
  }
}

void WeightPlan::embeddings(int64_t position_rows, std::string_view norm_name) {
  embedding("embed.token", "embeddings.word_embeddings", arch_.vocab_size, arch_.hidden);
  if (position_rows > 0) {
    embedding("embed.position", "embeddings.position_embeddings", position_rows, arch_.hidden);
  }
  if (arch_.type_vocab > 0) {
    embedding("embed.type", "embeddings.token_type_embeddings", arch_.type_vocab, arch_.hidden);
  }
  norm("embed.norm", norm_name, arch_.hidden);
}

void WeightPlan::layers(std::string_view prefix, const LayerNames& names) {
  for (int64_t i = 0; i < arch_.layers; ++i) layer(i, fmt::format("{}{}.", prefix, i), names);
}

void WeightPlan::layer(int64_t index, std::string_view layer_prefix, const LayerNames& names) {
  const std::string canonical = fmt::format("layer.{}.", index);
  const auto full = [&](std::string_view name) { return fmt::format("{}{}", layer_prefix, name); };
  const int64_t hidden = arch_.hidden, inner = arch_.heads * arch_.head_dim, ffn = arch_.ffn_hidden;
  const char* const parts[] = {"q", "k", "v"};
  const std::string_view separate[] = {names.q, names.k, names.v};
  for (int64_t i = 0; i < 3; ++i) {
    const std::string name = fmt::format("{}attn.{}", canonical, parts[i]);
    if (names.qkv.empty()) {
      linear(name, full(separate[i]), inner, hidden, arch_.qkv_bias);
    } else {
      linear(name, full(names.qkv), inner, hidden, arch_.qkv_bias, i * inner, 3 * inner);
    }
  }
  if (arch_.qk_norm) {
    norm(canonical + "attn.q_norm", full(names.q_norm), inner);
    norm(canonical + "attn.k_norm", full(names.k_norm), inner);
  }
  linear(canonical + "attn.out", full(names.out), hidden, inner, arch_.attn_out_bias);
  if (arch_.attn_inner_norm) {
    norm(canonical + "attn.inner_norm", full(names.attn_inner_norm), hidden);
  }
  if (index > 0 || arch_.first_layer_attn_norm) {
    norm(canonical + "attn.norm", full(names.attn_norm), hidden);
  }
  if (!names.gate_up.empty() || !names.up_gate.empty()) {
    const bool gate_first = !names.gate_up.empty();
    const std::string fused = full(gate_first ? names.gate_up : names.up_gate);
    linear(canonical + "ffn.gate", fused, ffn, hidden, arch_.ffn_in_bias, gate_first ? 0 : ffn,
           2 * ffn);
    linear(canonical + "ffn.up", fused, ffn, hidden, arch_.ffn_in_bias, gate_first ? ffn : 0,
           2 * ffn);
  } else {
    linear(canonical + "ffn.up", full(names.up), ffn, hidden, arch_.ffn_in_bias);
    if (arch_.gated_ffn) {
      linear(canonical + "ffn.gate", full(names.gate), ffn, hidden, arch_.ffn_in_bias);
    }
  }
  linear(canonical + "ffn.down", full(names.down), hidden, ffn, arch_.ffn_out_bias);
  norm(canonical + "ffn.norm", full(names.ffn_norm), hidden);
}

}  // namespace akin::model
