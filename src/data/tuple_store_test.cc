// Tuples of classification data: classes, numbers, and what cannot be.
#include "data/tuple_store.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/error.h"
#include "data/test_store.h"

namespace akin::data {
namespace {

std::shared_ptr<MemoryStore> store_of(
    const std::vector<std::pair<std::string, std::string>>& rows) {
  std::vector<Record> records;
  for (const auto& [text, label] : rows) {
    Record record;
    record.query = text;
    record.positive = label;
    records.push_back(record);
  }
  return std::make_shared<MemoryStore>(std::move(records));
}

// The text, and the number behind it.
std::pair<std::string, std::string> parts(const std::string& text) {
  const size_t cut = text.rfind(' ');
  return {text.substr(0, cut), text.substr(cut + 1)};
}

TEST(Tuples, AreOfOneClassAgainstOthersUnderOneNumber) {
  std::vector<std::pair<std::string, std::string>> rows;
  std::map<std::string, std::string> class_of;
  for (int i = 0; i < 60; ++i) {
    const std::string label = i % 3 == 0 ? "fruit" : i % 3 == 1 ? "tool" : "bird";
    rows.emplace_back("text" + std::to_string(i), label);
    class_of[rows.back().first] = label;
  }
  rows.emplace_back("lonely", "planet");  // no other text of its class
  class_of["lonely"] = "planet";
  const auto tuples = make_tuples(store_of(rows), {.seed = 3, .negatives = 9}, "test");
  ASSERT_EQ(tuples->size(), 60U);
  std::set<std::string> numbers, negatives;
  Record record;
  for (uint64_t i = 0; i < tuples->size(); ++i) {
    tuples->read(i, record);
    const auto [query, number] = parts(record.query);
    EXPECT_TRUE(numbers.insert(number).second);
    const auto [positive, same] = parts(record.positive);
    EXPECT_EQ(same, number);
    EXPECT_EQ(class_of.at(positive), class_of.at(query));
    EXPECT_NE(positive, query);
    ASSERT_EQ(record.negatives.size(), 9U);
    for (const auto& negative : record.negatives) {
      EXPECT_EQ(parts(negative).second, number);
      EXPECT_NE(class_of.at(parts(negative).first), class_of.at(query));
      negatives.insert(parts(negative).first);
    }
  }
  EXPECT_EQ(negatives.size(), 61U);  // all texts take their turn, the lonely one too
  const auto fields = tuples->fields();
  EXPECT_EQ(fields.positive, 60U);
  EXPECT_EQ(fields.negatives, 60U);
  EXPECT_EQ(fields.fewest_negatives, 9U);
}

TEST(Tuples, HangOnTheSeedAlone) {
  const auto rows = store_of({{"a", "x"}, {"b", "x"}, {"c", "y"}, {"d", "y"}, {"e", "z"}});
  const auto one = make_tuples(rows, {.seed = 1, .negatives = 2}, "test");
  const auto same = make_tuples(rows, {.seed = 1, .negatives = 2}, "test");
  const auto other = make_tuples(rows, {.seed = 2, .negatives = 2}, "test");
  EXPECT_EQ(one->fingerprint(), same->fingerprint());
  EXPECT_NE(one->fingerprint(), other->fingerprint());
  Record a, b;
  for (uint64_t i = 0; i < one->size(); ++i) {
    one->read(i, a);
    same->read(i, b);
    EXPECT_EQ(a.query, b.query);
    EXPECT_EQ(a.positive, b.positive);
    EXPECT_EQ(a.negatives, b.negatives);
  }
}

TEST(Tuples, NeedTwoClassesAndTwoTextsOfOne) {
  EXPECT_THROW(make_tuples(store_of({{"a", "x"}, {"b", "x"}}), {}, "test"), Error);
  EXPECT_THROW(make_tuples(store_of({{"a", "x"}, {"b", "y"}}), {}, "test"), Error);
}

}  // namespace
}  // namespace akin::data
