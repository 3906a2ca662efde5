// Real vocabularies and the vectors that came with them, in ../shared; skipped where that is not.
// Vectors of transformers.js, swift-transformers (SQuAD questions) and llama.cpp.
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/test_text.h"
#include "text/tokenizer.h"

namespace akin::text {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<int32_t>;

class TokenizerFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kSharedTokenizers)) GTEST_SKIP() << "skipped: no shared data";
  }
  static std::unique_ptr<Tokenizer> json(const std::string& bytes) {
    return Tokenizer::from_json(bytes, "fixture");
  }
  // vocab.txt in a folder of its own; the uncased file has its special tokens in lower case.
  std::unique_ptr<Tokenizer> vocab(const char* name, bool lower) {
    std::string bytes = read_file(kSharedTokenizers / name / "vocab.txt");
    for (const auto& [from, to] : {std::pair{"\n[unk]\n", "\n[UNK]\n"},
                                   {"\n[cls]\n", "\n[CLS]\n"},
                                   {"\n[sep]\n", "\n[SEP]\n"},
                                   {"\n[mask]\n", "\n[MASK]\n"}}) {
      const size_t at = bytes.find(from);
      if (at != std::string::npos) bytes.replace(at, std::string(from).size(), to);
    }
    write_file(folder_.path() / "vocab.txt", bytes);
    write_file(folder_.path() / "tokenizer_config.json",
               lower ? R"({"do_lower_case":true})" : R"({"do_lower_case":false})");
    return Tokenizer::load_folder(folder_.path());
  }
  TemporaryFolder folder_;
};

// Checks every vector of one tokenizer; returns how many there were.
size_t check_vectors(const Tokenizer& tokenizer, std::string_view name) {
  static const std::string all = unzip(kSharedTokenizers / "vectors_transformersjs.jsonl.gz");
  size_t count = 0;
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = std::min(all.find('\n', begin), all.size());
    const JsonDocument document = JsonDocument::parse(all.substr(begin, end - begin), "vectors");
    begin = end + 1;
    const JsonValue row(document);
    if (row.get("tokenizer", "") != name || row.find("text_pair")) continue;
    Ids expected, got;
    for (const JsonValue& id : row.at("ids").items()) {
      expected.push_back(static_cast<int32_t>(id.as_int()));
    }
    const std::string_view text = row.at("text").as_string();
    tokenizer.encode(text, true, got);
    EXPECT_EQ(got, expected) << name << ": " << quote(text);
    EXPECT_EQ(tokenizer.encode_with_offsets(text, true).ids, expected);
    ++count;
  }
  return count;
}

TEST_F(TokenizerFixture, BertVectors) {
  const auto uncased = vocab("bert-base-uncased", true);
  EXPECT_GE(check_vectors(*uncased, "Xenova/bert-base-uncased"), 29U);
  EXPECT_GE(check_vectors(*uncased, "Xenova/distilbert-base-uncased-finetuned-sst-2-english"), 12U);
  const auto chinese = vocab("bert-base-chinese", true);
  EXPECT_GE(check_vectors(*chinese, "Xenova/bge-base-zh-v1.5"), 7U);
  EXPECT_GE(check_vectors(*vocab("bert-base-chinese", false), "Xenova/bge-small-zh-v1.5"), 19U);
  const auto multilingual =
      json(unzip(kSharedTokenizers / "bert-base-multilingual-uncased/tokenizer.json.gz"));
  EXPECT_GE(check_vectors(*multilingual, "Xenova/bert-base-multilingual-uncased-sentiment"), 3U);
}

TEST_F(TokenizerFixture, RobertaAndT5Vectors) {
  const auto roberta = Tokenizer::load_folder(kSharedTokenizers / "roberta-base");
  EXPECT_GE(check_vectors(*roberta, "Xenova/all-distilroberta-v1"), 11U);
  const auto t5 = Tokenizer::load_folder(kSharedTokenizers / "t5-small");
  EXPECT_EQ(t5->max_length(), 512U);
  EXPECT_GE(check_vectors(*t5, "Xenova/t5-small"), 29U);
  EXPECT_GE(check_vectors(*t5, "google-t5/t5-small"), 29U);
}

