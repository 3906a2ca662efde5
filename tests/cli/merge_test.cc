// akin merge as a user runs it: averages of folders, parts with weights of their own, and what it
// refuses.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "run_program.h"
#include "tiny_bert.h"

namespace akin::cli_test {
namespace {

namespace fs = std::filesystem;

std::map<std::string, std::vector<float>> weights_of(const fs::path& folder) {
  const auto files = store::TensorFiles::open_safetensors(folder / "model.safetensors");
  std::map<std::string, std::vector<float>> out;
  for (const auto& [name, tensor] : files.tensors()) out[name] = tensor_to_f32(tensor);
  return out;
}

// A copy of a folder with every weight times a factor.
void scale_folder(const fs::path& in, const fs::path& out, float factor) {
  fs::copy(in, out, fs::copy_options::recursive);
  const auto files = store::TensorFiles::open_safetensors(in / "model.safetensors");
  std::map<std::string, std::vector<float>> values;
  std::map<std::string, Tensor, std::less<>> tensors;
  for (const auto& [name, tensor] : files.tensors()) {
    values[name] = tensor_to_f32(tensor);
    for (float& value : values[name]) value *= factor;
    tensors[name] = {DType::f32, tensor.shape, std::as_bytes(std::span(values[name]))};
  }
  store::write_safetensors(out / "model.safetensors", tensors);
}

TEST(Merge, AveragesFoldersExactly) {
  const TemporaryFolder folder;
  const std::string a = write_tiny_bert(folder, "a"), b = folder.file("b");
  scale_folder(a, b, 3);
  const auto made = run({"merge", a, b, "--weights", "1,3", "--layer-weights", "embed=1:0",
                         "--layer-weights", "embed.norm=0:1", "--out", folder.file("m")});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_NE(made.err.find("2 models"), std::string::npos) << made.err;
  const auto first = weights_of(a), merged = weights_of(folder.file("m"));
  ASSERT_EQ(first.size(), merged.size());
  for (const auto& [name, values] : first) {
    const bool norm = name.starts_with("embeddings.LayerNorm");
    const float factor = norm ? 3.0F : name.starts_with("embeddings.") ? 1.0F : 2.5F;
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_FLOAT_EQ(merged.at(name)[i], factor * values[i]) << name;
    }
  }
  const auto info = run({"info", "--model", folder.file("m"), "--json"});
  EXPECT_EQ(info.code, 0) << info.err;
  std::ifstream card(folder.path() / "m" / "README.md");
  const std::string text{std::istreambuf_iterator<char>(card), {}};
  EXPECT_NE(text.find("akin merge"), std::string::npos);
  // A model merged with itself is itself, by either method.
  ASSERT_EQ(run({"merge", a, a, "--method", "slerp", "--out", folder.file("same")}).code, 0);
  EXPECT_EQ(weights_of(folder.file("same")), first);
}

TEST(Merge, RefusesWhatCannotBe) {
  const TemporaryFolder folder;
  const std::string a = write_tiny_bert(folder, "a");
  const auto error = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "merge");
    words.insert(words.end(), {"--out", folder.file("m")});
    const auto result = run(words);
    EXPECT_NE(result.code, 0);
    EXPECT_FALSE(fs::exists(folder.path() / "m"));
    return result.err;
  };
  EXPECT_NE(error({a}).find("two or more"), std::string::npos);
  EXPECT_NE(error({a, kModel}).find("family"), std::string::npos);
  EXPECT_NE(error({a, a, "--weights", "1"}).find("one for each"), std::string::npos);
  EXPECT_NE(error({a, a, "--weights", "1,-1"}).find("sum to 0"), std::string::npos);
  EXPECT_NE(error({a, a, a, "--method", "slerp"}).find("two at a time"), std::string::npos);
  EXPECT_NE(error({a, a, "--layer-weights", "layer.7=1:0"}).find("layer.7"), std::string::npos);
  EXPECT_NE(error({a, a, "--layer-weights", "layer.0"}).find("PREFIX"), std::string::npos);
  // Another vocabulary: the token that differs is named.
  const std::string b = folder.file("b");
  fs::copy(a, b, fs::copy_options::recursive);
  std::ifstream in(folder.path() / "b" / "vocab.txt");
  std::string vocabulary{std::istreambuf_iterator<char>(in), {}};
  vocabulary.replace(vocabulary.find("\nz\n"), 3, "\n9\n");
  folder.write("b/vocab.txt", vocabulary);
  const std::string words = error({a, b});
  EXPECT_NE(words.find("\"9\""), std::string::npos) << words;
}

}  // namespace
}  // namespace akin::cli_test
