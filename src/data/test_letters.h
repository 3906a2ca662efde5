// A WordPiece tokenizer of the letters a to z and BERT's special tokens, for unit tests. Not part
// of the library.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>

#include "text/tokenizer.h"

namespace akin::data {

inline std::unique_ptr<text::Tokenizer> letters() {
  std::string vocab;
  int id = 0;
  for (const char* special : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    vocab += fmt::format("\"{}\":{},", special, id++);
  }
  for (char c = 'a'; c <= 'z'; ++c) vocab += fmt::format("\"{}\":{},", c, id++);
  vocab.pop_back();
  std::string special;
  for (int i = 0; i < 5; ++i) {
    constexpr const char* kNames[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    special += fmt::format(
        R"({}{{"id":{},"content":"{}","special":true,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false}})",
        i == 0 ? "" : ",", i, kNames[i]);
  }
  return text::Tokenizer::from_json(
      R"({"added_tokens":[)" + special +
          R"(],"pre_tokenizer":{"type":"BertPreTokenizer"},"post_processor":{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]},"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{)" +
          vocab + "}}}",
      "test");
}

}  // namespace akin::data
