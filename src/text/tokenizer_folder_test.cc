// Model folders: every file form, and what the small files change.
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "text/test_text.h"
#include "text/tokenizer.h"

namespace akin::text {
namespace {

using Ids = std::vector<int32_t>;

class TokenizerFolder : public ::testing::Test {
 protected:
  void put(const std::string& name, std::string_view bytes) {
    write_file(folder_.path() / name, bytes);
  }
  std::unique_ptr<Tokenizer> load() { return Tokenizer::load_folder(folder_.path()); }
  Ids ids(std::string_view text) {
    Ids out;
    load()->encode(text, true, out);
    return out;
  }
  TemporaryFolder folder_;
};

constexpr const char* kVocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nA\n中\n";

TEST_F(TokenizerFolder, VocabTxt) {
  put("vocab.txt", kVocab);
  EXPECT_EQ(ids("Ab 中中[MASK]"), (Ids{2, 5, 6, 8, 8, 4, 3}));  // lower case unless told otherwise
  EXPECT_EQ(load()->source(), "vocab.txt");
  EXPECT_EQ(load()->vocab_size(), 9U);
  EXPECT_EQ(load()->max_length(), 0U);
  const uint64_t before = load()->hash();
  put("tokenizer_config.json",
      R"({"do_lower_case":false,"tokenize_chinese_chars":false,"model_max_length":512})");
  EXPECT_EQ(ids("Ab 中中"), (Ids{2, 7, 6, 1, 3}));
  EXPECT_EQ(load()->max_length(), 512U);
  EXPECT_NE(load()->hash(), before);
  put("tokenizer_config.json", R"({"model_max_length":1000000000000000019884624838656})");
  EXPECT_EQ(load()->max_length(), 0U);
  put("tokenizer_config.json", R"({"model_max_length":1e30,"cls_token":{"content":"[PAD]"}})");
  EXPECT_EQ(load()->max_length(), 0U);
  EXPECT_EQ(ids("a"), (Ids{0, 5, 3}));
}

TEST_F(TokenizerFolder, VocabTxtLineEnds) {
  put("vocab.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n\r\na\r\n##b");
  EXPECT_EQ(ids("ab"), (Ids{2, 5, 6, 3}));
  put("vocab.txt", "[UNK]\n[CLS]\n");
  EXPECT_THROW(load(), Error);  // no [SEP]
}

TEST_F(TokenizerFolder, Mpnet) {
  put("vocab.txt", "<s>\n<pad>\n</s>\n[UNK]\na\n<mask>\n");
  put("config.json", R"({"model_type":"mpnet"})");
  EXPECT_EQ(ids("A <mask>"), (Ids{0, 4, 5, 2}));
}

TEST_F(TokenizerFolder, VocabJsonAndMerges) {
  put("vocab.json",
      R"({"<s>":0,"<pad>":1,"</s>":2,"<unk>":3,"a":4,"Ġ":5,"b":6,"Ġb":7,"<mask>":8})");
  put("merges.txt", "#version: 0.2\nĠ b\n");
  EXPECT_EQ(ids("a b <mask>"), (Ids{0, 4, 7, 8, 2}));
  EXPECT_EQ(load()->model_type(), "BPE");
  EXPECT_EQ(load()->decode(ids("a b"), true), "a b");
  put("vocab.json", R"({"<s>":"x"})");
  EXPECT_THROW(load(), Error);
}

TEST_F(TokenizerFolder, ConfigurationOverridesTheNormalizer) {
  put("tokenizer.json", wordpiece_json(R"(,"lowercase":true)"));
  EXPECT_EQ(ids("Hello"), (Ids{2, 14, 3}));
  put("tokenizer_config.json", R"({"tokenizer_class":"BertTokenizer","do_lower_case":false})");
  EXPECT_EQ(ids("Hello"), (Ids{2, 37, 3}));
  put("tokenizer_config.json", R"({"tokenizer_class":"Other","do_lower_case":false})");
  EXPECT_EQ(ids("Hello"), (Ids{2, 14, 3}));
  EXPECT_EQ(load()->max_length(), 128U);
}

TEST_F(TokenizerFolder, NothingThere) {
  try {
    load();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::not_found);
    EXPECT_NE(error.message().find("vocab.txt"), std::string::npos);
  }
  put("spiece.model", "garbage");
  EXPECT_THROW(load(), Error);
}

}  // namespace
}  // namespace akin::text
