// Packed texts: every one as long as asked, all tokens in order, nothing lost but a short end;
// texts that are longer than a pack go on in the next.
#include "data/packed_store.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "data/test_letters.h"
#include "data/test_store.h"

namespace akin::data {
namespace {

std::vector<int32_t> ids_of(const text::Tokenizer& tokenizer, std::string_view text) {
  std::vector<int32_t> out;
  tokenizer.encode(text, false, out);
  return out;
}

TEST(PackedStore, LaysTextsEndToEnd) {
  const auto tokenizer = letters();
  Rng rng(2);
  std::vector<Record> records(60);
  std::vector<int32_t> all;
  for (auto& record : records) {
    for (uint64_t n = 1 + rng.below(rng.below(4) == 0 ? 70 : 12); n > 0; --n) {
      record.query +=
          std::string(record.query.empty() ? "" : " ") + static_cast<char>('a' + rng.below(26));
    }
    const auto ids = ids_of(*tokenizer, record.query);
    all.insert(all.end(), ids.begin(), ids.end());
  }
  const auto store = std::make_shared<MemoryStore>(records);
  constexpr size_t kTokens = 18, kRoom = kTokens - 2;
  const auto packed = pack_store(store, *tokenizer, {kTokens, false}, {});
  std::vector<int32_t> seen;
  Record record;
  for (uint64_t i = 0; i < packed->size(); ++i) {
    packed->read(i, record);
    const auto ids = ids_of(*tokenizer, record.query);
    if (i + 1 < packed->size()) {
      EXPECT_EQ(ids.size(), kRoom) << record.query;
    }
    EXPECT_LE(ids.size(), kRoom);
    EXPECT_TRUE(record.positive.empty());
    seen.insert(seen.end(), ids.begin(), ids.end());
  }
  ASSERT_LE(seen.size(), all.size());
  EXPECT_LT(all.size() - seen.size(), 8U);
  EXPECT_TRUE(std::equal(seen.begin(), seen.end(), all.begin()));
  EXPECT_NE(packed->fingerprint(), pack_store(store, *tokenizer, {20, false}, {})->fingerprint());
  EXPECT_THROW(pack_store(store, *tokenizer, {3, false}, {}), Error);
}

TEST(PackedStore, KeepsOneShortText) {
  const auto tokenizer = letters();
  Record one;
  one.query = "a b";
  const auto packed =
      pack_store(std::make_shared<MemoryStore>(std::vector{one}), *tokenizer, {32, false}, {});
  ASSERT_EQ(packed->size(), 1U);
  Record record;
  packed->read(0, record);
  EXPECT_EQ(record.query, "a b");
}

}  // namespace
}  // namespace akin::data
