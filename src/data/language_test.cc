// Languages by CLD2 and by a small fastText model that is written here; what a damaged model does;
// the filter.
#include "data/language.h"

#include "base/file.h"
#include "base/rng.h"
#include "data/filter.h"
#include "store/test_files.h"

namespace akin::data {
namespace {

using store::expect_error;
using store::TempFolder;

constexpr const char* kEnglish = "The committee will meet again on Thursday to discuss the budget.";
constexpr const char* kGerman = "Der Ausschuss trifft sich am Donnerstag wieder, um zu beraten.";
constexpr const char* kChinese =
    "\xE5\xA7\x94\xE5\x91\x98\xE4\xBC\x9A\xE5\xB0\x86\xE5\x9C\xA8\xE6\x98\x9F\xE6\x9C\x9F\xE5\x9B"
    "\x9B\xE5\x86\x8D\xE6\xAC\xA1\xE5\xBC\x80\xE4\xBC\x9A\xE8\xAE\xA8\xE8\xAE\xBA\xE9\xA2\x84\xE7"
    "\xAE\x97";

std::string seen(const LanguageDetector& detector, std::string_view text) {
  const auto guess = detector.detect(text);
  return guess.confidence == 0 ? "" : detector.names().at(guess.language);
}

template <typename T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Two labels, words "ja" and "yes", two dims, no n-grams: softmax of (x, y).
std::string tiny_model(int32_t loss = 3) {
  std::string out;
  for (const int32_t value : {793712314, 12, 2, 5, 5, 1, 5, 1, loss, 3, 0, 0, 0, 100}) {
    put(out, value);
  }
  put(out, 1e-4);
  for (const int32_t value : {4, 2, 2}) put(out, value);
  put(out, int64_t{10});
  put(out, int64_t{-1});
  for (const char* word : {"ja", "yes", "__label__de", "__label__en"}) {
    out += word;
    out += '\0';
    put(out, int64_t{5});
    put(out, static_cast<int8_t>(word[0] == '_'));
  }
  for (int matrix = 0; matrix < 2; ++matrix) {  // both the identity, the first scaled by 4
    out += '\0';
    put(out, int64_t{2});
    put(out, int64_t{2});
    const float one = matrix == 0 ? 4.0F : 1.0F;
    for (const float value : {one, 0.0F, 0.0F, one}) put(out, value);
  }
  return out;
}

TEST(Cld2, TellsLanguagesAndSaysWhenItCannot) {
  const auto detector = make_cld2_detector();
  EXPECT_EQ(seen(*detector, kEnglish), "en");
  EXPECT_EQ(seen(*detector, kGerman), "de");
  EXPECT_EQ(seen(*detector, kChinese), "zh");
  EXPECT_EQ(seen(*detector, "12345"), "");
  EXPECT_EQ(seen(*detector, ""), "");
  EXPECT_EQ(seen(*detector, std::string(100'000, 'x')), "");
  std::string many;
  for (int i = 0; i < 1000; ++i) many += kChinese;  // cut inside no character
  EXPECT_EQ(seen(*detector, many), "zh");
}

TEST(FastText, ClassifiesByWords) {
  const TempFolder folder;
  const auto detector = make_fasttext_detector(folder.put("m.bin", tiny_model()));
  EXPECT_EQ(detector->names(), (std::vector<std::string>{"de", "en"}));
  const auto guess = detector->detect("ja \t ja");
  EXPECT_EQ(guess.language, 0U);
  EXPECT_NEAR(guess.confidence, 1 / (1 + std::exp(-4.0)), 1e-6);
  EXPECT_EQ(seen(*detector, "yes"), "en");
  EXPECT_NEAR(detector->detect("ja yes").confidence, 0.5, 1e-6);
  EXPECT_EQ(detector->detect("nothing known").confidence, 0);
  EXPECT_EQ(detector->detect("").confidence, 0);
  const auto tree = make_fasttext_detector(folder.put("t.bin", tiny_model(1)));
  EXPECT_NEAR(tree->detect("ja").confidence, 1 / (1 + std::exp(-4.0)), 1e-6);
}

TEST(FastText, RefusesDamagedFiles) {
  const TempFolder folder;
  const std::string good = tiny_model();
  for (size_t size = 0; size < good.size(); ++size) {
    expect_error(ErrorKind::bad_format, "cut.bin",
                 [&] { make_fasttext_detector(folder.put("cut.bin", good.substr(0, size))); });
  }
  expect_error(ErrorKind::bad_format, "left over",
               [&] { make_fasttext_detector(folder.put("long.bin", good + "x")); });
  expect_error(ErrorKind::not_found, "none", [&] { make_fasttext_detector(folder / "none.bin"); });
  std::string vectors = good;
  vectors[36] = 2;  // a skip-gram model
  expect_error(ErrorKind::unsupported, "no classifier",
               [&] { make_fasttext_detector(folder.put("v.bin", vectors)); });
  Rng rng(5);
  for (int i = 0; i < 3000; ++i) {  // an error or an answer, never a crash
    std::string bad = good;
    for (uint64_t n = 1 + rng.below(3); n > 0; --n) {
      bad[rng.below(bad.size())] = static_cast<char>(rng.next());
    }
    try {
      const auto detector = make_fasttext_detector(folder.put("bad.bin", bad));
      const auto guess = detector->detect("ja yes other <>");
      EXPECT_LT(guess.language, detector->names().size());
    } catch (const Error& error) {
      EXPECT_NE(error.kind(), ErrorKind::internal) << error.what();
    }
  }
}

TEST(Language, RemovesBySideAndCountsWhatNobodyCanTell) {
  FilterOptions options;
  options.languages = {"en", "zh"};
  const auto filter = make_filter("language", options);
  const auto judge = [&](std::string query, std::string positive) {
    Record record;
    record.query = std::move(query);
    record.positive = std::move(positive);
    Record* const one = &record;
    Verdict out;
    filter->judge({&one, 1}, {&out, 1});
    return std::string(out.reason) + std::string(out.note);
  };
  EXPECT_EQ(judge(kEnglish, kChinese), "");
  EXPECT_EQ(judge(kGerman, kEnglish), "query in de");
  EXPECT_EQ(judge(kEnglish, kGerman), "positive in de");
  EXPECT_EQ(judge("12", kEnglish), "language not clear");
}

TEST(Language, RefusesWhatCannotBe) {
  FilterOptions options;
  expect_error(ErrorKind::usage, "--languages", [&] { make_filter("language", options); });
  options.languages = {"english"};
  expect_error(ErrorKind::usage, "english", [&] { make_filter("language", options); });
  options.languages = {"en"};
  options.language_confidence = 0;
  expect_error(ErrorKind::usage, "--language-confidence",
               [&] { make_filter("language", options); });
  options.language_confidence = 0.5;
  options.language_model = "/nonexistent/model.ftz";
  expect_error(ErrorKind::not_found, "model.ftz", [&] { make_filter("language", options); });
}

}  // namespace
}  // namespace akin::data