TEST_F(TokenizerFixture, XlmRobertaVectors) {
  const auto xlmr = Tokenizer::load_folder(kSharedTokenizers / "xlm-roberta-base");
  EXPECT_GE(check_vectors(*xlmr, "Xenova/paraphrase-multilingual-MiniLM-L12-v2"), 28U);
  EXPECT_GE(check_vectors(*xlmr, "Xenova/paraphrase-multilingual-mpnet-base-v2"), 4U);
}

TEST_F(TokenizerFixture, OlderFormsEqualTokenizerJson) {
  fs::copy(kSharedTokenizers / "roberta-base/vocab.json", folder_.path() / "vocab.json");
  fs::copy(kSharedTokenizers / "roberta-base/merges.txt", folder_.path() / "merges.txt");
  const auto old_form = Tokenizer::load_folder(folder_.path());
  const auto new_form = Tokenizer::load_folder(kSharedTokenizers / "roberta-base");
  const auto vocab_form = vocab("bert-base-uncased", true);
  fs::remove(folder_.path() / "vocab.txt");
  const auto json_form =
      json(read_file(kSharedTokenizers / "bert-base-uncased/tokenizer_all-minilm-l6-v2.json"));
  EXPECT_EQ(json_form->max_length(), 256U);
  Rng rng(8);
  for (int i = 0; i < 500; ++i) {
    const std::string text = hostile_text(rng, 15, false);
    Ids a, b, c, d;
    old_form->encode(text, true, a);
    new_form->encode(text, true, b);
    EXPECT_EQ(a, b);
    vocab_form->encode(text, true, c);
    json_form->encode(text, true, d);
    EXPECT_EQ(c, d);
  }
}

TEST_F(TokenizerFixture, SquadQuestions) {
  const auto tokenizer = vocab("bert-base-uncased", true);
  const JsonDocument questions = JsonDocument::parse(
      unzip(kSharedTokenizers / "swift_bert_squad_dev/question_tokens.json.gz"), "questions");
  const JsonDocument ids = JsonDocument::parse(
      unzip(kSharedTokenizers / "swift_bert_squad_dev/tokenized_questions.json.gz"), "ids");
  const auto expected = JsonValue(ids).items();
  size_t i = 0, differ = 0;
  for (const JsonValue& question : JsonValue(questions).items()) {
    Ids want, got;
    for (const JsonValue& id : expected.at(i).items()) {
      want.push_back(static_cast<int32_t>(id.as_int()));
    }
    tokenizer->encode(question.at("original").as_string(), false, got);
    differ += want != got;
    ++i;
  }
  EXPECT_EQ(i, 10570U);
  EXPECT_EQ(differ, 0U);
}

TEST_F(TokenizerFixture, LlamaCppVectors) {
  const auto check = [](const Tokenizer& tokenizer, const std::string& name) {
    const std::string in = read_file(kSharedTokenizers / "llamacpp" / (name + ".inp"));
    const std::string out = read_file(kSharedTokenizers / "llamacpp" / (name + ".out"));
    const std::string mark = "\n__ggml_vocab_test__\n";
    size_t at = 0, line = 0, checked = 0;
    for (size_t begin = 0; begin < in.size(); ++checked) {
      const size_t end = std::min(in.find(mark, begin), in.size());
      const std::string text = in.substr(begin, end - begin);
      begin = end + mark.size();
      const size_t line_end = std::min(out.find('\n', at), out.size());
      Ids got;
      tokenizer.encode(text, false, got);
      std::string ids;
      for (const int32_t id : got) ids += " " + std::to_string(id);
      EXPECT_EQ(ids, out.substr(at, line_end - at)) << name << " " << line << ": " << quote(text);
      at = line_end + 1;
      ++line;
    }
    EXPECT_GT(checked, 40U);
  };
  check(*vocab("bert-base-uncased", true), "ggml-vocab-bert-bge.gguf");
  check(*Tokenizer::load_folder(kSharedTokenizers / "roberta-base"), "ggml-vocab-roberta-bpe.gguf");
}

}  // namespace
}  // namespace akin::text
