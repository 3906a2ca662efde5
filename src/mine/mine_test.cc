// Mining as a whole, over small corpora: search, guards, formats, going on after a stop.
#include "mine/mine.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/rng.h"
#include "mine/report_html.h"
#include "mine/test_encoder.h"

namespace akin::mine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class MineTest : public testing::Test {
 protected:
  MineTest() {
    std::string name = (fs::temp_directory_path() / "akin_mine_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
    options_.model.encoder = &encoder_;
    options_.guards.together = 2;  // has a test of its own
    options_.select.skip = 0;
    options_.select.last = 20;
    options_.select.negatives = 5;
    options_.out = (folder_ / "out.jsonl").string();
    options_.threads = 2;
  }
  ~MineTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return (folder_ / name).string();
  }
  static std::string read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream out;
    out << file.rdbuf();
    return out.str();
  }
  json run(const std::string& rows) {
    options_.input.files = {write("in.jsonl", rows)};
    return json::parse(mine(options_, {}).dump());
  }
  std::vector<json> lines() const {
    std::vector<json> out;
    std::istringstream text(read(options_.out));
    for (std::string line; std::getline(text, line);) out.push_back(json::parse(line));
    return out;
  }
  void add_corpus(std::vector<std::string> texts) {
    options_.corpus = {[texts = std::move(texts), i = size_t{0}](std::string& out) mutable {
      if (i == texts.size()) return false;
      out = texts[i++];
      return true;
    }};
  }
  void guards_off() {
    options_.guards.near = options_.guards.overlap = options_.guards.alike = 2;
    options_.guards.share = 0;
  }

  fs::path folder_;
  WordEncoder encoder_;
  MineOptions options_;
};

std::string some_words(Rng& rng, size_t count, size_t from) {
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    out += (i == 0 ? "" : " ") + ("w" + std::to_string(rng.below(from)));
  }
  return out;
}
std::string row_of(const std::string& query, const std::string& positive) {
  return json{{"query", query}, {"pos", {positive}}}.dump() + "\n";
}
uint64_t removed(const json& report, Fate fate) {
  for (const auto& guard : report["guards"]) {
    if (guard["name"] == fate_name(fate)) return guard["removed"];
  }
  return 0;
}

TEST_F(MineTest, FindsWhatANaiveSearchFinds) {
  Rng rng(3);
  std::vector<std::string> queries, positives;
  std::string rows;
  for (size_t i = 0; i < 150; ++i) {
    queries.push_back("q" + std::to_string(i) + " " + some_words(rng, 6, 60));
    positives.push_back("p" + std::to_string(i) + " " + some_words(rng, 9, 60));
    rows += row_of(queries[i], positives[i]);
  }
  guards_off();
  run(rows);
  const auto vector = [&](const std::string& text) {
    Mat<float> out(1, 512);
    const std::string_view view = text;
    WordEncoder().encode({&view, 1}, {}, out.view());
    return out;
  };
  const auto mined = lines();
  ASSERT_EQ(mined.size(), queries.size());
  for (size_t i = 0; i < queries.size(); ++i) {
    const auto query = vector(queries[i]);
    std::vector<std::pair<double, std::string>> all;
    for (const auto& text : positives) {
      const auto document = vector(text);
      double score = 0;
      for (size_t c = 0; c < 512; ++c) score += double{query(0, c)} * double{document(0, c)};
      all.emplace_back(score, text);
    }
    std::stable_sort(all.begin(), all.end(),
                     [](auto& a, auto& b) { return a.first > b.first + 1e-7; });
    std::erase_if(all, [&](auto& item) { return item.second == positives[i]; });
    ASSERT_EQ(mined[i]["neg"].size(), 5U);
    // Equal scores may change places by rounding: scores are compared, not texts.
    for (size_t n = 0; n < 5; ++n) {
      const auto at = std::find_if(all.begin(), all.end(), [&](auto& item) {
        return item.second == mined[i]["neg"][n].get<std::string>();
      });
      ASSERT_NE(at, all.end());
      EXPECT_NEAR(at->first, all[n].first, 1e-6) << i << " " << n;
    }
  }
}

