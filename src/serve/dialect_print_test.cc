// What dialects print with and read with, apart from any API: floats, base64, quantised forms,
// escapes, ranks, typed fields.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/rng.h"
#include "serve/dialects/answer.h"
#include "text/base64.h"

namespace akin::serve {
namespace {

std::string printed(std::span<const float> x, VectorForm form) {
  std::string out;
  append_vector(out, x, form);
  return out;
}

TEST(DialectPrint, FloatsReadBackToTheSameBits) {
  Rng rng(1);
  for (size_t i = 0; i < 100'000; ++i) {
    const auto bits = static_cast<uint32_t>(rng.next());
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    std::string out;
    append_float(out, value);
    if (!std::isfinite(value)) {
      EXPECT_EQ(out, "null");
      continue;
    }
    EXPECT_LE(out.size(), 23U) << out;
    const float back = std::strtof(out.c_str(), nullptr);
    EXPECT_EQ(std::memcmp(&value, &back, sizeof value), 0) << out;
  }
  EXPECT_EQ(printed(std::vector<float>{0.1F, -2.0F, 1e-5F}, VectorForm::floats), "[0.1,-2,1e-05]");
}

TEST(DialectPrint, Base64IsLittleEndianF32) {
  Rng rng(2);
  for (size_t count : {0, 1, 2, 3, 4, 5, 64, 257}) {
    std::vector<float> x;
    x.reserve(count + 1);  // memcmp takes no null pointer, even for no bytes
    for (size_t i = 0; i < count; ++i) x.push_back(static_cast<float>(rng.normal()));
    const std::string out = printed(x, VectorForm::base64);
    EXPECT_LE(out.size(), vector_bytes(count, VectorForm::base64));
    const std::string bytes = text::decode_base64(out.substr(1, out.size() - 2), "test");
    ASSERT_EQ(bytes.size(), count * 4);
    EXPECT_EQ(std::memcmp(bytes.data(), x.data(), bytes.size()), 0);
  }
}

TEST(DialectPrint, IntegerForms) {
  const std::vector<float> x = {0.5F, -0.25F, 0.0F, 2.0F, -2.0F, 0.004F, 0.1F, -0.1F, 1.0F};
  EXPECT_EQ(printed(x, VectorForm::int8), "[64,-32,0,127,-127,1,13,-13,127]");
  EXPECT_EQ(printed(x, VectorForm::uint8), "[192,96,128,255,1,129,141,115,255]");
  EXPECT_EQ(printed(x, VectorForm::ubinary), "[150,128]");  // 10010110 1
  EXPECT_EQ(printed(x, VectorForm::binary), "[22,0]");
  const std::vector<float> odd = {std::numeric_limits<float>::quiet_NaN(), 1e30F};
  EXPECT_EQ(printed(odd, VectorForm::int8), "[0,127]");
  EXPECT_EQ(printed(odd, VectorForm::floats), "[null,1e+30]");
}

TEST(DialectPrint, StringsAreEscapedAndRepaired) {
  std::string out;
  append_json(out, std::string_view("a\"b\\c\n\t\r\x01\0\xC3\xA9", 12));
  EXPECT_EQ(out, "\"a\\\"b\\\\c\\n\\t\\r\\u0001\\u0000\xC3\xA9\"");
  out.clear();
  append_json(out, "x\xFFy");
  EXPECT_EQ(out, "\"x\xEF\xBF\xBDy\"");
}

TEST(DialectPrint, RanksPutWhatIsNoNumberLast) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> scores = {0.1F, nan, 0.9F, 0.1F};
  EXPECT_EQ(rank(scores, {}), (std::vector<size_t>{2, 0, 3, 1}));
  EXPECT_EQ(rank(scores, 2), (std::vector<size_t>{2, 0}));
}

std::string refused(std::string_view body, void (*read)(const BodyObject&)) {
  try {
    const Body parsed(body);
    read(parsed.object());
    return "read";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(DialectFields, SayWhichFieldWhatWasGotAndExpected) {
  const auto count = [](const BodyObject& body) { body.count("n", 1, 9); };
  EXPECT_EQ(refused(R"({"n": 9.0})", count), "read");
  EXPECT_EQ(refused(R"({"n": null})", count), "read");
  EXPECT_EQ(refused(R"({"n": 10})", count), "n: expected an integer from 1 to 9, got 10");
  EXPECT_EQ(refused(R"({"n": 2.5})", count), "n: expected an integer from 1 to 9, got 2.5");
  EXPECT_EQ(refused(R"({"n": 18446744073709551615})", count),
            "n: expected an integer from 1 to 9, got 18446744073709551615");
  EXPECT_EQ(refused(R"({"n": [1]})", count), "n: expected an integer from 1 to 9, got a list");
  EXPECT_EQ(refused(R"({"o": {"n": false}})",
                    [](const BodyObject& body) { body.object("o")->text("n"); }),
            "o.n: expected a string, got false");
  EXPECT_EQ(refused(R"({"ids": [1, -1]})",
                    [](const BodyObject& body) { as_ids(body.need("ids"), "ids"); }),
            "ids[1]: expected a token id, got -1");
}

}  // namespace
}  // namespace akin::serve
