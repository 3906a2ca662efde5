// BPE on small vocabularies, and the RoBERTa fixtures when the shared data is there.
#include "text/bpe.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "text/byte_level.h"

namespace akin::text {
namespace {

std::unique_ptr<SubwordModel> read(std::string_view json) {
  const JsonDocument document = JsonDocument::parse(json, "tokenizer.json");
  return make_bpe(JsonValue(document));
}

std::vector<int32_t> ids(const SubwordModel& model, std::string_view piece) {
  std::vector<SubToken> tokens;
  model.tokenize(piece, tokens);
  uint32_t end = 0;
  std::vector<int32_t> out;
  for (const auto& t : tokens) {
    EXPECT_EQ(t.begin, end);
    end = t.end;
    EXPECT_LE(end, piece.size());
    out.push_back(t.id);
  }
  return out;
}
using Ids = std::vector<int32_t>;

TEST(Bpe, MergesLowestRankFirst) {
  for (const char* merges : {R"(["a b","b c","ab c"])", R"([["a","b"],["b","c"],["ab","c"]])"}) {
    const auto model = read(fmt::format(
        R"({{"vocab":{{"a":0,"b":1,"c":2,"ab":3,"bc":4,"abc":5}},"merges":{}}})", merges));
    EXPECT_EQ(ids(*model, "abc"), (Ids{5}));
    EXPECT_EQ(ids(*model, "bcabab"), (Ids{4, 3, 3}));
    EXPECT_EQ(ids(*model, "xa"), (Ids{0}));  // no unk token: dropped
    EXPECT_EQ(ids(*model, ""), Ids{});
  }
}

TEST(Bpe, UnknownCharacters) {
  const std::string_view json =
      R"({"unk_token":"<unk>","fuse_unk":FUSE,"vocab":{"<unk>":0,"a":1,"b":2},"merges":[]})";
  const auto with = [&](const char* fuse) {
    std::string text(json);
    return read(text.replace(text.find("FUSE"), 4, fuse));
  };
  EXPECT_EQ(ids(*with("false"), "xxab"), (Ids{0, 0, 1, 2}));
  EXPECT_EQ(ids(*with("true"), "xxabx"), (Ids{0, 1, 2, 0}));
}

TEST(Bpe, ByteFallbackDoesNotFlushUnknownOnes) {
  // As the reference has it: bytes go out at once, the pending unknown token after them.
  const auto model = read(
      R"({"unk_token":"<unk>","byte_fallback":true,"vocab":{"<unk>":0,"<0x78>":1,"a":2},"merges":[]})");
  std::vector<SubToken> tokens;
  model->tokenize("yxa", tokens);
  ASSERT_EQ(tokens.size(), 3u);
  EXPECT_EQ(tokens[0].id, 1);
  EXPECT_EQ(tokens[1].id, 0);
  EXPECT_EQ(tokens[2].id, 2);
}

TEST(Bpe, PrefixAndSuffix) {
  const auto model = read(
      R"({"continuing_subword_prefix":"##","end_of_word_suffix":"</w>",
          "vocab":{"a":0,"##b":1,"##c</w>":2,"ab":3,"abc</w>":4,"a</w>":5},"merges":["a ##b","ab ##c</w>"]})");
  EXPECT_EQ(ids(*model, "abc"), (Ids{4}));
  EXPECT_EQ(ids(*model, "a"), (Ids{5}));
}

TEST(Bpe, IgnoreMergesTakesWholeTokens) {
  const auto model = read(R"({"ignore_merges":true,"vocab":{"a":0,"b":1,"ab":2},"merges":[]})");
  EXPECT_EQ(ids(*model, "ab"), (Ids{2}));
  EXPECT_EQ(ids(*model, "aba"), (Ids{0, 1, 0}));
}

TEST(Bpe, LongPiece) {
  const auto model = read(R"({"vocab":{"a":0,"aa":1,"aaaa":2},"merges":["a a","aa aa"]})");
  EXPECT_EQ(ids(*model, std::string(40001, 'a')).size(), 10001u);
}

TEST(Bpe, RefusesBadModels) {
  EXPECT_THROW(read(R"({"vocab":{"a":0}})"), Error);
  EXPECT_THROW(read(R"({"vocab":{},"merges":[]})"), Error);
  EXPECT_THROW(read(R"({"vocab":{"a":-1},"merges":[]})"), Error);
  EXPECT_THROW(read(R"({"vocab":{"a":2000000000},"merges":[]})"), Error);
  EXPECT_THROW(read(R"({"vocab":{"a":0,"b":0},"merges":[]})"), Error);
  EXPECT_THROW(read(R"({"vocab":{"a":0,"b":1},"merges":["a b"]})"), Error);
  EXPECT_THROW(read(R"({"vocab":{"a":0},"merges":["a"]})"), Error);
  EXPECT_THROW(read(R"({"vocab":{"a":0},"merges":[3]})"), Error);
  EXPECT_THROW(read(R"({"dropout":0.1,"vocab":{"a":0},"merges":[]})"), Error);
  EXPECT_THROW(read(R"({"unk_token":"x","vocab":{"a":0},"merges":[]})"), Error);
}

TEST(Bpe, RobertaFilesAgreeWithTokenizerJson) {
  const std::filesystem::path folder = "../shared/data/tokenizers/roberta-base";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "skipped: no shared data";
  const auto from_files = make_bpe_from_files(folder / "vocab.json", folder / "merges.txt");
  const JsonDocument document = JsonDocument::load(folder / "tokenizer.json");
  const auto from_json = make_bpe(JsonValue(document).at("model"));
  ASSERT_EQ(from_files->vocab_size(), from_json->vocab_size());
  const auto encode = [](const SubwordModel& model, std::string_view text) {
    Ids out;
    for (size_t pos = 0; pos < text.size();) {
      const size_t end = byte_level_next(text, pos);
      std::string piece;
      byte_level_encode(text.substr(pos, end - pos), piece);
      for (const int32_t id : ids(model, piece)) out.push_back(id);
      pos = end;
    }
    return out;
  };
  EXPECT_EQ(encode(*from_files, "Hello world"), (Ids{31414, 232}));
  const std::string text = read_file("../shared/data/tokenizers/sentencepiece_test/botchan.txt");
  EXPECT_EQ(encode(*from_files, text), encode(*from_json, text));
}

}  // namespace
}  // namespace akin::text
