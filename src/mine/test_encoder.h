// An encoder for tests: the normalised counts of a text's words, an axis each by hash, or whole
// vectors by hand. Counts what it is asked. Not for anything else.
#pragma once

#include <cctype>
#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "core/encoder.h"

namespace akin::mine {

class WordEncoder final : public Encoder {
 public:
  explicit WordEncoder(size_t dim = 512, const std::string& name = "words") {
    info_.name = name;
    info_.fingerprint = name + " of the tests";
    info_.dim = dim;
  }
  const EncoderInfo& info() const override { return info_; }
  EncodeReport encode(std::span<const std::string_view> texts, const EncodeOptions&,
                      MatView<float> out) override {
    EncodeReport report;
    report.texts = texts.size();
    encoded += texts.size();
    if (fail_after > 0 && encoded > fail_after) throw_error(ErrorKind::interrupted, "", "stopped");
    for (size_t i = 0; i < texts.size(); ++i) {
      std::fill_n(out.row(i), out.cols(), 0.0F);
      if (const auto at = by_hand.find(std::string(texts[i])); at != by_hand.end()) {
        std::copy(at->second.begin(), at->second.end(), out.row(i));
      } else {
        add_words(texts[i], out.row(i), out.cols());
      }
      double norm = 0;
      for (size_t c = 0; c < out.cols(); ++c) norm += double{out(i, c)} * double{out(i, c)};
      if (norm == 0) continue;
      for (size_t c = 0; c < out.cols(); ++c) out(i, c) /= static_cast<float>(std::sqrt(norm));
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

  std::map<std::string, std::vector<float>> by_hand;
  size_t encoded = 0, fail_after = 0;  // texts; 0: never

 private:
  static void add_words(std::string_view text, float* row, size_t dims) {
    std::string word;
    for (size_t i = 0; i <= text.size(); ++i) {
      const auto c = static_cast<unsigned char>(i < text.size() ? text[i] : ' ');
      if (std::isalnum(c) != 0 || c >= 0x80) {
        word += static_cast<char>(std::tolower(c));
      } else if (!word.empty()) {
        row[hash64(word) % dims] += 1;
        word.clear();
      }
    }
  }
  EncoderInfo info_;
};

}  // namespace akin::mine
