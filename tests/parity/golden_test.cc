// The C++ reference equals an outside implementation: the vectors that tools/make_goldens.py
// computed with PyTorch in float64, stored in tests/goldens with its versions.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/json.h"
#include "model/model.h"
#include "reference.h"
#include "tiny_folder.h"

namespace akin::parity {
namespace {

constexpr const char* kGoldens = "tests/goldens";
// Both sides are float64, the stored numbers have 10 digits; token vectors are of size 1.
constexpr double kTolerance = 2e-9;

Row doubles(const JsonValue& list) {
  Row out;
  for (const JsonValue& item : list.items()) out.push_back(item.as_double());
  return out;
}

double max_difference(const Row& a, const Row& b) {
  EXPECT_EQ(a.size(), b.size());
  double top = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    top = std::max(top, std::abs(a[i] - b[i]) / std::max(1.0, std::abs(b[i])));
  }
  return top;
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, ReferenceEqualsTorch) {
  const std::filesystem::path path =
      std::filesystem::path(kGoldens) / (std::string(GetParam()) + ".json");
  const JsonDocument document = JsonDocument::load(path);
  const JsonValue golden(document);
  TinySpec spec;
  spec.kind = GetParam();
  const TinyFolder folder(spec);
  const model::Model model = model::load_model(folder.path());
  const Reference reference(model);
  for (const JsonValue& item : golden.at("cases").items()) {
    ReferenceText text;
    for (const JsonValue& id : item.at("ids").items()) {
      text.ids.push_back(static_cast<int32_t>(id.as_int()));
    }
    text.adapter = static_cast<int32_t>(item.at("adapter").as_int());
    const Rows tokens = reference.token_vectors(text);
    ASSERT_EQ(tokens.size(), text.ids.size());
    EXPECT_LT(max_difference(tokens.front(), doubles(item.at("first"))), kTolerance);
    EXPECT_LT(max_difference(tokens.back(), doubles(item.at("last"))), kTolerance);
    Row mean(tokens[0].size(), 0.0);
    for (const Row& row : tokens) {
      for (size_t c = 0; c < row.size(); ++c) {
        mean[c] += row[c] / static_cast<double>(tokens.size());
      }
    }
    EXPECT_LT(max_difference(mean, doubles(item.at("mean"))), kTolerance)
        << tokens.size() << " tokens, adapter " << text.adapter;
  }
}

std::vector<std::string> transformer_kinds() {
  std::vector<std::string> out;
  for (const std::string& kind : tiny_kinds()) {
    if (!is_static_kind(kind)) out.push_back(kind);
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(Families, Golden, testing::ValuesIn(transformer_kinds()),
                         [](const auto& kind) { return kind.param; });

TEST(GoldenPositions, BucketsEqualTorchInFloat32) {
  const JsonDocument document =
      JsonDocument::load(std::filesystem::path(kGoldens) / "positions.json");
  for (const JsonValue& table : JsonValue(document).at("relative_buckets").items()) {
    int64_t distance = table.at("first_distance").as_int();
    for (const JsonValue& bucket : table.at("of_distance").items()) {
      EXPECT_EQ(relative_bucket(distance, table.at("buckets").as_int(),
                                table.at("max_distance").as_int()),
                bucket.as_int())
          << "distance " << distance << " in " << table.at("buckets").as_int();
      ++distance;
    }
  }
}

TEST(GoldenPositions, SlopesEqualTorch) {
  const JsonDocument document =
      JsonDocument::load(std::filesystem::path(kGoldens) / "positions.json");
  for (const auto& [name, list] : JsonValue(document).at("alibi_slopes").fields()) {
    const Row slopes = doubles(list);
    const auto heads = static_cast<int64_t>(slopes.size());
    for (int64_t h = 0; h < heads; ++h) {
      EXPECT_NEAR(alibi_slope(h, heads), slopes[static_cast<size_t>(h)], 1e-12) << name;
    }
  }
}

// Writes the folders that tools/make_goldens.py reads; only when asked to.
TEST(TinyFolder, WriteAll) {
  const char* out = std::getenv("AKIN_TINY_FOLDERS");
  if (out == nullptr) GTEST_SKIP() << "skipped: AKIN_TINY_FOLDERS is not set";
  for (const std::string& kind : tiny_kinds()) {
    TinySpec spec;
    spec.kind = kind;
    const TinyFolder folder(spec, std::filesystem::path(out) / kind);
    EXPECT_TRUE(std::filesystem::exists(folder.path()));
  }
}

}  // namespace
}  // namespace akin::parity
