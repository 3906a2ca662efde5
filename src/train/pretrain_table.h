// The table of a recipe that asks for pre-training: [pretrain]. Fields only; recipe.h reads it,
// train/objectives does what it asks for.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace akin::train {

enum class PretrainObjective : uint8_t { none, mlm, retromae, dupmae };
enum class Decoding : uint8_t { enhanced, basic };
inline std::span<const std::string_view> choices(PretrainObjective) {
  static constexpr std::string_view kWords[] = {"none", "mlm", "retromae", "dupmae"};
  return kWords;
}
inline std::span<const std::string_view> choices(Decoding) {
  static constexpr std::string_view kWords[] = {"enhanced", "basic"};
  return kWords;
}

// [pretrain]: with an objective, sources are texts alone, and [loss] does not count.
struct PretrainTable {
  PretrainObjective objective = PretrainObjective::none;
  double mask = 0.15, decoder_mask = 0.5, bag_weight = 0.1;
  Decoding decoding = Decoding::enhanced;
  bool whole_words = true, pack = true;
  std::string segmenter;
  uint64_t length = 0;
  std::vector<std::string> stages;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("objective=NAME", objective,
      "mlm: masked tokens; retromae: these, and the whole text from its sentence vector; dupmae: "
      "these, and the bag of its words; none: contrastive training");
    v("mask=SHARE", mask, "of tokens that the encoder does not see; RetroMAE 0.3");
    v("decoder-mask=SHARE", decoder_mask, "of tokens that a row of the decoder does not see");
    v("decoding=KIND", decoding, "retromae, dupmae: enhanced or basic decoding");
    v("bag-weight=X", bag_weight, "dupmae: weight of the bag of words");
    v("[no-]whole-words", whole_words, "hide words as a whole, not token by token");
    v("segmenter=PATH", segmenter,
      "tokenizer folder whose pieces are the words of scripts without spaces; default: each token "
      "of these is a word");
    v("[no-]pack", pack, "lay texts end to end and cut them at the length; else a text as it is");
    v("length=N", length, "tokens of a packed text; 0 = as long as the model reads");
    v("stages=STEP:N", stages,
      "from that step on, another length; a batch keeps its number of tokens");
  }
};

// What holds from step `begin` on.
struct PretrainStage {
  uint64_t begin = 0, length = 0, batch = 0;
};
// In order; the first begins at 0. `longest`: what the model reads, `batch`: texts of the first
// stage. Errors: usage.
std::vector<PretrainStage> pretrain_stages(const PretrainTable& table, uint64_t longest,
                                           uint64_t batch);

}  // namespace akin::train
