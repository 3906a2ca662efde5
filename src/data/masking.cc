#include "data/masking.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"

namespace akin::data {
namespace {

constexpr size_t kMostChoices = 256;  // of a text's decoder
constexpr double kMasked = 0.8, kRandom = 0.1;

// The runs of tokens with one word.
struct Words {
  std::vector<uint32_t> begin, size;
  size_t tokens = 0;

  explicit Words(std::span<const uint32_t> words) {
    for (size_t i = 0; i < words.size(); ++i) {
      if (words[i] == text::WholeWords::kNone) continue;
      ++tokens;
      if (i > 0 && words[i - 1] == words[i]) {
        ++size.back();
      } else {
        begin.push_back(static_cast<uint32_t>(i));
        size.push_back(1);
      }
    }
  }
};

// Marks the chosen tokens in `hidden`, which has a 0 for every token.
void choose(const Words& words, double share, Rng& rng, std::span<uint8_t> hidden) {
  const auto tokens = static_cast<double>(words.tokens);
  const auto wanted = std::max<size_t>(1, static_cast<size_t>(std::llround(share * tokens)));
  std::vector<uint32_t> order(words.begin.size());
  std::iota(order.begin(), order.end(), 0U);
  size_t taken = 0;
  for (size_t i = 0; i < order.size() && taken < wanted; ++i) {
    std::swap(order[i], order[i + rng.below(order.size() - i)]);
    const size_t word = order[i];
    // A text of one long word is masked as a whole rather than not at all.
    if (taken + words.size[word] > wanted && (taken > 0 || i + 1 < order.size())) continue;
    taken += words.size[word];
    std::fill_n(hidden.begin() + words.begin[word], words.size[word], uint8_t{1});
  }
}

}  // namespace

std::vector<uint32_t> choose_tokens(std::span<const uint32_t> words, double share, Rng& rng) {
  std::vector<uint8_t> hidden(words.size(), 0);
  choose(Words(words), share, rng, hidden);
  std::vector<uint32_t> out;
  for (size_t i = 0; i < hidden.size(); ++i) {
    if (hidden[i] != 0) out.push_back(static_cast<uint32_t>(i));
  }
  return out;
}

MaskTokens::MaskTokens(const text::Tokenizer& tokenizer) {
  const auto find = [&]() -> int32_t {
    for (const std::string_view name : {"[MASK]", "<mask>"}) {
      if (const auto id = tokenizer.token_id(name)) return *id;
    }
    throw_error(ErrorKind::unsupported, "model.tokenizer",
                "the vocabulary has neither [MASK] nor <mask>, so nothing can be masked; "
                "akin tokenizer train makes vocabularies that have one");
  };
  mask_id_ = find();
  for (size_t i = 0; i < tokenizer.vocab_size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    if (!tokenizer.is_special(id) && !tokenizer.token(id).empty() && id != mask_id_ &&
        id != tokenizer.unk_id()) {
      ordinary_.push_back(id);
    }
  }
  if (ordinary_.empty()) {
    throw_error(ErrorKind::unsupported, "model.tokenizer", "has special tokens only");
  }
}

void MaskTokens::hide(std::span<const uint32_t> chosen, Rng& rng, std::span<int32_t> ids) const {
  for (const uint32_t i : chosen) {
    const double draw = rng.uniform();
    if (draw < kMasked) {
      ids[i] = mask_id_;
    } else if (draw < kMasked + kRandom) {
      ids[i] = ordinary_[rng.below(ordinary_.size())];
    }
  }
}

Masker::Masker(const text::Tokenizer& tokenizer, bool whole_words,
               const std::filesystem::path& segmenter)
    : tokens_(tokenizer),
      whole_words_(whole_words),
      segmenter_(segmenter.empty() ? nullptr : text::Tokenizer::load_folder(segmenter)),
      splitter_(tokenizer, segmenter_.get()) {}

std::vector<uint32_t> Masker::words(std::span<const int32_t> ids) const {
  std::vector<uint32_t> out;
  splitter_.split(ids, out);
  if (whole_words_) return out;
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i] != text::WholeWords::kNone) out[i] = static_cast<uint32_t>(i);
  }
  return out;
}

MaskedBatch Masker::mask(const TokenBatch& batch, double share, uint64_t seed) const {
  MaskedBatch out;
  out.texts = batch;
  for (size_t b = 0; b < batch.size(); ++b) {
    Rng rng(hash64(fmt::format("mask {}", b), seed));
    const auto ids = batch.text(b);
    const auto chosen = choose_tokens(words(ids), share, rng);
    for (const uint32_t i : chosen) {
      out.positions.push_back(batch.offsets[b] + i);
      out.labels.push_back(ids[i]);
    }
    tokens_.hide(chosen, rng, std::span(out.texts.ids).subspan(batch.offsets[b], ids.size()));
  }
  return out;
}

std::vector<uint8_t> decoder_visibility(std::span<const uint32_t> words, double share, Rng& rng) {
  const size_t length = words.size(), choices = std::min(length, kMostChoices);
  const Words runs(words);
  std::vector<uint8_t> hidden(choices * length, 0);
  for (size_t c = 0; c < choices; ++c) {
    choose(runs, share, rng, std::span(hidden).subspan(c * length, length));
  }
  std::vector<uint8_t> visible(length * length);
  for (size_t i = 0; i < length; ++i) {
    const uint8_t* choice = hidden.data() + rng.below(choices) * length;
    std::transform(choice, choice + length, visible.begin() + static_cast<ptrdiff_t>(i * length),
                   [](uint8_t h) { return static_cast<uint8_t>(1 - h); });
    visible[i * length] = 1;
    visible[i * length + i] = length == 1 ? 1 : 0;
  }
  return visible;
}

}  // namespace akin::data
