// The protobuf reader and the conversion, on models whose bytes are written here; the shared
// fixtures when they are there.
#include "text/sentencepiece.h"

#include <gtest/gtest.h>

#include <bit>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"

namespace akin::text {
namespace {

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string number(int field, uint64_t value) { return varint(field * 8) + varint(value); }
std::string bytes(int field, std::string_view value) {
  return varint(field * 8 + 2) + varint(value.size()) + std::string(value);
}
std::string real(int field, float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  std::string out = varint(field * 8 + 5);
  for (int i = 0; i < 4; ++i) out += static_cast<char>(bits >> 8 * i);
  return out;
}
std::string piece(std::string_view text, float score, int type = 1) {
  return bytes(1, bytes(1, text) + real(2, score) + (type == 1 ? "" : number(3, type)));
}
std::string small_model(int algorithm = 1) {
  return piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3) +
         piece("\xE2\x96\x81", -1) + piece("a", -2) + piece("5,", -3) + piece("b", -4) +
         piece("ab", -1.5) + bytes(2, number(3, algorithm) + number(40, 0)) +
         bytes(3, bytes(1, "nmt_nfkc") + number(4, 1)) + bytes(99, "skipped");
}
SentencePieceConversion conversion(const std::string& tokenizer_class) {
  SentencePieceConversion options;
  options.tokenizer_class = tokenizer_class;
  return options;
}
nlohmann::json convert(const std::string& model, const std::string& tokenizer_class) {
  return nlohmann::json::parse(sentencepiece_to_tokenizer_json(read_sentencepiece(model, "m"),
                                                               conversion(tokenizer_class), "m"));
}

TEST(SentencePiece, ReadsEveryField) {
  const auto model = read_sentencepiece(
      piece("x", -1.25F, 4) +
          bytes(2, number(3, 2) + number(24, 1) + number(35, 1) + number(40, 3) + number(41, 4) +
                       number(42, 5) + number(43, static_cast<uint64_t>(-1)) + bytes(45, "[U]") +
                       bytes(46, "[B]") + bytes(47, "[E]") + bytes(48, "[P]")) +
          bytes(3, bytes(2, "map") + number(3, 0) + number(4, 0) + number(5, 0)),
      "m");
  ASSERT_EQ(model.pieces.size(), 1u);
  EXPECT_EQ(model.pieces[0].text, "x");
  EXPECT_EQ(model.pieces[0].score, -1.25F);
  EXPECT_EQ(model.pieces[0].type, SentencePieceModel::Type::user_defined);
  EXPECT_EQ(model.algorithm, SentencePieceModel::Algorithm::bpe);
  EXPECT_TRUE(model.treat_whitespace_as_suffix);
  EXPECT_TRUE(model.byte_fallback);
  EXPECT_EQ(model.unk_id, 3);
  EXPECT_EQ(model.pad_id, -1);
  EXPECT_EQ(model.unk_piece + model.bos_piece + model.eos_piece + model.pad_piece, "[U][B][E][P]");
  EXPECT_EQ(model.charsmap, "map");
  EXPECT_FALSE(model.add_dummy_prefix || model.remove_extra_whitespaces ||
               model.escape_whitespaces);
}

TEST(SentencePiece, RefusesDamage) {
  const std::string whole = small_model();
  for (size_t size = 0; size < whole.size(); ++size) {  // every cut gives a model or an error
    try {
      read_sentencepiece(whole.substr(0, size), "m");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::bad_format);
    }
  }
  const auto bad = [](const std::string& model) {
    EXPECT_THROW(read_sentencepiece(model, "m"), Error);
  };
  bad("");
  bad(varint(1 * 8 + 2) + varint(1000000000000) + "x");
  bad(std::string(12, '\xFF'));
  bad(varint(1 * 8 + 3));  // a group
  bad(piece("a", std::numeric_limits<float>::infinity()));
  bad(piece("\xFF", 0));
  bad(piece("", 0));
  bad(piece("a", 0, 9));
  bad(number(1, 5));  // a piece that is a number
  bad(small_model(7));
}

