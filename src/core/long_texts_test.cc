// Vectors of texts from those of their pieces.
#include "core/long_texts.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace akin {
namespace {

// Three texts: of one piece, of pieces of 3 and 1 tokens, of no token at all.
TokenBatch batch() {
  TokenBatch out;
  out.ids = {1, 1, 2, 2, 2, 3};
  out.offsets = {0, 2, 5, 6, 6};
  out.pieces = {1, 2, 1};
  return out;
}

void fill(MatView<float> rows) {
  const float values[4][2] = {{0.1F, 0.7F}, {1, 0}, {0, 1}, {0, 0}};
  for (size_t r = 0; r < 4; ++r) {
    for (size_t d = 0; d < 2; ++d) rows(r, d) = values[r][d];
  }
}

TEST(LongTexts, AreMeansOfTheirPiecesByTokens) {
  EncodeOptions options;
  Mat<float> out(3, 2);
  options.normalize = false;
  encode_texts(batch(), {}, options, out.view(), fill);
  EXPECT_EQ(out(0, 0), 0.1F);
  EXPECT_EQ(out(0, 1), 0.7F);
  EXPECT_FLOAT_EQ(out(1, 0), 0.75F);
  EXPECT_FLOAT_EQ(out(1, 1), 0.25F);
  EXPECT_EQ(out(2, 0), 0);
  options.normalize = true;
  encode_texts(batch(), {}, options, out.view(), fill);
  EXPECT_FLOAT_EQ(out(1, 0) * out(1, 0) + out(1, 1) * out(1, 1), 1);
  EXPECT_FLOAT_EQ(out(1, 0), 3 * out(1, 1));
}

TEST(LongTexts, TokensNeedTheTextInOne) {
  EXPECT_NO_THROW(check_whole({}));
  TokenBatch two;
  two.pieces = {2};
  EXPECT_THROW(check_whole(two), Error);
}

}  // namespace
}  // namespace akin