// Copies of each positive under some change, as unlabelled documents of the corpus.
struct Planted {
  std::string rows;
  std::vector<std::string> texts;
};
template <typename Change>
Planted plant(size_t count, const Change& change) {
  Rng rng(11);
  Planted out;
  for (size_t i = 0; i < count; ++i) {
    const std::string topic = some_words(rng, 4, 400);
    out.rows +=
        row_of(topic + " " + some_words(rng, 2, 400), topic + " " + some_words(rng, 12, 400));
    std::istringstream words(
        json::parse(out.rows.substr(out.rows.rfind("{\"pos\"")))["pos"][0].get<std::string>());
    std::vector<std::string> list;
    for (std::string word; words >> word;) list.push_back(word);
    out.texts.push_back(change(list, rng));
    out.texts.push_back(topic + " " + some_words(rng, 14, 400));  // a true negative, as near
  }
  return out;
}
std::string joined(const std::vector<std::string>& words, const char* between = " ") {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : between) + word;
  return out;
}
size_t planted_negatives(const std::vector<json>& rows, const Planted& planted) {
  size_t out = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (const auto& text : rows[i]["neg"]) out += text == planted.texts[2 * i] ? 1 : 0;
  }
  return out;
}

TEST_F(MineTest, GuardsCutPlantedFalseNegatives) {
  using Words = std::vector<std::string>;
  struct Case {
    const char* name;
    std::function<std::string(Words, Rng&)> change;
    bool same_document;
  };
  const std::vector<Case> cases = {
      {"equal", [](const Words& words, Rng&) { return joined(words); }, true},
      {"case and space",
       [](const Words& words, Rng&) {
         std::string out = "  " + joined(words, "  \t");
         std::transform(out.begin(), out.end(), out.begin(), ::toupper);
         return out;
       },
       true},
      {"punctuation", [](const Words& words, Rng&) { return joined(words, ", ") + "!"; }, false},
      {"a word changed",
       [](Words words, Rng& rng) {
         words[rng.below(words.size())] = "changed";
         return joined(words);
       },
       false},
      {"a word left out",
       [](Words words, Rng& rng) {
         words.erase(words.begin() + static_cast<ptrdiff_t>(rng.below(words.size())));
         return joined(words);
       },
       false},
      {"another order",
       [](Words words, Rng& rng) {
         std::rotate(words.begin(), words.begin() + 1 + static_cast<ptrdiff_t>(rng.below(9)),
                     words.end());
         return joined(words);
       },
       false},
      {"the first half",
       [](Words words, Rng&) {
         words.resize(9);
         return joined(words);
       },
       false},
      {"with more around it",
       [](const Words& words, Rng& rng) {
         return some_words(rng, 10, 400) + " " + joined(words) + " " + some_words(rng, 10, 400);
       },
       false}};
  for (const auto& one : cases) {
    const Planted planted = plant(200, one.change);
    options_.guards = {};
    options_.guards.together = 2;
    options_.guards.share = 0;  // by text alone
    options_.guards.alike = 2;
    add_corpus(planted.texts);
    const auto report = run(planted.rows);
    const size_t left = planted_negatives(lines(), planted);
    EXPECT_LE(left, 20U) << one.name;
    EXPECT_EQ(report["rows_written"], 200) << one.name;
    if (one.same_document) {
      EXPECT_GE(report["document_variants_joined"], one.name == std::string("equal") ? 0 : 200);
      EXPECT_EQ(left, 0U) << one.name;
      continue;
    }
    guards_off();
    add_corpus(planted.texts);
    run(planted.rows);
    const size_t without = planted_negatives(lines(), planted);
    EXPECT_GE(without, 100U) << one.name;  // they are there to be found
    EXPECT_LE(10 * left, without) << one.name;
  }
}

TEST_F(MineTest, AnswersOfTheSameOrANearlyEqualQueryAreNoNegatives) {
  const std::string rows =
      row_of("what is the boiling point of water", "water boils at a hundred degrees") +
      row_of("What is the  boiling point of WATER", "the boiling point is 212 fahrenheit") +
      row_of("what is the boiling point of pure water",
             "at sea level water turns to steam at 373 kelvin") +
      row_of("what is the melting temperature for ice cream at home",
             "the water in ice melts at zero") +
      row_of("who boils the tea", "the boiling point of oil is higher than that of water");
  options_.guards.share = 0;
  const auto report = run(rows);
  const auto mined = lines();
  ASSERT_EQ(mined.size(), 5U);
  for (size_t i = 0; i < 3; ++i) {
    for (const auto& text : mined[i]["neg"]) {
      EXPECT_TRUE(text == "the water in ice melts at zero" ||
                  text == "the boiling point of oil is higher than that of water")
          << i << " " << text;
    }
  }
  EXPECT_GE(removed(report, Fate::answer), 5U);
  EXPECT_GE(removed(report, Fate::neighbour_answer), 4U);
  EXPECT_EQ(report["estimate"]["hidden_answers_tried"], 4);
}

