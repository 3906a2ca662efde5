// Real static weights (model2vec, five storage forms) give the vectors that Python model2vec gave.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "base/json.h"
#include "engine/cpu_encoder.h"
#include "model/model.h"

namespace akin::parity {
namespace {

namespace fs = std::filesystem;

const fs::path kShared = "../shared/data/weights_model2vec_bge_base_en";

std::vector<double> expected_vector(const char* file) {
  const JsonDocument document = JsonDocument::load(kShared / file);
  std::vector<double> out;
  for (const JsonValue& value : JsonValue(document).items().at(0).items()) {
    out.push_back(value.as_double());
  }
  return out;
}

// The variants of two dims share one tokenizer file; each gets its own folder of links.
struct LinkedFolder {
  explicit LinkedFolder(const std::string& variant)
      : path(fs::temp_directory_path() / ("akin_static_" + std::to_string(::getpid()) + variant)) {
    fs::remove_all(path);
    fs::create_directories(path);
    for (const auto& entry : fs::directory_iterator(kShared / variant)) {
      fs::create_symlink(fs::absolute(entry.path()), path / entry.path().filename());
    }
    if (!fs::exists(path / "tokenizer.json")) {
      fs::create_symlink(fs::absolute(kShared / "test-model-float16/tokenizer.json"),
                         path / "tokenizer.json");
    }
  }
  ~LinkedFolder() { fs::remove_all(path); }
  fs::path path;
};

void expect_vector(const std::string& variant, const std::string& text, const char* file,
                   double tolerance) {
  if (!fs::exists(kShared)) GTEST_SKIP() << "skipped: no shared data";
  const LinkedFolder folder(variant);
  const auto encoder = engine::make_cpu_encoder(model::load_model(folder.path), {.threads = 1});
  EXPECT_TRUE(encoder->info().normalizes);
  const std::vector<double> expected = expected_vector(file);
  ASSERT_EQ(encoder->info().dim, expected.size());
  Mat<float> out(1, expected.size());
  const std::string_view view = text;
  encoder->encode({&view, 1}, {}, out.view());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(out(0, i), expected[i], tolerance) << variant << " element " << i;
  }
}

std::string many_hellos() {
  std::string out = "hello";
  for (int i = 1; i < 1000; ++i) out += " hello";
  return out;
}

// "hello" a thousand times is summed in float32 there, which costs it 3e-6; the fixtures' own bound
// is a relative 1e-5.
TEST(StaticWeights, Float32) {
  expect_vector("test-model-float32", "hello world", "embeddings_short.json", 1e-6);
  expect_vector("test-model-float32", many_hellos(), "embeddings_long.json", 1e-5);
}

TEST(StaticWeights, Float16) {
  expect_vector("test-model-float16", "hello world", "embeddings_short.json", 1e-3);
}

TEST(StaticWeights, Int8) {
  expect_vector("test-model-int8", "hello world", "embeddings_short.json", 2e-2);
}

TEST(StaticWeights, SentenceTransformersModule) {
  expect_vector("test-model-sentence-transformers", "hello world", "embeddings_short.json", 1e-6);
}

TEST(StaticWeights, QuantizedVocabulary) {
  expect_vector("test-model-vocab-quantized", many_hellos(), "embeddings_vocab_quantized.json",
                1e-5);
}

}  // namespace
}  // namespace akin::parity
