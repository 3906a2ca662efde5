#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "akin/c_api.h"
#include "akin/encoder.h"

namespace akin::api {
namespace {

constexpr const char* kModel = "models/static-en-64";

TEST(Api, EncodesWithTheFactsOfTheModel) {
  Encoder encoder(kModel);
  EXPECT_EQ(encoder.info().name, "static-en-64");
  EXPECT_EQ(encoder.dims(), 64U);
  const auto vectors = encoder.encode({"hello world", "hello world", "tax"});
  ASSERT_EQ(vectors.size(), 3 * 64U);
  float same = 0;
  for (size_t d = 0; d < 64; ++d) same += vectors[d] * vectors[64 + d];
  EXPECT_NEAR(same, 1, 1e-5);
  EXPECT_EQ(encoder.encode({"x"}, {.dims = 16, .allow_any_dims = true}).size(), 16U);
  EXPECT_TRUE(encoder.encode(std::vector<std::string>{}).empty());
}

TEST(Api, ErrorsCarryKindAndWords) {
  Encoder encoder(kModel);
  try {
    encoder.encode({"x"}, {.dims = 65});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("65"), std::string::npos);
  }
  EXPECT_THROW(Encoder("no/such/folder"), Error);
  std::vector<float> small(3);
  const std::string_view text = "x";
  EXPECT_THROW(encoder.encode(std::span(&text, 1), {}, small), Error);
}

TEST(Api, ManyThreadsShareAnEncoder) {
  Encoder encoder(kModel, {.threads = 2});
  const auto expected = encoder.encode({"one text for all"});
  std::vector<std::thread> threads;
  std::atomic<int> different{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i)
        different += encoder.encode({"one text for all"}) == expected ? 0 : 1;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(different, 0);
}

TEST(CApi, OpensEncodesCloses) {
  akin_encoder* encoder = nullptr;
  const akin_open_options open = {sizeof open, 1, AKIN_F32};
  ASSERT_EQ(akin_open(kModel, &open, &encoder), AKIN_OK) << akin_last_error();
  EXPECT_EQ(akin_dims(encoder), 64U);
  EXPECT_EQ(std::string(akin_fingerprint(encoder)).size(), 32U);
  const char* texts[] = {"hello", "hello world and more"};
  const size_t lengths[] = {5, 5};
  std::vector<float> out(128);
  akin_report report;
  ASSERT_EQ(akin_encode(encoder, texts, lengths, 2, nullptr, out.data(), &report), AKIN_OK)
      << akin_last_error();
  EXPECT_EQ(report.texts, 2U);
  for (size_t d = 0; d < 64; ++d) EXPECT_EQ(out[d], out[64 + d]);  // both read five bytes
  akin_close(encoder);
  akin_close(nullptr);
}

TEST(CApi, NothingThrowsAndEveryFailureHasWords) {
  akin_encoder* encoder = nullptr;
  EXPECT_EQ(akin_open("no/such/folder", nullptr, &encoder), AKIN_NOT_FOUND);
  EXPECT_NE(std::string(akin_last_error()).find("no/such/folder"), std::string::npos);
  EXPECT_EQ(encoder, nullptr);
  EXPECT_EQ(akin_open(nullptr, nullptr, &encoder), AKIN_USAGE);
  akin_open_options open = {};
  EXPECT_EQ(akin_open(kModel, &open, &encoder), AKIN_USAGE);  // size not set
  open = {sizeof open, 0, static_cast<akin_precision>(7)};
  EXPECT_EQ(akin_open(kModel, &open, &encoder), AKIN_USAGE);
  ASSERT_EQ(akin_open(kModel, nullptr, &encoder), AKIN_OK);
  float out[64];
  const char* text = "x";
  EXPECT_EQ(akin_encode(nullptr, &text, nullptr, 1, nullptr, out, nullptr), AKIN_USAGE);
  EXPECT_EQ(akin_encode(encoder, nullptr, nullptr, 1, nullptr, out, nullptr), AKIN_USAGE);
  EXPECT_EQ(akin_encode(encoder, nullptr, nullptr, 0, nullptr, nullptr, nullptr), AKIN_OK);
  akin_encode_options options = {};
  options.size = sizeof options;
  options.prompt_name = "nothing";
  EXPECT_EQ(akin_encode(encoder, &text, nullptr, 1, &options, out, nullptr), AKIN_NOT_FOUND);
  options.prompt_name = nullptr;
  options.dims = 100;
  EXPECT_EQ(akin_encode(encoder, &text, nullptr, 1, &options, out, nullptr), AKIN_USAGE);
  akin_close(encoder);
  EXPECT_EQ(akin_dims(nullptr), 0U);
  EXPECT_STREQ(akin_version(), AKIN_VERSION_STRING);
}

}  // namespace
}  // namespace akin::api
