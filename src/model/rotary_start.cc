#include "model/rotary_start.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "model/model.h"
#include "store/copy_folder.h"
#include "store/float_bytes.h"
#include "store/safetensors.h"
#include "store/st_folder.h"

namespace akin::model {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxFileBytes = uint64_t{16} << 20;

void check(const ArchSpec& arch, const fs::path& folder) {
  const auto refuse = [&](std::string_view what) {
    throw_error(ErrorKind::unsupported, folder.string(),
                "cannot become a rotary model: {}; models such as BERT and XLM-RoBERTa can", what);
  };
  if (arch.kind != ModelKind::transformer) refuse("it is a static model");
  if (arch.position != PositionKind::absolute) refuse("it has no table of absolute positions");
  if (arch.norm != NormKind::layer_norm || arch.norm_place != NormPlace::post ||
      !arch.embedding_norm || arch.qk_norm || arch.attn_inner_norm || arch.final_norm) {
    refuse("its norms are in other places");
  }
  if (arch.gated_ffn || !arch.qkv_bias || !arch.attn_out_bias || !arch.ffn_in_bias ||
      !arch.ffn_out_bias) {
    refuse("its layers are not BERT's");
  }
  if (!arch.adapters.empty()) refuse("it has adapters");
  if (arch.head_dim * arch.heads != arch.hidden || arch.head_dim % 2 != 0) {
    refuse("rotary positions need heads of an even size that make up the hidden size");
  }
}

std::string activation_word(Activation activation) {
  switch (activation) {
    case Activation::gelu_erf:
      return "gelu";
    case Activation::gelu_tanh:
      return "gelu_new";
    case Activation::silu:
      return "silu";
    default:
      return "relu";
  }
}

Json make_config(const ArchSpec& arch, uint64_t positions, double base) {
  return {{"architectures", {"XLMRobertaModel"}},
          {"model_type", "xlm-roberta"},
          {"position_embedding_type", "rotary"},
          {"rotary_emb_base", base},
          {"attention_probs_dropout_prob", 0.1},
          {"hidden_act", activation_word(arch.activation)},
          {"hidden_dropout_prob", 0.1},
          {"hidden_size", arch.hidden},
          {"intermediate_size", arch.ffn_hidden},
          {"layer_norm_eps", static_cast<double>(arch.norm_eps)},
          {"max_position_embeddings", positions},
          {"num_attention_heads", arch.heads},
          {"num_hidden_layers", arch.layers},
          {"pad_token_id", arch.pad_token_id},
          {"torch_dtype", "float32"},
          {"type_vocab_size", arch.type_vocab},
          {"vocab_size", arch.vocab_size}};
}

class WeightWriter {
 public:
  explicit WeightWriter(const Weights& weights) : weights_(weights) {}

  // Rows of several weights one after the other, as one tensor.
  void add(const std::string& name, const std::vector<std::string>& parts) {
    std::vector<std::byte>& bytes = bytes_[name];
    Tensor& out = tensors_[name];
    out.shape.clear();
    for (const auto& part : parts) {
      const Tensor& tensor = weights_.at(part);
      store::append_floats(bytes, tensor_to_f32(tensor), DType::f32);
      if (out.shape.empty()) {
        out.shape = tensor.shape;
      } else {
        out.shape[0] += tensor.shape[0];
      }
    }
    out.dtype = DType::f32;
    out.bytes = bytes;
  }
  void linear(const std::string& name, const std::vector<std::string>& parts) {
    for (const char* kind : {".weight", ".bias"}) {
      std::vector<std::string> names;
      names.reserve(parts.size());
      for (const auto& part : parts) names.push_back(part + kind);
      add(name + kind, names);
    }
  }
  void write(const fs::path& path) const { store::write_safetensors(path, tensors_); }

 private:
  const Weights& weights_;
  std::map<std::string, std::vector<std::byte>> bytes_;
  std::map<std::string, Tensor, std::less<>> tensors_;
};

void write_weights(const Model& model, const fs::path& path) {
  WeightWriter out(*model.weights);
  out.add("embeddings.word_embeddings.weight", {"embed.token"});
  if (model.arch.type_vocab > 0) {
    out.add("embeddings.token_type_embeddings.weight", {"embed.type"});
  }
  out.linear("emb_ln", {"embed.norm"});
  for (int64_t i = 0; i < model.arch.layers; ++i) {
    const std::string from = fmt::format("layer.{}.", i), to = fmt::format("encoder.layers.{}.", i);
    out.linear(to + "mixer.Wqkv", {from + "attn.q", from + "attn.k", from + "attn.v"});
    out.linear(to + "mixer.out_proj", {from + "attn.out"});
    out.linear(to + "norm1", {from + "attn.norm"});
    out.linear(to + "mlp.fc1", {from + "ffn.up"});
    out.linear(to + "mlp.fc2", {from + "ffn.down"});
    out.linear(to + "norm2", {from + "ffn.norm"});
  }
  out.write(path);
}

// A number in a JSON file, where the file has it: limits of the old model.
void set_number(const fs::path& path, const char* key, uint64_t value) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return;
  Json json = Json::parse(read_file(path, kMaxFileBytes), nullptr, false);
  if (!json.is_object() || !json.contains(key) || !json[key].is_number()) return;
  json[key] = value;
  write_file(path, json.dump(2) + "\n");
}

}  // namespace

void write_rotary_start(const fs::path& in, const fs::path& out, const RotaryStart& options) {
  const store::StFolder st = store::read_st_folder(in, {.pooling_given = true});
  LoadOptions load;
  if (!st.pooling) load.pooling = PoolingSpec{{PoolingMode::mean}, true};
  const Model model = load_model(in, load);
  check(model.arch, in);
  const uint64_t limit = options.max_tokens > 0 ? options.max_tokens : model.max_tokens;
  const auto positions =
      std::max(limit, static_cast<uint64_t>(std::max<int64_t>(1, model.arch.max_positions)));
  fs::path fresh = out;
  fresh += ".tmp";
  fs::remove_all(fresh);
  fs::create_directories(fresh);
  store::copy_folder(in, fresh, [&](const fs::path& relative) {
    return (relative.parent_path() == st.transformer_path || !relative.has_extension()) &&
           store::holds_weights(relative);
  });
  const fs::path body = fresh / st.transformer_path;
  Json config = make_config(model.arch, positions, options.base);
  write_file(body / "config.json", config.dump(2) + "\n");
  write_weights(model, body / "model.safetensors");
  if (limit > 0) {
    set_number(body / "tokenizer_config.json", "model_max_length", limit);
    for (const fs::path& folder : {fresh, body}) {
      set_number(folder / "sentence_bert_config.json", "max_seq_length", limit);
    }
  }
  fs::remove_all(out);
  fs::rename(fresh, out);
}

}  // namespace akin::model
