// For the tests of this room: small tokenizers made by hand, hostile random text, and the shared
// fixtures. Not part of the library.
#pragma once

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "base/rng.h"
#include "text/utf8.h"

namespace akin::text {

inline std::string wordpiece_json(const std::string& normalizer_options,
                                  const std::string& added = "") {
  static constexpr const char* kTokens[] = {"[PAD]",
                                            "[UNK]",
                                            "[CLS]",
                                            "[SEP]",
                                            "[MASK]",
                                            "a",
                                            "##a",
                                            "b",
                                            "##b",
                                            "ab",
                                            "abc",
                                            "##bc",
                                            "c",
                                            "##c",
                                            "hello",
                                            "he",
                                            "##l",
                                            "##llo",
                                            "1",
                                            "##1",
                                            "!",
                                            ",",
                                            ".",
                                            "'",
                                            "中",
                                            "国",
                                            "é",
                                            "##é",
                                            "ß",
                                            "i̇",
                                            "ᄒ",
                                            "##ᅡ",
                                            "##ᆫ",
                                            "한",
                                            "A",
                                            "B",
                                            "##B",
                                            "Hello",
                                            "word",
                                            "##word",
                                            "_",
                                            "##_",
                                            "x",
                                            "##x",
                                            "[",
                                            "]",
                                            "##]",
                                            "longerthansixteenbytes",
                                            "\xF0\x9F\x98\x80"};
  std::string vocab;
  int id = 0;
  for (const char* token : kTokens) {
    vocab += (id == 0 ? "\"" : ",\"") + std::string(token) + "\":" + std::to_string(id);
    ++id;
  }
  return R"({"version":"1.0","truncation":{"max_length":128},"added_tokens":[)" + added +
         R"({"id":2,"content":"[CLS]","normalized":false,"special":true},)"
         R"({"id":3,"content":"[SEP]","normalized":false,"special":true},)"
         R"({"id":4,"content":"[MASK]","lstrip":true,"normalized":false,"special":true}],)"
         R"("normalizer":{"type":"BertNormalizer")" +
         normalizer_options +
         R"(},"pre_tokenizer":{"type":"BertPreTokenizer"},)"
         R"("post_processor":{"type":"BertProcessing","cls":["[CLS]",2],"sep":["[SEP]",3]},)"
         R"("decoder":{"type":"WordPiece"},)"
         R"("model":{"type":"WordPiece","unk_token":"[UNK]","vocab":{)" +
         vocab + "}}}";
}

// Text that goes for the seams: marks out of order, controls, compatibility forms, long words,
// special tokens spelled out, invalid bytes when asked for.
inline std::string hostile_text(Rng& rng, size_t pieces, bool invalid) {
  static constexpr uint32_t kRanges[][2] = {
      {0x00, 0x7F},       {0x20, 0x7E},       {0x61, 0x7A},        {0x41, 0x5A},
      {0x80, 0x24F},      {0x300, 0x36F},     {0x370, 0x5FF},      {0x900, 0xDFF},
      {0x1100, 0x11FF},   {0x1AB0, 0x1AFF},   {0x1E00, 0x20CF},    {0x2100, 0x2BFF},
      {0x3000, 0x30FF},   {0x302A, 0x302F},   {0x4E00, 0x9FFF},    {0xAC00, 0xD7A3},
      {0xE000, 0xE010},   {0xF900, 0xFAFF},   {0xFE00, 0xFFFF},    {0x10000, 0x1FFFF},
      {0x1D160, 0x1D170}, {0x20000, 0x2FA1F}, {0xE0000, 0x10FFFF}, {0x8CA, 0x8D3},
      {0x1BC9E, 0x1BCA3}};
  static constexpr const char* kPieces[] = {" ",
                                            "hello",
                                            "abc",
                                            "[CLS]",
                                            "[MASK]",
                                            " [MASK] ",
                                            "[SEP",
                                            "中国",
                                            "é",
                                            "e\xCC\x81",
                                            "İ",
                                            "word",
                                            "Hello!",
                                            "ab1",
                                            "\xEF\xBF\xBD",
                                            "longerthansixteenbytes",
                                            "\n",
                                            "\t",
                                            "'s",
                                            "▁"};
  std::string text;
  for (size_t i = 0; i < pieces; ++i) {
    const uint64_t kind = rng.below(8);
    if (kind < 3) {
      text += kPieces[rng.below(std::size(kPieces))];
    } else if (kind == 3 && invalid) {
      text += static_cast<char>(rng.below(256));
    } else if (kind == 4 && rng.below(20) == 0) {
      text.append(90 + rng.below(30), "ax"[rng.below(2)]);
    } else {
      const auto& range = kRanges[rng.below(std::size(kRanges))];
      for (uint64_t n = 1 + rng.below(4); n > 0; --n) {
        const auto c = static_cast<char32_t>(range[0] + rng.below(range[1] - range[0] + 1));
        if (c < 0xD800 || c > 0xDFFF) append_utf8(c, text);
      }
    }
  }
  return text;
}

inline const std::filesystem::path kSharedTokenizers = "../shared/data/tokenizers";

// What `gzip -dc` makes of a file; empty when it cannot.
inline std::string unzip(const std::filesystem::path& path) {
  std::string out;
  if (std::FILE* pipe = popen(("gzip -dc '" + path.string() + "'").c_str(), "r")) {
    char buffer[65536];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, n);
    pclose(pipe);
  }
  return out;
}

// A folder below the temporary directory that goes away with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "akin_text_XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace akin::text
