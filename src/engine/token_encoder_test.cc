// TokenEncoder beside Encoder: the same bytes by either way, whatever the batch. On a static model
// that lies in the repository; transformers are held to it over HTTP (tests/http).
#include "core/token_encoder.h"

#include <gtest/gtest.h>

#include <cstring>

#include "engine/cpu_encoder.h"
#include "model/model.h"

namespace akin::engine {
namespace {

std::unique_ptr<Encoder> load() {
  return make_cpu_encoder(model::load_model("models/static-en-64"), {.threads = 1});
}

TEST(TokenEncoder, TwoHalvesMakeTheWhole) {
  const auto encoder = load();
  TokenEncoder* tokens = token_encoder(*encoder);
  ASSERT_NE(tokens, nullptr);
  const std::vector<std::string_view> texts = {"a small dog runs", "", "image viewer for X11",
                                               "\xff broken"};
  Mat<float> whole(texts.size(), encoder->info().dim), halves(texts.size(), encoder->info().dim);
  encoder->encode(texts, {}, whole.view());
  EncodeReport report;
  const TokenBatch batch = tokens->tokenize(texts, {}, report);
  EXPECT_EQ(report.texts, 4U);
  EXPECT_EQ(report.tokens, batch.tokens());
  EXPECT_EQ(report.invalid_utf8, 1U);
  tokens->encode_ids(batch, {}, halves.view());
  EXPECT_EQ(std::memcmp(whole.data(), halves.data(), texts.size() * whole.cols() * sizeof(float)),
            0);
}

TEST(TokenEncoder, WrapTakesIdsAndRefusesStrangeOnes) {
  const auto encoder = load();
  TokenEncoder* tokens = token_encoder(*encoder);
  EncodeReport report;
  const std::vector<std::string_view> texts = {"a small dog runs"};
  const TokenBatch batch = tokens->tokenize(texts, {}, report);
  const std::vector<std::span<const int32_t>> ids = {batch.text(0)};
  EXPECT_EQ(tokens->wrap(ids, true, {}, report).ids, batch.ids);
  const std::vector<int32_t> strange = {1, 99999999};
  const std::vector<std::span<const int32_t>> bad = {batch.text(0), strange};
  try {
    tokens->wrap(bad, true, {}, report);
    FAIL() << "an id outside the vocabulary was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_EQ(error.where(), "input 1");
  }
}

TEST(TokenEncoder, PiecesCoverTheTextAndDecode) {
  const auto encoder = load();
  TokenEncoder* tokens = token_encoder(*encoder);
  const std::string text = "a small dog";
  const auto pieces = tokens->pieces(text, "", true);
  ASSERT_EQ(pieces.size(), 3U);
  // This vocabulary's pieces hold the space before a word.
  EXPECT_EQ(text.substr(pieces[2].begin, pieces[2].end - pieces[2].begin), " dog");
  std::vector<int32_t> ids;
  for (const auto& piece : pieces) ids.push_back(piece.id);
  EXPECT_NE(tokens->decode(ids, true).find("small"), std::string::npos);
  const std::vector<int32_t> strange = {-1};
  EXPECT_THROW(tokens->decode(strange, true), Error);
}

}  // namespace
}  // namespace akin::engine
