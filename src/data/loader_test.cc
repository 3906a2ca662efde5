// What a batch holds, and that threads change nothing but time.
#include "data/loader.h"

#include <chrono>
#include <set>
#include <thread>

#include "data/test_store.h"
#include "store/test_files.h"

namespace akin::data {
namespace {

using store::expect_error;

// A word a number: "n12" is 12 + 5; unknown words are 0.
std::unique_ptr<text::Tokenizer> numbers_tokenizer() {
  nlohmann::json vocab = {{"[UNK]", 0}, {"[CLS]", 1}, {"[SEP]", 2}, {"ask", 3}, {"say", 4}};
  for (int i = 0; i < 200; ++i) vocab[fmt::format("n{}", i)] = 5 + i;
  const auto special = [](const char* name, int id) {
    return nlohmann::json{{"id", name}, {"ids", {id}}, {"tokens", {name}}};
  };
  const auto piece = [](const char* kind, const char* id) {
    return nlohmann::json{{kind, {{"id", id}, {"type_id", 0}}}};
  };
  const nlohmann::json file = {
      {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "Whitespace"}}},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single",
         {piece("SpecialToken", "[CLS]"), piece("Sequence", "A"), piece("SpecialToken", "[SEP]")}},
        {"pair", nlohmann::json::array()},
        {"special_tokens", {{"[CLS]", special("[CLS]", 1)}, {"[SEP]", special("[SEP]", 2)}}}}},
      {"added_tokens", nlohmann::json::array()},
      {"model",
       {{"type", "WordPiece"},
        {"unk_token", "[UNK]"},
        {"continuing_subword_prefix", "##"},
        {"max_input_chars_per_word", 100},
        {"vocab", vocab}}}};
  return text::Tokenizer::from_json(file.dump(), "numbers");
}

using Ids = std::vector<int32_t>;
std::vector<Ids> texts_of(const TrainBatch& batch) {
  std::vector<Ids> out;
  for (size_t i = 0; i < batch.texts.size(); ++i) {
    const auto text = batch.texts.text(i);
    out.emplace_back(text.begin(), text.end());
  }
  return out;
}

Record record_of(std::string query, std::string positive, std::vector<std::string> negatives = {}) {
  Record out;
  out.query = std::move(query);
  out.positive = std::move(positive);
  out.negatives = std::move(negatives);
  return out;
}

class Collate : public testing::Test {
 protected:
  TrainBatch collate_all(std::vector<Record> records, const CollateOptions& options = {},
                         size_t negatives = 0, uint64_t seed = 1) {
    source_.name = "set";
    source_.store = std::make_shared<MemoryStore>(std::move(records));
    source_.negatives = negatives;
    DrawnBatch drawn;
    drawn.number = 7;
    drawn.seed = seed;
    for (uint64_t i = 0; i < source_.store->size(); ++i) drawn.records.push_back(i);
    return collate(drawn, source_, *tokenizer_, options);
  }

  std::unique_ptr<text::Tokenizer> tokenizer_ = numbers_tokenizer();
  MixtureSource source_;
};

TEST_F(Collate, QueriesThenDocumentsThenNegatives) {
  const auto batch = collate_all(
      {record_of("n1", "n2 n3", {"n4", "n5"}), record_of("n6", "n1", {"n7", "N1 "})}, {}, 2);
  EXPECT_EQ(batch.number, 7U);
  EXPECT_EQ(batch.rows, 2U);
  EXPECT_EQ(batch.negatives, 2U);
  EXPECT_EQ(texts_of(batch), (std::vector<Ids>{{1, 6, 2},
                                               {1, 11, 2},
                                               {1, 7, 8, 2},
                                               {1, 6, 2},
                                               {1, 9, 2},
                                               {1, 10, 2},
                                               {1, 12, 2},
                                               {1, 0, 2}}));
  ASSERT_EQ(batch.text_ids.size(), 8U);
  EXPECT_EQ(batch.text_ids[0], batch.text_ids[3]);
  EXPECT_EQ(batch.text_ids[0], batch.text_ids[7]) << "case and white space are folded";
  EXPECT_EQ(std::set(batch.text_ids.begin(), batch.text_ids.end()).size(), 6U);
  EXPECT_EQ(batch.texts.prompt_tokens, std::vector<uint32_t>(8));
  EXPECT_TRUE(batch.labels.empty());
  EXPECT_TRUE(batch.scores.empty());
  ASSERT_EQ(batch.records.size(), 2U);
  EXPECT_EQ(batch.records[1].query, "n6");
}

