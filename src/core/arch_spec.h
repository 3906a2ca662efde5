// A model family as data: everything the two interpreters (engine/, nn/) need to know of an
// architecture. model/families fill it from config.json; nothing here reads a file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace akin {

enum class ModelKind : uint8_t { transformer, static_embedding };
enum class NormKind : uint8_t { layer_norm, rms_norm };
enum class NormPlace : uint8_t {
  post,
  pre
};  // post: norm(x + f(x)) (BERT); pre: x + f(norm(x)) (T5, ModernBERT)
enum class PositionKind : uint8_t {
  none,
  absolute,       // learned table added to the embeddings
  rotary,         // RoPE on q and k
  alibi,          // linear bias, symmetric: -slope_h * |i - j|
  relative_bias,  // learned bucketed bias per head, shared by all layers (T5); with `absolute_too`
                  // (MPNet)
};
enum class Activation : uint8_t { gelu_erf, gelu_tanh, relu, silu, tanh, sigmoid, identity };

struct ArchSpec {
  std::string family;  // "bert", "t5", ... the registered name
  ModelKind kind = ModelKind::transformer;
  int64_t vocab_size = 0;
  int64_t hidden = 0;  // D
  int64_t layers = 0;
  int64_t heads = 0;          // H
  int64_t head_dim = 0;       // usually D / H; T5 may differ
  int64_t ffn_hidden = 0;     // F, after gating
  int64_t type_vocab = 0;     // token types; row 0 is added to every token when > 0
  int64_t max_positions = 0;  // usable positions (offset taken off); 0 = no limit from positions
  int64_t pad_token_id = 0;

  NormKind norm = NormKind::layer_norm;
  NormPlace norm_place = NormPlace::post;
  float norm_eps = 1e-12F;
  bool embedding_norm = true;
  bool final_norm = false;
  bool first_layer_attn_norm = true;  // pre-norm only; ModernBERT's layer 0 has none
  bool norm_bias = true;
  bool qk_norm = false;          // layer norm over the whole q row and k row [H * head_dim]
  bool attn_inner_norm = false;  // post-norm only: y = inner_norm(x + attn(x)), then norm(x + y)

  PositionKind position = PositionKind::absolute;
  bool absolute_too = false;    // MPNet: a learned table besides the relative bias
  int64_t position_offset = 0;  // first position's row in the table (RoBERTa: pad_token_id + 1)
  double rotary_base = 10000.0;
  double rotary_base_local =
      0;  // ModernBERT: layers with local attention; 0 = rotary_base everywhere
  bool rotary_interleaved = false;  // pairs (2i, 2i+1) instead of (i, i + dim/2)
  int64_t rotary_dim = 0;           // 0 = head_dim
  int64_t relative_buckets = 32;
  int64_t relative_max_distance = 128;

  float attention_scale = 0;  // 0 = 1 / sqrt(head_dim); T5: 1
  int64_t local_window =
      0;  // ModernBERT: tokens on both sides together (128: 64 left, 64 right); 0 = all global
  int64_t global_every = 1;  // layers i with i % global_every == 0 attend globally
  bool qkv_bias = true;
  bool attn_out_bias = true;

  Activation activation = Activation::gelu_erf;
  bool gated_ffn = false;  // down(act(gate(x)) * up(x))
  bool ffn_in_bias = true;
  bool ffn_out_bias = true;

  std::vector<std::string> adapters;  // LoRA task names, in adapter-number order
  int64_t lora_rank = 0;
  float lora_scaling = 0;  // alpha / r

  float resolved_attention_scale() const;
};

// Pooling of token vectors into one, sentence-transformers' words. Several modes are concatenated
// in this order.
enum class PoolingMode : uint8_t { cls, max, mean, mean_sqrt_len, weighted_mean, last_token };
std::string_view pooling_mode_name(PoolingMode mode);

struct PoolingSpec {
  std::vector<PoolingMode>
      modes;  // in concatenation order: cls, max, mean, mean_sqrt_len, weighted_mean, last_token
  bool include_prompt = true;
};

Activation activation_from_name(std::string_view name,
                                std::string_view where);  // HF and torch class names
std::string_view activation_name(Activation activation);

}  // namespace akin