TEST_F(MineTest, TheQueryItselfAndAllTextsOfAGroupAreNoNegatives) {
  options_.guards.share = 0;
  options_.guards.near = 0.9;
  add_corpus({"A DOG runs on grass!", "a bird sings"});
  const auto report = run(
      "{\"captions\":[\"a dog runs on grass\",\"the brown dog on a field\",\"dog in the green\"]}\n"
      "{\"captions\":[\"a cat sleeps\",\"the cat on a sofa\"]}\n");
  const auto mined = lines();
  ASSERT_EQ(mined.size(), 3U);
  for (size_t i = 0; i < 2; ++i) {
    for (const auto& text : mined[i]["neg"]) {
      EXPECT_EQ(text.get<std::string>().find("og "), std::string::npos) << text;
    }
  }
  EXPECT_GE(removed(report, Fate::own_query), 1U);
}

TEST_F(MineTest, VectorsLikeAnAnswersAreCut) {
  encoder_.by_hand["question"] = {1, 0.2F, 0, 0};
  encoder_.by_hand["answer"] = {0.8F, 0.6F, 0, 0};
  encoder_.by_hand["paraphrase"] = {0.78F, 0.6F, 0.1F, 0};
  encoder_.by_hand["other"] = {0.5F, 0, 0.5F, 0.5F};
  add_corpus({"paraphrase", "other"});
  options_.guards.share = 0;
  const auto report = run(row_of("question", "answer"));
  EXPECT_EQ(lines()[0]["neg"], json::parse("[\"other\"]"));
  EXPECT_EQ(removed(report, Fate::alike_answer), 1U);
  EXPECT_EQ(report["short_rows"], 1);
}

// Texts of eight words; a paraphrase shares some with the query and others with the answer.
TEST_F(MineTest, WhatIsNearToQueryAndAnswerAtOnceIsCut) {
  Rng rng(12);
  const auto piece = [](size_t topic, size_t from, size_t count) {
    std::string out;
    for (size_t w = from; w < from + count; ++w)
      out += "t" + std::to_string(topic) + "w" + std::to_string(w) + " ";
    return out;
  };
  std::string rows;
  std::vector<std::string> texts;
  for (size_t i = 0; i < 60; ++i) {
    rows +=
        row_of(piece(i, 0, 6) + some_words(rng, 2, 200), piece(i, 3, 6) + some_words(rng, 2, 200));
    texts.push_back("para " + piece(i, 2, 5) + some_words(rng, 3, 200));
    texts.push_back("other " + piece(i, 0, 2) + some_words(rng, 6, 200));
  }
  // Rows that have their own text of this kind as a negative.
  const auto rows_with = [&](const std::string& kind) {
    const auto mined = lines();
    size_t found = 0;
    for (size_t i = 0; i < mined.size(); ++i) {
      const std::string own = kind + " t" + std::to_string(i) + "w";
      for (const auto& text : mined[i]["neg"])
        found += text.get<std::string>().rfind(own, 0) == 0 ? 1 : 0;
    }
    return found;
  };
  guards_off();
  add_corpus(texts);
  run(rows);
  EXPECT_EQ(rows_with("para"), 60U);
  EXPECT_GE(rows_with("other"), 50U);
  options_.guards.together = 0.55;
  add_corpus(texts);
  const auto report = run(rows);
  EXPECT_EQ(rows_with("para"), 0U);
  EXPECT_GE(rows_with("other"), 50U);
  EXPECT_GE(removed(report, Fate::together), 60U);
}