TEST_F(Collate, PromptsLimitsAndCase) {
  CollateOptions options;
  options.query_prompt = "ask ";
  options.document_prompt = "say ";
  options.max_query_tokens = 5;
  options.max_document_tokens = 4;
  options.lower_case = true;
  options.include_prompt = false;
  options.keep_records = false;
  const auto batch = collate_all({record_of("N1 n2 n3", "n4 n5", {"n6 n7 n8"})}, options, 1);
  EXPECT_EQ(texts_of(batch), (std::vector<Ids>{{1, 3, 6, 7, 2}, {1, 4, 9, 2}, {1, 4, 11, 2}}));
  EXPECT_EQ(batch.cut_texts, 3U);
  EXPECT_EQ(batch.texts.prompt_tokens, (std::vector<uint32_t>{2, 2, 2}));
  EXPECT_TRUE(batch.records.empty());
  options.add_special_tokens = false;
  options.document_prompt.clear();
  const auto bare = collate_all({record_of("n1 n2", "n3")}, options);
  EXPECT_EQ(texts_of(bare), (std::vector<Ids>{{3, 6, 7}, {8}}));
  EXPECT_EQ(bare.texts.prompt_tokens[1], 0U);
  EXPECT_EQ(bare.cut_texts, 0U);
}

TEST_F(Collate, SamplesNegativesOrRepeatsThem) {
  std::vector<std::string> many;
  for (int i = 0; i < 20; ++i) many.push_back(fmt::format("n{}", i));
  auto first = record_of("n100", "n101", many);
  auto second = record_of("n102", "n103", {"n1", "n2"});
  for (int i = 0; i <= 20; ++i) first.scores.push_back(static_cast<float>(i) - 1);
  second.scores = {-1, 1, 2};
  std::set<std::vector<Ids>> choices;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto batch = collate_all({first, second}, {}, 5, seed);
    const auto texts = texts_of(batch);
    const std::vector<Ids> sampled(texts.begin() + 4, texts.begin() + 9);
    EXPECT_EQ(std::set(sampled.begin(), sampled.end()).size(), 5U) << "a negative twice";
    choices.insert(sampled);
    for (size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(sampled[i][1] - 5, static_cast<int>(batch.scores[1 + i])) << "another's score";
    }
    EXPECT_EQ(std::vector<Ids>(texts.begin() + 9, texts.end()),
              (std::vector<Ids>{{1, 6, 2}, {1, 7, 2}, {1, 6, 2}, {1, 7, 2}, {1, 6, 2}}));
    EXPECT_EQ(std::vector<float>(batch.scores.begin() + 6, batch.scores.end()),
              (std::vector<float>{-1, 1, 2, 1, 2, 1}));
    EXPECT_EQ(texts_of(collate_all({first, second}, {}, 5, seed)), texts);
  }
  EXPECT_GT(choices.size(), 15U);
}

TEST_F(Collate, LabelsOnlyWhereAllHaveOne) {
  auto a = record_of("n1", "n2"), b = record_of("n3", "n4");
  a.label = 4.5F;
  EXPECT_TRUE(collate_all({a, b}).labels.empty());
  b.label = 0;
  EXPECT_EQ(collate_all({a, b}).labels, (std::vector<float>{4.5F, 0}));
}

TEST_F(Collate, SingleTextsAndClasses) {
  const auto single = collate_all({record_of("n1", ""), record_of("n2", "")});
  EXPECT_FALSE(single.has_documents);
  EXPECT_EQ(single.texts.size(), 2U);
  CollateOptions options;
  options.label_classes = true;
  const auto classes =
      collate_all({record_of("n1", "b"), record_of("n2", "a"), record_of("n3", "b")}, options);
  EXPECT_FALSE(classes.has_documents);
  EXPECT_EQ(classes.texts.size(), 3U);
  EXPECT_EQ(classes.labels, (std::vector<float>{0, 1, 0}));
}

TEST_F(Collate, NamesTheRecordThatLacksSomething) {
  expect_error(ErrorKind::bad_format, "\"n3\"", [&] {
    collate_all({record_of("n1", "n2"), record_of("n3", "")});
  });
  expect_error(ErrorKind::bad_format, "no negatives", [&] {
    collate_all({record_of("n1", "n2", {"n5"}), record_of("n3", "n4")}, {}, 1);
  });
}

std::vector<MixtureSource> two_sources() {
  std::vector<MixtureSource> out(2);
  out[0].name = "a";
  out[0].store = MemoryStore::of_size(90, "a");
  out[0].batch = 8;
  out[1].name = "b";
  out[1].store = MemoryStore::of_size(31, "b");
  out[1].batch = 5;
  return out;
}

