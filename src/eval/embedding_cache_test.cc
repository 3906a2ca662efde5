// The embedding cache under damage, and the cached encoder's prompts and counts.
#include "eval/embedding_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "eval/cached_encoder.h"
#include "eval/retrieval_data.h"
#include "eval/task_spec.h"
#include "eval/test_encoder.h"

namespace akin::eval {
namespace {

namespace fs = std::filesystem;

class CacheTest : public ::testing::Test {
 protected:
  CacheTest() {
    std::string name = (fs::temp_directory_path() / "akin_cache_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    root_ = name;
  }
  ~CacheTest() override { fs::remove_all(root_); }
  fs::path segment() const { return root_ / "model" / "000000.vectors"; }
  // Two blocks of two vectors of three numbers.
  void fill() const {
    EmbeddingCache cache(root_, "model", 3);
    const EmbeddingKeys keys("", "");
    for (float block = 0; block < 2; ++block) {
      Mat<float> vectors(2, 3);
      for (size_t i = 0; i < 6; ++i) vectors.data()[i] = 10 * block + static_cast<float>(i);
      const EmbeddingKey pair[] = {keys.key(std::to_string(2 * block)),
                                   keys.key(std::to_string(2 * block + 1))};
      cache.add(pair, vectors.view());
    }
  }
  static bool has(EmbeddingCache& cache, const std::string& text, float first) {
    float out[3] = {};
    return cache.find(EmbeddingKeys("", "").key(text), out) && out[0] == first;
  }
  fs::path root_;
};

TEST_F(CacheTest, KeepsVectorsAcrossProcesses) {
  fill();
  EmbeddingCache cache(root_, "model", 3);
  EXPECT_EQ(cache.size(), 4U);
  EXPECT_EQ(cache.damaged_blocks(), 0U);
  EXPECT_TRUE(has(cache, std::to_string(0.0F), 0));
  EXPECT_TRUE(has(cache, std::to_string(3.0F), 13));
  EmbeddingCache other(root_, "other", 3);
  EXPECT_EQ(other.size(), 0U);
}

TEST_F(CacheTest, CutAnywhereItKeepsWholeBlocks) {
  fill();
  const auto size = fs::file_size(segment());
  for (uintmax_t cut = 0; cut < size; cut += 7) {
    fs::remove_all(root_ / "model");
    fill();
    fs::resize_file(segment(), cut);
    EmbeddingCache cache(root_, "model", 3);
    EXPECT_LE(cache.size(), 2U);
    EXPECT_EQ(cache.size(), cut >= 16 + 24 + 32 + 24 ? 2U : 0U) << cut;
    const EmbeddingKey key = EmbeddingKeys("", "").key("new");
    Mat<float> vector(1, 3);
    cache.add({&key, 1}, vector.view());  // goes to a file of its own
  }
}

TEST_F(CacheTest, AFlippedBitCostsItsBlockOnly) {
  fill();
  std::string bytes;
  {
    std::ifstream file(segment(), std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    std::ofstream(segment(), std::ios::binary) << damaged;
    EmbeddingCache cache(root_, "model", 3);
    float out[3];
    size_t found = 0;
    for (float i = 0; i < 4; ++i) {
      if (!cache.find(EmbeddingKeys("", "").key(std::to_string(i)), out)) continue;
      ++found;
      const float block = i < 2 ? 0 : 1, first = 10 * block + (i < 2 ? 3 * i : 3 * (i - 2));
      EXPECT_EQ(out[0], first) << at;
    }
    EXPECT_LE(found, at >= 12 && at < 16 ? 4U : 2U) << at;  // 12 to 15 are spare bytes
  }
}

TEST_F(CacheTest, WhatWasDamagedIsReplacedForGood) {
  fill();
  {
    std::fstream file(segment(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(-1, std::ios::end);
    file.put('x');  // in the vectors of the second block
  }
  const EmbeddingKey key = EmbeddingKeys("", "").key(std::to_string(3.0F));
  float out[3];
  {
    EmbeddingCache cache(root_, "model", 3);
    EXPECT_FALSE(cache.find(key, out));
    EXPECT_EQ(cache.damaged_blocks(), 1U);
    Mat<float> vector(1, 3);
    vector(0, 0) = 7;
    cache.add({&key, 1}, vector.view());
  }
  EmbeddingCache cache(root_, "model", 3);
  ASSERT_TRUE(cache.find(key, out));
  EXPECT_EQ(out[0], 7);
  EXPECT_EQ(cache.damaged_blocks(), 0U);
}

TEST_F(CacheTest, EachTextIsEncodedOnce) {
  WordEncoder words(4);
  EmbeddingCache cache(root_, "words", 4);
  CachedEncoder encoder(words, &cache);
  const std::vector<std::string> texts = {"a b", "c", "a b"};
  const auto first = encoder.encode(texts, {}, nullptr);
  EXPECT_EQ(words.seen.size(), 2U);
  const auto second = encoder.encode(texts, {}, nullptr);
  EXPECT_EQ(words.seen.size(), 2U);
  for (size_t i = 0; i < 12; ++i) EXPECT_EQ(first.data()[i], second.data()[i]);
  encoder.encode(texts, {"query: ", ""}, nullptr);
  EXPECT_EQ(words.seen.back(), "query: c");
  const auto counts = encoder.take_counts();
  EXPECT_EQ(counts.encoded, 4U);
  EXPECT_EQ(counts.cached, 2U);
}

TEST(PromptLookup, FirstOfMtebsKeysWins) {
  EncoderInfo info;
  info.prompts = {{"query", "q: "},
                  {"passage", "p: "},
                  {"Retrieval", "r: "},
                  {"STS", "s: "},
                  {"SciFact-query", "sq: "}};
  TaskSpec spec;
  spec.name = "SciFact";
  spec.type = "Retrieval";
  EXPECT_EQ(choose_prompt(info, spec, TextSide::query).prompt, "sq: ");
  EXPECT_EQ(choose_prompt(info, spec, TextSide::document).prompt, "r: ");
  info.prompts.erase("Retrieval");
  EXPECT_EQ(choose_prompt(info, spec, TextSide::document).prompt, "p: ");
  EXPECT_EQ(choose_prompt(info, spec, TextSide::none).prompt, "");
  spec.prompts = {{"query", "own: "}};
  EXPECT_EQ(choose_prompt(info, spec, TextSide::query).prompt, "own: ");
  info.tasks = {"retrieval.query", "retrieval.passage", "separation"};
  EXPECT_EQ(choose_prompt(info, spec, TextSide::query).adapter, "retrieval.query");
  spec.type = "STS";
  EXPECT_EQ(choose_prompt(info, spec, TextSide::none).prompt, "s: ");
  EXPECT_EQ(choose_prompt(info, spec, TextSide::none).adapter, "");
}

TEST(Strip, AsPythonDoes) {
  EXPECT_EQ(strip("  a b\n"), "a b");
  EXPECT_EQ(strip("\xE3\x80\x80\xE6\x96\x87\xC2\xA0"), "\xE6\x96\x87");
  EXPECT_EQ(strip(" \t\xE2\x80\xA8"), "");
  EXPECT_EQ(strip("\xE2\x80\x8B"
                  "a"),
            "\xE2\x80\x8B"
            "a");  // zero-width space stays
}

}  // namespace
}  // namespace akin::eval
