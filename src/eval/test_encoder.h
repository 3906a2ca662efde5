// An encoder for tests whose vectors are known: a bag of the words "a" to "h", one axis each, and
// other words by hash. Not for anything else.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "core/encoder.h"

namespace akin::eval {

class WordEncoder final : public Encoder {
 public:
  explicit WordEncoder(size_t dim) {
    info_.name = "words";
    info_.fingerprint = "0123456789abcdef0123456789abcdef";
    info_.dim = dim;
  }
  EncoderInfo& mutable_info() { return info_; }
  const EncoderInfo& info() const override { return info_; }
  EncodeReport encode(std::span<const std::string_view> texts, const EncodeOptions& options,
                      MatView<float> out) override {
    EncodeReport report;
    report.texts = texts.size();
    ++calls;
    for (size_t i = 0; i < texts.size(); ++i) {
      seen.push_back(options.prompt.value_or("") + std::string(texts[i]));
      for (size_t c = 0; c < out.cols(); ++c) out(i, c) = 0;
      std::string_view rest = texts[i];
      while (!rest.empty()) {
        const size_t end = std::min(rest.find(' '), rest.size());
        const std::string_view word = rest.substr(0, end);
        if (!word.empty()) {
          const bool letter = word.size() == 1 && word[0] >= 'a' && word[0] <= 'h';
          out(i, (letter ? static_cast<size_t>(word[0] - 'a') : hash64(word)) % out.cols()) += 1;
          ++report.tokens;
        }
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
    }
    return report;
  }
  TokenVectors encode_tokens(std::string_view, const EncodeOptions&) override {
    throw_error(ErrorKind::unsupported, "words", "no token vectors");
  }
  std::vector<uint32_t> count_tokens(std::span<const std::string_view> texts,
                                     const EncodeOptions&) override {
    return std::vector<uint32_t>(texts.size(), 1);
  }
  std::vector<std::string> seen;
  size_t calls = 0;

 private:
  EncoderInfo info_;
};

}  // namespace akin::eval