TEST(SentencePiece, ConvertsXlmRoberta) {
  const auto json = convert(small_model(), "XLMRobertaTokenizerFast");
  const auto& vocab = json["model"]["vocab"];
  ASSERT_EQ(vocab.size(), 10u);
  EXPECT_EQ(vocab[0][0], "<s>");
  EXPECT_EQ(vocab[1][0], "<pad>");
  EXPECT_EQ(vocab[2][0], "</s>");
  EXPECT_EQ(vocab[3][0], "<unk>");
  EXPECT_EQ(vocab[4][0], "\xE2\x96\x81");
  EXPECT_EQ(vocab[4][1], -1.0);
  EXPECT_EQ(vocab[9][0], "<mask>");
  EXPECT_EQ(json["model"]["unk_id"], 3);
  ASSERT_EQ(json["added_tokens"].size(), 5u);
  EXPECT_EQ(json["added_tokens"][4]["id"], 9);
  EXPECT_EQ(json["added_tokens"][4]["lstrip"], true);
  EXPECT_EQ(json["post_processor"]["special_tokens"]["</s>"]["ids"][0], 2);
  EXPECT_EQ(json["post_processor"]["single"].size(), 3u);
  EXPECT_EQ(json["pre_tokenizer"]["prepend_scheme"], "always");
}

TEST(SentencePiece, ConvertsOtherClasses) {
  auto json = convert(small_model(), "CamembertTokenizer");
  EXPECT_EQ(json["model"]["vocab"].size(), 13u);
  EXPECT_EQ(json["model"]["vocab"][5][0], "<s>");
  EXPECT_EQ(json["post_processor"]["special_tokens"]["<s>"]["ids"][0], 5);

  json = convert(small_model(), "");
  EXPECT_EQ(json["model"]["vocab"].size(), 8u);
  EXPECT_EQ(json["model"]["unk_id"], 0);
  EXPECT_TRUE(json["post_processor"].is_null());

  const std::string t5 = piece("<pad>", 0, 3) + piece("</s>", 0, 3) + piece("<unk>", 0, 2) +
                         piece("a", -1) + bytes(2, number(40, 2));
  json = convert(t5, "T5Tokenizer");
  EXPECT_EQ(json["model"]["vocab"].size(), 104u);
  EXPECT_EQ(json["model"]["vocab"][4][0], "<extra_id_99>");
  EXPECT_EQ(json["added_tokens"].size(), 103u);
  EXPECT_EQ(json["model"]["unk_id"], 2);

  const std::string albert = piece("<pad>", 0, 3) + piece("<unk>", 0, 2) + piece("[CLS]", 0, 3) +
                             piece("[SEP]", 0, 3) + piece("[MASK]", 0, 3) + piece("5,", -3) +
                             bytes(2, number(40, 1));
  json = convert(albert, "AlbertTokenizer");
  EXPECT_EQ(json["model"]["vocab"].size(), 6u);
  EXPECT_EQ(json["model"]["vocab"][5][1], -103.0);
  EXPECT_EQ(json["normalizer"]["normalizers"].size(), 6u);
}

TEST(SentencePiece, ConvertsBpePlainly) {
  const auto json = convert(small_model(2), "");
  EXPECT_EQ(json["model"]["type"], "BPE");
  EXPECT_EQ(json["model"]["vocab"]["ab"], 7);
  ASSERT_EQ(json["model"]["merges"].size(), 1u);
  EXPECT_EQ(json["model"]["merges"][0], (nlohmann::json{"a", "b"}));
}

TEST(SentencePiece, RefusesWhatItCannotConvert) {
  EXPECT_THROW(convert(small_model(), "MarianTokenizer"), Error);
  EXPECT_THROW(convert(small_model(), "AlbertTokenizer"), Error);  // no [CLS]
  EXPECT_THROW(convert(small_model(2), "T5Tokenizer"), Error);
  EXPECT_THROW(convert(small_model(3), ""), Error);
}

TEST(SentencePiece, AgreesWithTheFolderThatHasBothForms) {
  const std::filesystem::path folder = "../shared/data/tokenizers/xlmr_style_32k";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "skipped: no shared data";
  const auto model = load_sentencepiece(folder / "sentencepiece.bpe.model");
  const auto ours = nlohmann::json::parse(
      sentencepiece_to_tokenizer_json(model, conversion("XLMRobertaTokenizer"), "xlmr_style_32k"));
  const auto theirs = nlohmann::json::parse(read_file(folder / "tokenizer.json"));
  const auto& a = ours["model"]["vocab"];
  const auto& b = theirs["model"]["vocab"];
  EXPECT_EQ(b.size(), a.size() + 1);  // theirs has a language code before <mask>
  // The folder's two files were pruned apart: they share the first 21,446 tokens, and in its
  // tokenizer.json all scores are 0.
  for (size_t i = 0; i < 21446; ++i) ASSERT_EQ(a[i][0], b[i][0]);
  EXPECT_EQ(ours["normalizer"]["normalizers"][0]["precompiled_charsmap"],
            theirs["normalizer"]["precompiled_charsmap"]);
}

}  // namespace
}  // namespace akin::text