TEST_F(MineTest, TheTeacherDecidesOrIsAsked) {
  encoder_.by_hand = {{"q", {1, 0}}, {"p", {0.9F, 0.4F}}, {"x", {0.8F, 0.6F}}, {"y", {0.7F, 0.7F}}};
  WordEncoder teacher(64, "teacher");
  teacher.by_hand = {{"q", {1, 0}}, {"p", {0.7F, 0.7F}}, {"x", {0.9F, 0.4F}}, {"y", {0.1F, 0.9F}}};
  options_.teacher.encoder = &teacher;
  options_.guards.alike = 2;
  options_.scores = true;
  add_corpus({"x", "y"});
  auto report = run(row_of("q", "p"));
  auto row = lines()[0];
  EXPECT_EQ(row["neg"], json::parse("[\"y\"]"));
  EXPECT_NEAR(row["pos_scores"][0].get<double>(), 0.707, 0.001);
  EXPECT_NEAR(row["neg_scores"][0].get<double>(), 0.11, 0.01);
  EXPECT_EQ(report["estimate"]["above_positive_by_other_model"], 0.0);
  options_.select.judge = Judge::model;
  add_corpus({"x", "y"});
  report = run(row_of("q", "p"));
  row = lines()[0];
  EXPECT_EQ(row["neg"], json::parse("[\"x\",\"y\"]"));
  EXPECT_EQ(report["estimate"]["above_positive_by_other_model"], 0.5);
}

TEST_F(MineTest, LabelsNegativesAndFormats) {
  const std::string rows =
      "{\"query\":\"a b c\",\"pos\":[\"a b x\",\"a c y\"],\"neg\":[\"c old one\"],\"task\":\"t\"}\n"
      "{\"query\":\"d e\",\"pos\":[\"d far away\"],\"neg\":[]}\n"
      "{\"query\":\"  \",\"pos\":[\"x\"],\"neg\":[]}\n";
  options_.guards.share = 0;
  options_.select.keep_negatives = true;
  options_.scores = true;
  auto report = run(rows);
  auto mined = lines();
  ASSERT_EQ(mined.size(), 2U);
  EXPECT_EQ(mined[0]["pos"].size(), 2U);
  EXPECT_EQ(mined[0]["pos_scores"].size(), 2U);
  EXPECT_EQ(mined[0]["neg"][0], "c old one");
  EXPECT_EQ(mined[0]["neg"].size(), mined[0]["neg_scores"].size());
  EXPECT_EQ(std::count(mined[0]["neg"].begin(), mined[0]["neg"].end(), "c old one"), 1);
  EXPECT_EQ(mined[0]["task"], "t");
  EXPECT_EQ(report["rows_blank"], 1);
  options_.format = OutputFormat::pairs;
  report = run(rows);
  mined = lines();
  ASSERT_EQ(mined.size(), 3U);
  EXPECT_EQ(mined[1]["positive"], "a c y");
  EXPECT_EQ(mined[1]["scores"].size(), 1 + mined[1]["negatives"].size());
  options_.select.keep_negatives = false;
  options_.input.min_label = 3;
  run("{\"s1\":\"a b\",\"s2\":\"a c\",\"score\":5}\n{\"s1\":\"a b\",\"s2\":\"b d\",\"score\":2}\n"
      "{\"s1\":\"a b\",\"s2\":\"b e\",\"score\":0}\n");
  mined = lines();
  ASSERT_EQ(mined.size(), 1U);
  EXPECT_EQ(mined[0]["negatives"], json::parse("[\"b e\"]"));
}

TEST_F(MineTest, KeptNegativesAreNoAnswers) {
  options_.guards.share = 0;
  options_.select.keep_negatives = true;
  const auto report =
      run("{\"query\":\"a b c\",\"pos\":[\"a b x\"],\"neg\":[\"A b  x\",\"c old one\",\"a c y\"]}\n"
          "{\"query\":\"a b c\",\"pos\":[\"a c y\"],\"neg\":[]}\n"
          "{\"query\":\"d e\",\"pos\":[\"d far away\"],\"neg\":[]}\n");
  const auto mined = lines();
  ASSERT_EQ(mined.size(), 3U);
  EXPECT_EQ(mined[0]["neg"][0], "c old one");
  for (const auto& text : mined[0]["neg"]) EXPECT_NE(text, "a c y");
  EXPECT_EQ(report["negatives_that_answer"], 2);
}

