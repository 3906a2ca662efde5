#include "model/merge_check.h"

#include <fmt/format.h>

#include "model/load.h"

namespace akin::model {
namespace {

constexpr size_t kTokensShown = 3;

class Differences {
 public:
  template <typename T>
  void compare(const char* what, const T& a, const T& b) {
    if (a != b) out_.push_back(fmt::format("{}: {} and {}", what, a, b));
  }
  template <typename T>
  void compare_enum(const char* what, T a, T b) {
    compare(what, static_cast<int>(a), static_cast<int>(b));
  }
  void add(std::string words) { out_.push_back(std::move(words)); }
  std::vector<std::string> take() { return std::move(out_); }

 private:
  std::vector<std::string> out_;
};

void compare_sizes(const ArchSpec& a, const ArchSpec& b, Differences& out) {
  out.compare("family", a.family, b.family);
  out.compare("vocabulary", a.vocab_size, b.vocab_size);
  out.compare("hidden size", a.hidden, b.hidden);
  out.compare("layers", a.layers, b.layers);
  out.compare("heads", a.heads, b.heads);
  out.compare("head size", a.head_dim, b.head_dim);
  out.compare("feed-forward size", a.ffn_hidden, b.ffn_hidden);
  out.compare("token types", a.type_vocab, b.type_vocab);
  out.compare("positions", a.max_positions, b.max_positions);
  out.compare("LoRA rank", a.lora_rank, b.lora_rank);
  out.compare("LoRA scaling", a.lora_scaling, b.lora_scaling);
  out.compare("adapters", fmt::format("{}", fmt::join(a.adapters, ",")),
              fmt::format("{}", fmt::join(b.adapters, ",")));
}

void compare_functions(const ArchSpec& a, const ArchSpec& b, Differences& out) {
  out.compare_enum("kind", a.kind, b.kind);
  out.compare_enum("norm", a.norm, b.norm);
  out.compare_enum("place of the norm", a.norm_place, b.norm_place);
  out.compare("epsilon of the norms", a.norm_eps, b.norm_eps);
  constexpr std::string_view kPositions[] = {"none", "absolute", "rotary", "alibi",
                                             "relative bias"};
  out.compare("positions are", kPositions[static_cast<size_t>(a.position)],
              kPositions[static_cast<size_t>(b.position)]);
  out.compare("rotary base", a.rotary_base, b.rotary_base);
  out.compare("local rotary base", a.rotary_base_local, b.rotary_base_local);
  out.compare("rotary size", a.rotary_dim, b.rotary_dim);
  out.compare("rotary pairs interleaved", a.rotary_interleaved, b.rotary_interleaved);
  out.compare("attention scale", a.resolved_attention_scale(), b.resolved_attention_scale());
  out.compare("local window", a.local_window, b.local_window);
  out.compare("activation", activation_name(a.activation), activation_name(b.activation));
  out.compare("gated feed-forward", a.gated_ffn, b.gated_ffn);
}

void compare_tokenizers(const text::Tokenizer& a, const text::Tokenizer& b, Differences& out) {
  if (a.hash() == b.hash()) return;
  out.compare("tokenizer", a.model_type(), b.model_type());
  out.compare("tokens", a.vocab_size(), b.vocab_size());
  if (a.model_type() != b.model_type() || a.vocab_size() != b.vocab_size()) return;
  size_t different = 0;
  std::string shown;
  for (size_t i = 0; i < a.vocab_size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    if (a.token(id) == b.token(id)) continue;
    if (different++ < kTokensShown) {
      shown += fmt::format("{}{} is {} and {}", shown.empty() ? "" : ", ", id,
                           quote(a.token(id), 40), quote(b.token(id), 40));
    }
  }
  if (different > 0) out.add(fmt::format("{} tokens ({})", different, shown));
  const auto ids = [](std::span<const int32_t> list) {
    return fmt::format("{}", fmt::join(list, " "));
  };
  out.compare("tokens before a text", ids(a.prefix_ids()), ids(b.prefix_ids()));
  out.compare("tokens after a text", ids(a.suffix_ids()), ids(b.suffix_ids()));
  constexpr std::string_view kProbe = "Ünder the OAK,\t2nd try — 你好，世界 e\xCC\x81 don't";
  std::vector<int32_t> of_a, of_b;
  a.encode(kProbe, true, of_a);
  b.encode(kProbe, true, of_b);
  if (of_a != of_b) out.add("the tokenizers cut the same text into different tokens");
}

}  // namespace

std::vector<std::string> model_differences(const Model& a, const Model& b) {
  Differences out;
  compare_sizes(a.arch, b.arch, out);
  compare_functions(a.arch, b.arch, out);
  if (a.arch.kind == ModelKind::transformer) {
    out.compare("pooling", pooling_name(a.pooling), pooling_name(b.pooling));
  }
  out.compare("dimensions of the vector", a.dim, b.dim);
  out.compare("heads behind the pooling", a.heads.size(), b.heads.size());
  out.compare("lower-cases texts", a.do_lower_case, b.do_lower_case);
  compare_tokenizers(*a.tokenizer, *b.tokenizer, out);
  return out.take();
}

}  // namespace akin::model
