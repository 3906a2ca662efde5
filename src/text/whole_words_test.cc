// Words out of tokens: WordPiece continuations, pieces of Unigram vocabularies, byte-level ones,
// Chinese by character and by the pieces of a segmenter.
#include "text/whole_words.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace akin::text {
namespace {

using nlohmann::json;

std::unique_ptr<Tokenizer> word_piece(const std::vector<std::string>& tokens) {
  json vocab;
  for (const char* special : {"[PAD]", "[UNK]", "[CLS]", "[SEP]"}) vocab[special] = vocab.size();
  for (const auto& token : tokens) vocab[token] = vocab.size();
  const json out = {{"added_tokens", json::array()},
                    {"normalizer",
                     {{"type", "BertNormalizer"},
                      {"clean_text", true},
                      {"lowercase", true},
                      {"handle_chinese_chars", true},
                      {"strip_accents", nullptr}}},
                    {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
                    {"post_processor",
                     {{"type", "BertProcessing"}, {"sep", {"[SEP]", 3}}, {"cls", {"[CLS]", 2}}}},
                    {"model",
                     {{"type", "WordPiece"},
                      {"unk_token", "[UNK]"},
                      {"vocab", vocab},
                      {"continuing_subword_prefix", "##"},
                      {"max_input_chars_per_word", 100}}}};
  return Tokenizer::from_json(out.dump(), "test");
}

std::unique_ptr<Tokenizer> unigram(const std::vector<std::string>& tokens) {
  json vocab = json::array({json::array({"<unk>", 0.0})});
  for (const auto& token : tokens) vocab.push_back(json::array({token, -1.0}));
  const json out = {{"added_tokens", json::array()},
                    {"pre_tokenizer",
                     {{"type", "Metaspace"},
                      {"replacement", "\u2581"},
                      {"add_prefix_space", true},
                      {"prepend_scheme", "always"}}},
                    {"model", {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocab}}}};
  return Tokenizer::from_json(out.dump(), "test");
}

std::vector<int> words_of(const Tokenizer& tokenizer, std::string_view text,
                          const Tokenizer* segmenter = nullptr) {
  std::vector<int32_t> ids;
  tokenizer.encode(text, true, ids);
  std::vector<uint32_t> words;
  WholeWords(tokenizer, segmenter).split(ids, words);
  std::vector<int> out;
  for (const uint32_t word : words) {
    out.push_back(word == WholeWords::kNone ? -1 : static_cast<int>(word));
  }
  return out;
}

TEST(WholeWords, WordPieceContinuationsJoin) {
  const auto tokenizer = word_piece({"play", "##ing", "##s", "out", ",", "中", "国", "人"});
  EXPECT_EQ(words_of(*tokenizer, "playing, out plays"),
            (std::vector<int>{-1, 0, 0, 1, 2, 3, 3, -1}));
  // An unknown word belongs to none and joins nothing.
  EXPECT_EQ(words_of(*tokenizer, "out zzz play"), (std::vector<int>{-1, 0, -1, 1, -1}));
  EXPECT_EQ(words_of(*tokenizer, "中国人out"), (std::vector<int>{-1, 0, 1, 2, 3, -1}));
}

TEST(WholeWords, ChineseBySegmenter) {
  const auto tokenizer = word_piece({"out", "中", "国", "人", "大"});
  const auto segmenter = unigram({"\u2581", "中国", "人", "大", "中", "国", "\u2581中国"});
  EXPECT_EQ(words_of(*tokenizer, "中国人 out 大中国", segmenter.get()),
            (std::vector<int>{-1, 0, 0, 1, 2, 3, 4, 4, -1}));
}

TEST(WholeWords, UnigramPiecesJoinUpToTheNextSpace) {
  const auto tokenizer =
      unigram({"\u2581play", "ing", "\u2581out", ",", "\u2581", "中国", "人", "s"});
  // Punctuation stands alone, and nothing joins Chinese.
  EXPECT_EQ(words_of(*tokenizer, "playing, outs"), (std::vector<int>{0, 0, 1, 2, 2}));
  EXPECT_EQ(words_of(*tokenizer, "out中国人"), (std::vector<int>{0, 1, 2}));
}

}  // namespace
}  // namespace akin::text
