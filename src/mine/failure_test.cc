// Failure cases over small corpora: what is made, that nothing that is made can be an answer, and
// that the bytes depend on input and seed alone.
#include "mine/failure.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "mine/failure_case.h"

namespace akin::mine {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class FailureTest : public testing::Test {
 protected:
  FailureTest() {
    std::string name = (fs::temp_directory_path() / "akin_failure_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
    options_.out = (folder_ / "out.jsonl").string();
    options_.work = (folder_ / "work").string();
    options_.threads = 2;
  }
  ~FailureTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  static std::string read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream out;
    out << file.rdbuf();
    return out.str();
  }
  void add(const std::string& query, const std::string& positive) {
    rows_ += json({{"query", query}, {"pos", {positive}}}).dump() + "\n";
  }
  // Rows about other things, so that words have weights.
  void add_others(size_t count) {
    static const char* const kPlaces[] = {"Lisbon", "Kyoto", "Bergen", "Quito", "Tunis"};
    for (size_t i = 0; i < count; ++i) {
      const std::string thing = "thing" + std::to_string(i), other = "part" + std::to_string(i);
      add("where is the " + thing + " " + std::to_string(i),
          "In " + std::string(kPlaces[i % 5]) + " the " + thing + " stands beside an old " + other +
              " made of wood.");
    }
  }
  json run(const std::string& name) {
    std::ofstream(folder_ / "in.jsonl", std::ios::binary) << rows_;
    options_.input.files = {(folder_ / "in.jsonl").string()};
    options_.cases = {name};
    return json::parse(make_failure_cases(options_, {}).dump());
  }
  std::vector<json> lines(const fs::path& path = {}) const {
    std::vector<json> out;
    std::istringstream text(read(path.empty() ? fs::path(options_.out) : path));
    for (std::string line; std::getline(text, line);) out.push_back(json::parse(line));
    return out;
  }
  // The negatives of the first line with this query.
  std::vector<std::string> negatives(const std::string& query) const {
    for (const auto& line : lines()) {
      if (line.at("query") == query) return line.at("neg").get<std::vector<std::string>>();
    }
    return {};
  }