void expect_same(const TrainBatch& a, const TrainBatch& b) {
  EXPECT_EQ(a.number, b.number);
  EXPECT_EQ(a.source, b.source);
  EXPECT_EQ(a.texts.ids, b.texts.ids);
  EXPECT_EQ(a.text_ids, b.text_ids);
  EXPECT_EQ(a.state_after, b.state_after);
  ASSERT_EQ(a.records.size(), b.records.size());
  for (size_t i = 0; i < a.records.size(); ++i) {
    EXPECT_EQ(a.records[i].query, b.records[i].query);
  }
}

TEST(Loader, WorkersChangeNothing) {
  const auto tokenizer = numbers_tokenizer();
  Mixture alone(two_sources(), {});
  Loader here(alone, *tokenizer, std::vector<CollateOptions>(2), 0, 0);
  std::vector<TrainBatch> expected;
  for (int i = 0; i < 60; ++i) expected.push_back(here.next());
  for (const size_t workers : {1, 2, 5}) {
    Mixture mixture(two_sources(), {});
    Loader loader(mixture, *tokenizer, std::vector<CollateOptions>(2), workers, 3);
    for (const auto& batch : expected) expect_same(loader.next(), batch);
    EXPECT_GE(loader.waited_seconds(), 0);
  }
}

TEST(Loader, GoesOnBehindTheBatchThatWasUsed) {
  const auto tokenizer = numbers_tokenizer();
  Mixture mixture(two_sources(), {});
  nlohmann::json state;
  {
    Loader loader(mixture, *tokenizer, std::vector<CollateOptions>(2), 2, 4);
    for (int i = 0; i < 10; ++i) state = loader.next().state_after;
  }
  Mixture resumed(two_sources(), {}), straight(two_sources(), {});
  resumed.restore(state);
  for (int i = 0; i < 10; ++i) straight.next();
  Loader a(resumed, *tokenizer, std::vector<CollateOptions>(2), 2, 4);
  Loader b(straight, *tokenizer, std::vector<CollateOptions>(2), 1, 1);
  for (int i = 0; i < 20; ++i) expect_same(a.next(), b.next());
}

// The batch of a record that cannot be read fails, and no batch before it.
TEST(Loader, AnErrorComesWhereItsBatchWouldHave) {
  const auto tokenizer = numbers_tokenizer();
  auto sources = two_sources();
  const auto store = MemoryStore::of_size(90, "a");
  Mixture probe(two_sources(), {});
  store->broken = 17;
  sources[0].store = store;
  uint64_t good = 0;
  for (bool broken = false; !broken; good += broken ? 0 : 1) {
    const auto drawn = probe.next();
    broken = drawn.source == 0 &&
             std::find(drawn.records.begin(), drawn.records.end(), 17U) != drawn.records.end();
  }
  for (const size_t workers : {0, 1, 4}) {
    Mixture mixture(sources, {});
    Loader loader(mixture, *tokenizer, std::vector<CollateOptions>(2), workers, 6);
    for (uint64_t i = 0; i < good; ++i) EXPECT_EQ(loader.next().number, i);
    expect_error(ErrorKind::bad_format, "broken record", [&] { loader.next(); });
    if (workers > 0) {
      expect_error(ErrorKind::bad_format, "broken record", [&] { loader.next(); });
    }
  }
}

TEST(Loader, AnErrorOfTheMixtureComesToo) {
  const auto tokenizer = numbers_tokenizer();
  std::vector<Record> records(10, record_of("n1", "n2"));
  MixtureSource source;
  source.name = "same";
  source.store = std::make_shared<MemoryStore>(std::move(records));
  source.batch = 4;
  Mixture mixture({source}, {});
  Loader loader(mixture, *tokenizer, {CollateOptions{}}, 3, 6);
  expect_error(ErrorKind::usage, "same: a batch of 4", [&] { loader.next(); });
}

TEST(Loader, StaysWithinItsBoundAndEndsAtAnyTime) {
  const auto tokenizer = numbers_tokenizer();
  for (int taken = 0; taken < 12; ++taken) {
    Mixture mixture(two_sources(), {});
    {
      Loader loader(mixture, *tokenizer, std::vector<CollateOptions>(2), 1 + taken % 3, 4);
      for (int i = 0; i < taken; ++i) loader.next();
      if (taken % 2 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    EXPECT_LE(mixture.next().number, static_cast<uint64_t>(taken + 4));
  }
  Mixture mixture(two_sources(), {});
  expect_error(ErrorKind::usage, "options for 1 sources",
               [&] { Loader(mixture, *tokenizer, std::vector<CollateOptions>(1), 1, 1); });
}

}  // namespace
}  // namespace akin::data
