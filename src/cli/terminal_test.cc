#include "cli/terminal.h"

#include <gtest/gtest.h>

namespace akin::cli {
namespace {

TEST(Terminal, WideAndCombiningCharactersAreMeasured) {
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("图像处理"), 8U);
  EXPECT_EQ(display_width("e\u0301"), 1U);
  EXPECT_EQ(display_width("\xff\xfe"), 2U);
  EXPECT_EQ(display_width("😀"), 2U);
  EXPECT_EQ(display_width(""), 0U);
}

TEST(Terminal, ClipNeverExceedsAndNeverSplits) {
  EXPECT_EQ(clip("abcdef", 6), "abcdef");
  EXPECT_EQ(clip("abcdef", 5), "abcd…");
  EXPECT_EQ(clip("图像处理", 8), "图像处理");
  EXPECT_EQ(clip("图像处理", 7), "图像处…");
  EXPECT_EQ(clip("图像处理", 6), "图像…");
  EXPECT_EQ(clip("图像", 0), "");
  for (size_t columns = 0; columns < 20; ++columns) {
    EXPECT_LE(display_width(clip("a图b像c处d理e", columns)), columns);
    EXPECT_EQ(display_width(fit("a图b像c处d理e", columns)), columns);
  }
}

TEST(Terminal, EscapeSequencesAreDefused) {
  EXPECT_EQ(printable("a\x1b[31mb"), "a\uFFFD[31mb");
  EXPECT_EQ(printable("one\ntwo\tthree"), "one two three");
  EXPECT_EQ(printable("bad\xff"), "bad\uFFFD");
  EXPECT_EQ(printable("right\u202Eleft"), "right\uFFFDleft");
  EXPECT_EQ(printable(std::string_view("nul\0x", 5)), "nul\uFFFDx");
}

TEST(Terminal, Numbers) {
  EXPECT_EQ(thousands(0), "0");
  EXPECT_EQ(thousands(999), "999");
  EXPECT_EQ(thousands(1000), "1,000");
  EXPECT_EQ(thousands(12345678), "12,345,678");
  EXPECT_EQ(rate(12.34), "12.3");
  EXPECT_EQ(rate(123456.7), "123,457");
  EXPECT_EQ(size_words(999), "999 bytes");
  EXPECT_EQ(size_words(1'450'000), "1.4 MB");
}

TEST(Terminal, ProgressFitsTheLine) {
  const Progress known{"embedding", 50, 200, "texts"};
  EXPECT_EQ(progress_line(known, 2, 200),
            "embedding  [=====               ]  25%  50/200 texts  25.0/s  6 s left");
  EXPECT_LE(display_width(progress_line(known, 2, 30)), 29U);
  EXPECT_EQ(progress_line({"reading", 7, 0, "texts"}, 1, 80), "reading  7 texts  7.0/s");
}

TEST(Terminal, HeatIsClamped) {
  EXPECT_EQ(heat_cell("x", -3), heat_cell("x", 0));
  EXPECT_EQ(heat_cell("x", 7), heat_cell("x", 1));
  EXPECT_NE(heat_cell("x", 0), heat_cell("x", 1));
}

}  // namespace
}  // namespace akin::cli
