// What makes two models give different vectors, as one short hash (XXH3-128, base/hash.h).
//
// fingerprint (on every load, so it must not read hundreds of megabytes): for each weight in
// canonical-name order its name, dtype, shape, and its bytes if it has at most 4096 of them, else 4
// blocks of 64 bytes: the first, the last, and two at even distances between (each block costs a
// page fault and what the kernel reads ahead); then the tokenizer's hash, every field of the
// architecture, pooling, heads, prompts, lower-casing. It finds a wrong file, another revision or a
// retrained model; it would not find a single flipped bit. That is what weights_hash() is for,
// which reads every byte.
#include <algorithm>

#include "base/hash.h"
#include "model/load.h"

namespace akin::model {
namespace {

constexpr size_t kWhole = 4096, kBlocks = 4, kBlock = 64;

void add_sample(Hasher& hasher, std::span<const std::byte> bytes) {
  if (bytes.size() <= kWhole) {
    hasher.add(bytes);
    return;
  }
  for (size_t i = 0; i + 1 < kBlocks; ++i) {
    hasher.add(bytes.subspan((bytes.size() - kBlock) / (kBlocks - 1) * i, kBlock));
  }
  hasher.add(bytes.last(kBlock));
}

void add_header(Hasher& hasher, std::string_view name, const Tensor& tensor) {
  hasher.add(name);
  hasher.add(dtype_name(tensor.dtype));
  hasher.add(tensor.shape_string());
}

void add_arch(Hasher& hasher, const ArchSpec& arch) {
  hasher.add(fmt::format(
      "{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} "
      "{} "
      "{} {} {} {} {} {} {} {} {}",
      arch.family, static_cast<int>(arch.kind), arch.vocab_size, arch.hidden, arch.layers,
      arch.heads, arch.head_dim, arch.ffn_hidden, arch.type_vocab, static_cast<int>(arch.norm),
      static_cast<int>(arch.norm_place), arch.norm_eps, arch.embedding_norm, arch.final_norm,
      arch.first_layer_attn_norm, arch.norm_bias, arch.qk_norm, arch.attn_inner_norm,
      static_cast<int>(arch.position), arch.absolute_too, arch.position_offset, arch.rotary_base,
      arch.rotary_base_local, arch.rotary_interleaved, arch.rotary_dim, arch.relative_buckets,
      arch.relative_max_distance, arch.resolved_attention_scale(), arch.local_window,
      arch.global_every, arch.qkv_bias, arch.attn_out_bias, static_cast<int>(arch.activation),
      arch.gated_ffn, arch.ffn_in_bias, arch.ffn_out_bias, arch.lora_rank, arch.lora_scaling,
      arch.adapters.size(), arch.pad_token_id));
  for (const std::string& task : arch.adapters) hasher.add(task);
}

void add_modules(Hasher& hasher, const Model& model) {
  for (const PoolingMode mode : model.pooling.modes) hasher.add(pooling_mode_name(mode));
  hasher.add(uint64_t{model.pooling.include_prompt});
  for (const Head& head : model.heads) {
    if (head.kind == HeadKind::normalize) {
      hasher.add("normalize");
      continue;
    }
    const DenseSpec& dense = model.dense[head.dense_index];
    hasher.add(fmt::format("dense {} {} {} {} {}", dense.in, dense.out, dense.bias,
                           dense.use_residual, activation_name(dense.activation)));
  }
  const StaticSpec& fixed = model.static_spec;
  hasher.add(fmt::format("static {} {} {} {}", fixed.has_mapping, fixed.has_weights,
                         fixed.normalize, fixed.skip_unk));
}

void add_prompts(Hasher& hasher, const std::map<std::string, std::string>& prompts) {
  hasher.add(prompts.size());
  for (const auto& [name, text] : prompts) {
    hasher.add(name);
    hasher.add(text);
  }
}

}  // namespace

std::string make_fingerprint(const Model& model) {
  Hasher hasher;
  hasher.add("akin fingerprint 1");
  for (const std::string& name : model.weights->names()) {
    const Tensor& tensor = model.weights->at(name);
    add_header(hasher, name, tensor);
    add_sample(hasher, tensor.bytes);
  }
  hasher.add(model.tokenizer->hash());
  add_arch(hasher, model.arch);
  add_modules(hasher, model);
  add_prompts(hasher, model.prompts);
  add_prompts(hasher, model.task_prompts);
  hasher.add(model.default_prompt_name);
  hasher.add(uint64_t{model.do_lower_case});
  return hasher.hex();
}

std::string weights_hash(const Model& model) {
  Hasher hasher;
  for (const std::string& name : model.weights->names()) {
    const Tensor& tensor = model.weights->at(name);
    add_header(hasher, name, tensor);
    hasher.add(tensor.bytes);
  }
  return hasher.hex();
}

}  // namespace akin::model