  fs::path folder_;
  std::string rows_;
  FailureOptions options_;
};

bool has(const std::vector<std::string>& list, const std::string& text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

TEST_F(FailureTest, LookAlikesLackWhatTheQueryIsAbout) {
  add("What are the symptoms of glaucoma?", "Glaucoma often shows first as loss of side vision.");
  add("glaucoma symptoms", "People with glaucoma see halos around lamps.");
  for (int i = 0; i < 60; ++i) {
    const std::string name = "fever" + std::to_string(i);
    add("What are the symptoms of " + name + "?", "The symptoms of " + name + " are varied.");
  }
  const json report = run("look-alike");
  const auto found = negatives("What are the symptoms of glaucoma?");
  ASSERT_EQ(found.size(), 7U);
  for (const auto& text : found) {
    EXPECT_EQ(text.find("laucoma"), std::string::npos) << text;
    EXPECT_NE(text.find("ymptoms of fever"), std::string::npos) << text;
  }
  EXPECT_EQ(report.at("cases").at(0).at("kinds").size(), 3U) << report;
}

TEST_F(FailureTest, NamesInPartAndOtherNames) {
  add("who was Sofia Albert", "The painter Sofia Albert lived in Bergen. Albert died at sea.");
  add("who was Martin Stone", "The writer Martin Stone was born in Quito.");
  add("life of Hannah Stone", "Hannah Stone was a singer of folk songs.");
  for (int i = 0; i < 40; ++i) {
    const std::string name = "Sanna" + std::to_string(i) + " Holm" + std::to_string(i);
    add("born where was " + name, "The records say that " + name + " was born in Tunis.");
  }
  add("Albert in the harbour", "Old Albert sells fish and nets in the harbour.");
  add_others(60);
  options_.negatives = 8;
  run("entity");
  const auto found = negatives("who was Sofia Albert");
  EXPECT_TRUE(has(found, "Old Albert sells fish and nets in the harbour."));
  bool renamed = false;
  for (const auto& text : found) {
    EXPECT_EQ(text.find("Sofia Albert"), std::string::npos) << text;
    renamed = renamed || text.find("The painter") == 0;
    if (text.starts_with("The painter Sofia")) {
      EXPECT_EQ(text.find("Albert"), std::string::npos) << text;  // everywhere
    }
  }
  EXPECT_TRUE(renamed);
}

TEST_F(FailureTest, NamesInIdeographs) {
  add("路易丝·塞尔森简历", "路易丝·塞尔森是一名羽毛球运动员，生于丹麦。");
  add("马丁·施密特简历", "马丁·施密特是德国跳台滑雪选手。");
  add("塞尔森工厂", "塞尔森工厂生产自行车轮胎。");
  for (int i = 0; i < 40; ++i) {
    const std::string n(1, static_cast<char>('a' + i % 26));
    add("第" + n + "章写了哪些内容", "第" + n + "章介绍方法与实验结果。");
  }
  run("entity");
  const auto found = negatives("路易丝·塞尔森简历");
  EXPECT_TRUE(has(found, "塞尔森工厂生产自行车轮胎。"));
  EXPECT_GE(found.size(), 2U);
  for (const auto& text : found) {
    EXPECT_EQ(text.find("路易丝·塞尔森"), std::string::npos) << text;
  }
}

TEST_F(FailureTest, OpenQuestionsAndDeniedClaims) {
  const std::string text =
      "The Velox bridge is a crossing of the river Otta. It opened in 1931 after many delays.";
  add("Velox bridge", text);
  add("Is Karst water safe to drink?",
      "Karst water is safe to drink after boiling. Many villages use karst springs.");
  add_others(60);
  run("polar");
  EXPECT_TRUE(has(negatives("Is the Velox bridge a crossing of the river Otta?"),
                  "It opened in 1931 after many delays."));
  EXPECT_TRUE(has(negatives("Is Karst water safe to drink?"), "Many villages use karst springs."));
  EXPECT_TRUE(has(negatives("The Velox bridge is a crossing of the river Otta."),
                  "The Velox bridge is not a crossing of the river Otta. It opened in 1931 after "
                  "many delays."));
  // A question does not say which answer is true.
  EXPECT_FALSE(has(negatives("Is Karst water safe to drink?"),
                   "Karst water is not safe to drink after boiling. Many villages use karst "
                   "springs."));
}

TEST_F(FailureTest, OpenQuestionsInIdeographs) {
  add("泰山简介", "泰山是山东省的一座名山。每年有许多游客登山看日出。");
  add("华山简介", "但是华山还是很险。游客要带够水。");  // 是 is no verb here
  add_others(60);
  run("polar");
  EXPECT_TRUE(has(negatives("泰山是山东省的一座名山吗？"), "每年有许多游客登山看日出。"));
  EXPECT_TRUE(has(negatives("泰山是山东省的一座名山。"),
                  "泰山不是山东省的一座名山。每年有许多游客登山看日出。"));
  for (const auto& line : lines()) {
    EXPECT_EQ(line.at("query").get<std::string>().find("华山"), std::string::npos);
  }
}

TEST_F(FailureTest, PoorTextsAreOfOtherWordingWhereHeldOut) {
  const std::string query = "how to sharpen a chisel";
  add(query,
      "Hold the bevel flat on a wet stone and move it in small circles until a burr "
      "forms along the whole edge of the blade, then turn the chisel over and take the "
      "burr off with a few light strokes on the finest stone that you have.");
  add_others(20);
  run("low-quality");
  const auto trained = negatives(query);
  EXPECT_TRUE(has(trained, "Hold the bevel flat on a wet stone and move"));
  EXPECT_TRUE(has(trained, query + " " + query + " " + query + " " + query));
  options_.eval_set = (folder_ / "set").string();
  options_.out.clear();
  run("low-quality");
  for (const auto& line : lines(folder_ / "set" / "low-quality.jsonl")) {
    if (line.at("query") != query) continue;
    EXPECT_NE(line.at("neg").at(0), trained.at(0));
  }
  EXPECT_NE(read(folder_ / "set" / "tasks.toml").find("Failure.low-quality"), std::string::npos);
}

TEST_F(FailureTest, NegativesAreNeverThePositiveAndBytesDoNotDependOnThreads) {
  add("car car car car", "car car car car car");
  add("car", "car car car car");  // what repeating the query would give
  add_others(300);
  options_.cases = {};
  run("all");
  const std::string bytes = read(options_.out);
  for (const auto& line : lines()) {
    for (const auto& negative : line.at("neg")) {
      EXPECT_NE(negative, line.at("pos").at(0));
      EXPECT_NE(negative, line.at("query"));
    }
  }
  options_.threads = 1;
  run("all");
  EXPECT_EQ(read(options_.out), bytes);
  options_.seed = 2;
  run("all");
  EXPECT_NE(read(options_.out), bytes);
}

TEST_F(FailureTest, HoldsOutRowsOfOneAnswerTogether) {
  for (int i = 0; i < 200; ++i) {
    const std::string n = std::to_string(i / 2);
    add("query " + std::to_string(i) + " about stone" + n, "The stone" + n + " lies in box " + n);
  }
  options_.eval_set = (folder_ / "set").string();
  options_.hold_out = 0.3;
  const json report = run("low-quality");
  EXPECT_NEAR(report.at("rows_held_out").get<double>(), 60, 30);
  std::vector<std::string> held;
  for (const auto& line : lines(folder_ / "set" / "low-quality.jsonl")) {
    held.push_back(line.at("pos").at(0));
  }
  for (const auto& line : lines()) EXPECT_FALSE(has(held, line.at("pos").at(0)));
}

TEST_F(FailureTest, RefusesWhatCannotBe) {
  add("a", "b");
  EXPECT_THROW(run("lookalike"), Error);
  options_.negatives = 0;
  EXPECT_THROW(run("entity"), Error);
  options_.negatives = 7;
  options_.out.clear();
  EXPECT_THROW(run("entity"), Error);
}

TEST(TermIndex, FindsWhatSharesMost) {
  const fs::path path = fs::temp_directory_path() / ("akin_terms." + std::to_string(::getpid()));
  {
    TextFile texts(path);
    texts.add("red fox in snow");
    texts.add("brown bear in a den");
    texts.add("狐狸在雪地里");
    texts.add("the red bear");
    texts.close();
    ThreadPool pool(2);
    WordWeights weights;
    count_terms(texts, weights, pool, {});
    const TermIndex index(texts, weights, pool, {});
    const auto hits = index.find(term_set("a red fox"), 10);
    ASSERT_EQ(hits.size(), 3U);
    EXPECT_EQ(hits[0].text, 0U);
    EXPECT_EQ(index.find(term_set("狐狸"), 10).at(0).text, 2U);
    EXPECT_TRUE(index.find(term_set("whale"), 10).empty());
  }
  fs::remove(path);
}

}  // namespace
}  // namespace akin::mine
