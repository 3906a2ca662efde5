// The trie against std::map, on random keys over small and full alphabets.
#include "text/unigram_trie.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/rng.h"

namespace akin::text {
namespace {

TEST(UnigramTrie, FindsEveryKeyAndNothingElse) {
  Rng rng(7);
  for (const uint32_t alphabet : {2u, 5u, 256u}) {
    std::map<std::string, uint32_t> expected;
    std::vector<std::string> keys;
    for (int i = 0; i < 3000; ++i) {
      std::string key;
      for (size_t n = rng.below(7); n-- > 0;) key += static_cast<char>(rng.below(alphabet));
      keys.push_back(key);
      if (!key.empty()) expected[key] = static_cast<uint32_t>(i);  // the last one counts
    }
    const UnigramTrie trie(std::vector<std::string_view>(keys.begin(), keys.end()), 0xFFFFFF);
    for (int i = 0; i < 20000; ++i) {
      std::string key;
      for (size_t n = rng.below(8); n-- > 0;) key += static_cast<char>(rng.below(alphabet));
      const auto it = expected.find(key);
      const auto found = trie.find(key);
      ASSERT_EQ(found.has_value(), it != expected.end());
      if (found) {
        ASSERT_EQ(*found, it->second);
      }
    }
    for (const auto& [key, id] : expected) ASSERT_EQ(trie.find(key), id);
  }
}

TEST(UnigramTrie, WalkMeetsEveryPrefixInOrder) {
  const UnigramTrie trie({"a", "abc", "abcd", "b"}, 4);
  auto walk = trie.walk();
  std::vector<uint32_t> ids;
  for (const char c : std::string_view("abcde")) {
    if (!walk.step(static_cast<uint8_t>(c))) break;
    if (walk.id() != 4) ids.push_back(walk.id());
  }
  EXPECT_EQ(ids, (std::vector<uint32_t>{0, 1, 2}));
}

TEST(UnigramTrie, EmptyAndLongKeys) {
  const UnigramTrie empty({}, 0);
  for (int c = 0; c < 256; ++c) {
    auto walk = empty.walk();
    EXPECT_FALSE(walk.step(static_cast<uint8_t>(c)));
  }
  const std::string big(200000, 'x');
  const UnigramTrie trie({big, "x"}, 2);
  EXPECT_EQ(trie.find(big), 0u);
  EXPECT_EQ(trie.find("x"), 1u);
  EXPECT_FALSE(trie.find(big + "x"));
}

}  // namespace
}  // namespace akin::text
