// The character map on a small self-made blob, on damaged ones, and on the real nmt_nfkc map when
// the shared data is there.
#include "text/charsmap.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/rng.h"
#include "text/sentencepiece.h"

namespace akin::text {
namespace {

// A double array in the layout of darts-clone: every node gets a block of 256 units of its own.
class BlobBuilder {
 public:
  explicit BlobBuilder(const std::map<std::string, std::string>& rules) {
    units_.assign(256, 0);
    place(rules, "", 0);
    for (const auto& [from, to] : rules) {
      units_[leaf_[from]] = 0x80000000u | static_cast<uint32_t>(replacements_.size());
      replacements_ += to;
      replacements_ += '\0';
    }
  }
  std::string blob() const {
    std::string out;
    const auto put = [&out](uint32_t value) {
      for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> 8 * i);
    };
    put(static_cast<uint32_t>(units_.size() * 4));
    for (const uint32_t unit : units_) put(unit);
    return out + replacements_;
  }

 private:
  void place(const std::map<std::string, std::string>& rules, const std::string& prefix,
             size_t node) {
    const size_t base = units_.size();  // a multiple of 256
    units_.resize(base + 256, 0);
    const size_t offset = base ^ node;
    units_[node] |= static_cast<uint32_t>(offset << 10);
    std::set<uint8_t> children;
    for (const auto& [key, to] : rules) {
      if (key == prefix) {
        units_[node] |= 1u << 8;
        leaf_[key] = base;
      } else if (key.starts_with(prefix)) {
        children.insert(static_cast<uint8_t>(key[prefix.size()]));
      }
    }
    for (const uint8_t label : children) units_[base ^ label] = label;
    for (const uint8_t label : children) {
      place(rules, prefix + static_cast<char>(label), base ^ label);
    }
  }
  std::vector<uint32_t> units_;
  std::map<std::string, size_t> leaf_;
  std::string replacements_;
};

const std::string kAcute = "\xCC\x81";  // U+0301

PrecompiledCharsmap small_map() {
  return PrecompiledCharsmap::from_bytes(BlobBuilder({{"\t", " "},
                                                      {"\r", " "},
                                                      {"\x01", ""},
                                                      {"A", "a"},
                                                      {"e" + kAcute, "\xC3\xA9"},
                                                      {"\xEF\xBC\x81", "!"},  // U+FF01
                                                      {"\xE2\x84\xA2", "TM"}})
                                             .blob(),
                                         "test");
}

std::string normalized(const PrecompiledCharsmap& map, std::string_view in) {
  std::string out;
  std::vector<uint32_t> offsets;
  map.normalize(in, out, &offsets);
  EXPECT_EQ(offsets.size(), out.size());
  for (const uint32_t offset : offsets) EXPECT_LT(offset, in.size());
  std::string again;
  map.normalize(in, again);
  EXPECT_EQ(again, out);
  return out;
}

TEST(PrecompiledCharsmap, ReplacesCharactersAndClusters) {
  const auto map = small_map();
  EXPECT_EQ(normalized(map, "plain text, long enough for eight bytes at once"),
            "plain text, long enough for eight bytes at once");
  EXPECT_EQ(normalized(map,
                       "ABA b\tc\x01"
                       "d"),
            "aBa b cd");
  EXPECT_EQ(normalized(map, "e" + kAcute + "e"),
            "\xC3\xA9"
            "e");
  EXPECT_EQ(normalized(map, "\xE4\xBD\xA0\xEF\xBC\x81\xE2\x84\xA2"), "\xE4\xBD\xA0!TM");
  EXPECT_EQ(normalized(map, "a\r\nb"), "a b");    // one cluster, replaced by its first rule
  EXPECT_EQ(normalized(map, "A" + kAcute), "a");  // likewise
  EXPECT_EQ(normalized(map, "A" + kAcute + kAcute + kAcute),
            "a" + kAcute + kAcute + kAcute);  // 7 bytes
  EXPECT_EQ(normalized(map, ""), "");
}

TEST(PrecompiledCharsmap, LongestPrefixIsAnOption) {
  const auto map = small_map();
  const auto longest = [&](std::string_view in) {
    std::string out;
    map.normalize(in, PrecompiledCharsmap::Matching::longest_prefix, out, nullptr);
    return out;
  };
  EXPECT_EQ(longest("a\r\nb"), "a \nb");
  EXPECT_EQ(longest("A" + kAcute), "a" + kAcute);
  EXPECT_EQ(longest("e" + kAcute), "\xC3\xA9");
}

TEST(PrecompiledCharsmap, SourceOffsetsPointAtTheCharacter) {
  std::string out;
  std::vector<uint32_t> offsets;
  small_map().normalize("xA\xE2\x84\xA2\xE4\xBD\xA0", out, &offsets);
  EXPECT_EQ(out, "xaTM\xE4\xBD\xA0");
  EXPECT_EQ(offsets, (std::vector<uint32_t>{0, 1, 2, 2, 5, 5, 5}));
}

TEST(PrecompiledCharsmap, PlainTextIsKnownWithoutACopy) {
  const auto map = small_map();
  EXPECT_TRUE(map.is_plain("plain text"));
  EXPECT_TRUE(map.is_plain("\xE4\xBD\xA0\xE5\xA5\xBD"));
  EXPECT_FALSE(map.is_plain("plain texT, A"));
  EXPECT_FALSE(map.is_plain("a" + kAcute));
}

TEST(PrecompiledCharsmap, EmptyBlobChangesNothing) {
  const auto map = PrecompiledCharsmap::from_bytes("", "test");
  EXPECT_EQ(normalized(map, "A\r\n" + kAcute), "A\r\n" + kAcute);
}

TEST(PrecompiledCharsmap, RefusesLyingSizes) {
  const auto read = [](std::string_view blob) { PrecompiledCharsmap::from_bytes(blob, "test"); };
  EXPECT_THROW(read("abc"), Error);
  EXPECT_THROW(read(std::string_view("\xFF\xFF\xFF\xFF"
                                     "aaaa",
                                     8)),
               Error);
  EXPECT_THROW(read(std::string_view("\x03\0\0\0aaaa", 8)), Error);
  EXPECT_THROW(read(std::string_view("\0\0\0\0aaaa", 8)), Error);
  EXPECT_THROW(read(std::string_view("\x04\0\0\0aaaa\xFF", 9)), Error);
}

TEST(PrecompiledCharsmap, DamagedBlobsNeverReadOutside) {
  const std::string blob = BlobBuilder({{"a", "b"}, {"ab", "c"}, {"\xE4\xBD\xA0", "you"}}).blob();
  Rng rng(11);
  for (int round = 0; round < 60; ++round) {
    std::string damaged = blob;
    for (int i = 0; i < 40; ++i)
      damaged[4 + rng.below(damaged.size() - 4)] = static_cast<char>(rng.next());
    try {
      const auto map = PrecompiledCharsmap::from_bytes(damaged, "test");
      normalized(map, "ab a \xE4\xBD\xA0 ababab");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::bad_format);
    }
  }
}

TEST(PrecompiledCharsmap, RealMap) {
  const std::filesystem::path path =
      "../shared/data/tokenizers/xlm-roberta-base/sentencepiece.bpe.model";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "skipped: no shared data";
  const auto map = PrecompiledCharsmap::from_bytes(load_sentencepiece(path).charsmap, "xlm-r");
  EXPECT_EQ(normalized(map, "\xE2\x84\xA2\x1Eg"), "TMg");  // the examples of the reference
  EXPECT_EQ(normalized(map, "\xF0\x9D\x94\xBE\xF0\x9D\x95\xA0\xF0\x9D\x95\xA0\xF0\x9D\x95\x95"),
            "Good");
  EXPECT_EQ(normalized(map, "\xEF\xBC\x91\xE3\x80\x80\xE2\x91\xA2"), "1 3");
  EXPECT_EQ(normalized(map, "e" + kAcute), "\xC3\xA9");
  EXPECT_TRUE(map.is_plain("The quick brown fox jumps over the lazy dog."));
}

}  // namespace
}  // namespace akin::text