TEST_F(MineTest, ShortRowsAreKeptFilledOrDropped) {
  const std::string rows = row_of("a b c", "a b x") + row_of("d e f", "d e y") +
                           row_of("g h i", "g h z") + row_of("k l m", "k l u");
  options_.guards.min_score = 0.9;
  auto report = run(rows);
  EXPECT_EQ(report["rows_written"], 0);
  EXPECT_EQ(report["rows_without_negative"], 4);
  options_.guards.min_score.reset();
  options_.select.negatives = 3;
  options_.select.last = 3;
  options_.select.short_rows = ShortRows::drop;
  report = run(rows);
  EXPECT_EQ(report["rows_written"], 0);
  options_.select.short_rows = ShortRows::fill;
  report = run(rows);
  EXPECT_EQ(report["rows_written"], 4);
  for (const auto& row : lines()) {
    EXPECT_EQ(row["neg"].size(), 3U);
    for (const auto& text : row["neg"]) EXPECT_NE(text, row["pos"][0]);
  }
  options_.select.sampling = Sampling::corpus;
  options_.select.short_rows = ShortRows::keep;
  report = run(rows);
  EXPECT_EQ(report["filled"], 12);
}

std::string many_rows() {
  Rng rng(5);
  std::string rows;
  for (size_t i = 0; i < 6000; ++i) {
    const std::string topic = some_words(rng, 3, 800);
    rows += row_of(topic + " " + some_words(rng, 3, 800), topic + " " + some_words(rng, 8, 800));
  }
  return rows;
}

TEST_F(MineTest, SameBytesForAnyThreadsAndAfterAStop) {
  const std::string rows = many_rows();
  options_.select.sampling = Sampling::random;
  options_.scores = true;
  run(rows);
  const std::string whole = read(options_.out);
  options_.threads = 1;
  encoder_.encoded = 0;
  encoder_.fail_after = 10'500;  // behind the queries and the first block of documents
  EXPECT_THROW(run(rows), Error);
  EXPECT_TRUE(fs::exists(options_.out + ".work"));
  encoder_.fail_after = 0;
  encoder_.encoded = 0;
  const auto report = run(rows);
  EXPECT_TRUE(read(options_.out) == whole);
  EXPECT_LT(encoder_.encoded, 6000U);
  EXPECT_GT(report["texts_kept"], 6000);
  EXPECT_FALSE(fs::exists(options_.out + ".work"));
}

TEST_F(MineTest, DamagedWorkIsDoneAgain) {
  const std::string rows = many_rows();
  options_.work = (folder_ / "work").string();
  options_.keep_work = true;
  run(rows);
  const std::string whole = read(options_.out);
  encoder_.encoded = 0;
  run(rows);
  EXPECT_EQ(encoder_.encoded, 0U);
  size_t damaged = 0;
  for (const auto& entry : fs::directory_iterator(options_.work)) {
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(fs::file_size(entry.path()) / 2));
    file.put('\x55').put('\x55').put('\x55');
    ++damaged;
  }
  EXPECT_EQ(damaged, 2U);  // vectors of queries and of documents, nothing else is kept
  run(rows);
  EXPECT_GT(encoder_.encoded, 0U);
  EXPECT_TRUE(read(options_.out) == whole);
}

TEST_F(MineTest, SaysWhatIsWrong) {
  const auto kind = [&](const std::string& rows) {
    try {
      run(rows);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::internal;
  };
  EXPECT_EQ(kind("{\"query\":\"a\",\"pos\":[\" \"]}\n"), ErrorKind::bad_format);
  EXPECT_FALSE(fs::exists(options_.out + ".work"));
  EXPECT_EQ(kind("{\"query\":\"a\",\"pos\":[\"b\"]}\n{\"query\":\n"), ErrorKind::bad_format);
  EXPECT_EQ(kind("{\"x\":1}\n"), ErrorKind::bad_format);
  options_.select.last = 0;
  EXPECT_EQ(kind(row_of("a", "b")), ErrorKind::usage);
  options_.select.last = 20;
  options_.select.negatives = 0;
  EXPECT_EQ(kind(row_of("a", "b")), ErrorKind::usage);
  options_.select.negatives = 1;
  options_.out = (folder_ / "in.jsonl").string();
  EXPECT_EQ(kind(row_of("a", "b")), ErrorKind::usage);
}

TEST_F(MineTest, TheReportIsAPage) {
  const auto report = run(row_of("a <b> c", "a <b> & x") + row_of("a <b> d", "d \"y\" z w"));
  const auto page = report_html(nlohmann::ordered_json::parse(report.dump()));
  EXPECT_NE(page.find("a &lt;b&gt; c"), std::string::npos);
  EXPECT_EQ(page.find("<b> c"), std::string::npos);
  EXPECT_NE(page.find("known answer"), std::string::npos);
  EXPECT_THROW(report_html({{"rows", 1}}), Error);
}

}  // namespace
}  // namespace akin::mine
