// Half precision both ways, tensors as numbers, and the options an encoder resolves.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "core/encoder.h"
#include "core/pooling_words.h"
#include "core/tensor.h"

namespace akin {
namespace {

TEST(Half, EveryValueComesBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = half_to_float(static_cast<uint16_t>(bits));
    if (std::isnan(value)) continue;
    ASSERT_EQ(float_to_half(value), bits);
  }
  EXPECT_EQ(float_to_half(65520.0F), 0x7C00);         // rounds to infinity
  EXPECT_EQ(float_to_half(1.0F + 0x1p-11F), 0x3C00);  // a tie goes to even
  EXPECT_EQ(float_to_half(1.0F + 3 * 0x1p-11F), 0x3C02);
}

TEST(Tensor, ReadsUnalignedBytesOfEveryKind) {
  std::vector<std::byte> bytes(1 + 3 * 8);
  const double values[] = {1.5, -2.0, 1e-3};
  std::memcpy(bytes.data() + 1, values, sizeof values);
  const Tensor tensor{DType::f64, {3}, std::span(bytes).subspan(1)};
  const std::vector<float> out = tensor_to_f32(tensor);
  EXPECT_EQ(out, (std::vector<float>{1.5F, -2.0F, 1e-3F}));
  EXPECT_THROW(tensor_int_at(tensor, 0), Error);
  EXPECT_THROW(tensor_to_f32(Tensor{DType::other, {1}, bytes}), Error);
}

TEST(EncodeOptions, DimsPromptsAndTasks) {
  EncoderInfo info;
  info.dim = 64;
  info.matryoshka_dims = {16, 32};
  info.prompts = {{"query", "q: "}};
  info.tasks = {"a", "b"};
  EncodeOptions options;
  EXPECT_EQ(resolve_dims(info, options), 64U);
  options.dims = 32;
  EXPECT_EQ(resolve_dims(info, options), 32U);
  options.dims = 20;
  EXPECT_THROW(resolve_dims(info, options), Error);
  options.allow_any_dims = true;
  EXPECT_EQ(resolve_dims(info, options), 20U);
  options.dims = 65;
  EXPECT_THROW(resolve_dims(info, options), Error);
  options.prompt_name = "query";
  EXPECT_EQ(resolve_prompt(info, options), "q: ");
  options.prompt_name = "nope";
  EXPECT_THROW(resolve_prompt(info, options), Error);
  options.prompt = "literal ";
  EXPECT_EQ(resolve_prompt(info, options), "literal ");
  EXPECT_EQ(resolve_task(info, "b"), 1);
  EXPECT_EQ(resolve_task(info, ""), -1);
  EXPECT_THROW(resolve_task(info, "c"), Error);
}

TEST(PoolingWords, BothSpellingsOfEveryMode) {
  const auto modes = [](const char* words) { return pooling_from_words(words, "--pooling").modes; };
  using Modes = std::vector<PoolingMode>;
  for (const char* words : {"weighted_mean", "weightedmean"})
    EXPECT_EQ(modes(words), Modes{PoolingMode::weighted_mean}) << words;
  for (const char* words : {"mean_sqrt_len", "mean_sqrt_len_tokens"})
    EXPECT_EQ(modes(words), Modes{PoolingMode::mean_sqrt_len}) << words;
  EXPECT_EQ(modes("last_token+cls+lasttoken"), (Modes{PoolingMode::cls, PoolingMode::last_token}));
  for (const char* words : {"", "mean+", "+mean", "first", "mean cls"}) {
    try {
      modes(words);
      FAIL() << words;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      const std::string& message = error.message();
      const size_t list = message.find("one of ") + 7;  // every word that the message offers works
      for (size_t at = list; at < message.size(); at += 2) {
        const size_t end = std::min(message.find(", ", at), message.size());
        EXPECT_EQ(modes(message.substr(at, end - at).c_str()).size(), 1U) << message;
        at = end;
      }
    }
  }
}

}  // namespace
}  // namespace akin
