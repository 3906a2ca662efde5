// The trie against std::map, on random keys over small and large alphabets.
#include "text/unigram_trie.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/error.h"
#include "base/rng.h"
#include "text/utf8.h"

namespace akin::text {
namespace {

UnigramTrie make(const std::vector<std::string>& keys) {
  return UnigramTrie(std::vector<std::string_view>(keys.begin(), keys.end()),
                     std::vector<double>(keys.size(), -1.5), "test");
}

std::string random_text(Rng& rng, size_t length, uint32_t alphabet) {
  std::string text;
  while (length-- > 0) {
    const auto c = static_cast<char32_t>(1 + rng.below(alphabet));
    append_utf8(c < 0xD800 || c > 0xDFFF ? c : U'x', text);
  }
  return text;
}

TEST(UnigramTrie, FindsEveryKeyAndNothingElse) {
  Rng rng(7);
  for (const uint32_t alphabet : {2u, 5u, 100u, 5000u, 0x10FFFFu}) {
    std::map<std::string, uint32_t> expected;
    std::vector<std::string> keys;
    for (int i = 0; i < 3000; ++i) {
      keys.push_back(random_text(rng, rng.below(7), alphabet));
      if (!keys.back().empty()) expected[keys.back()] = static_cast<uint32_t>(i);  // last counts
    }
    const UnigramTrie trie = make(keys);
    for (int i = 0; i < 20000; ++i) {
      const std::string key = random_text(rng, rng.below(8), alphabet);
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

TEST(UnigramTrie, NodesCarryScores) {
  const UnigramTrie trie({"a", "ab"}, {-1.5, -2.25}, "test");
  const auto* nodes = trie.nodes();
  const uint32_t a = nodes[UnigramTrie::kRoot].base ^ trie.code('a');
  ASSERT_EQ(nodes[a].parent, UnigramTrie::kRoot);
  EXPECT_EQ(nodes[a].id, 0u);
  EXPECT_EQ(nodes[a].score, -1.5F);
  const uint32_t ab = nodes[a].base ^ trie.code('b');
  ASSERT_EQ(nodes[ab].parent, a);
  EXPECT_EQ(nodes[ab].score, -2.25F);
  EXPECT_EQ(trie.code('c'), 0u);
}

TEST(UnigramTrie, EmptyCutAndLongKeys) {
  const UnigramTrie empty = make({});
  EXPECT_FALSE(empty.find("a"));
  EXPECT_FALSE(empty.find(""));
  const std::string big(200000, 'x');
  const UnigramTrie trie = make({big, "x", "\xE4\xBD\xA0"});
  EXPECT_EQ(trie.find(big), 0u);
  EXPECT_EQ(trie.find("x"), 1u);
  EXPECT_FALSE(trie.find(big + "x"));
  EXPECT_FALSE(trie.find("\xE4\xBD"));
  EXPECT_FALSE(trie.find("x\xE4"));
}

TEST(UnigramTrie, SparseFamiliesStayBounded) {
  // Many nodes with a few children spread over a large alphabet.
  Rng rng(9);
  std::vector<std::string> keys;
  for (int parent = 0; parent < 2000; ++parent) {
    const std::string prefix = random_text(rng, 2, 20000);
    for (int i = 0; i < 12; ++i) keys.push_back(prefix + random_text(rng, 1, 20000));
  }
  const UnigramTrie trie = make(keys);
  EXPECT_LT(trie.size_bytes(), size_t{64} << 20);
  for (const auto& key : keys) ASSERT_TRUE(trie.find(key));
}

}  // namespace
}  // namespace akin::text
