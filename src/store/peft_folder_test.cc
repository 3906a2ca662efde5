// PEFT LoRA folders: pairs by module, scaling, and what is refused by name.
#include "store/peft_folder.h"

#include <cmath>

#include "store/test_files.h"

namespace akin::store {
namespace {

const std::vector<float> kValues(64, 1.0F);

Tensor matrix(int64_t rows, int64_t cols) {
  return {DType::f32,
          {rows, cols},
          std::as_bytes(std::span(kValues).first(static_cast<size_t>(rows * cols)))};
}

constexpr const char* kQuery = "base_model.model.encoder.layer.0.attention.self.query";

void put_weights(const TempFolder& folder, int64_t r = 4) {
  write_safetensors(folder / "adapter_model.safetensors",
                    {{std::string(kQuery) + ".lora_A.weight", matrix(r, 8)},
                     {std::string(kQuery) + ".lora_B.weight", matrix(6, r)},
                     {"base_model.model.emb.lora_embedding_A", matrix(4, 10)},
                     {"base_model.model.emb.lora_embedding_B", matrix(8, 4)}});
}

TEST(PeftFolder, ReadsPairs) {
  TempFolder folder;
  put_weights(folder);
  folder.put("adapter_config.json",
             R"({"peft_type":"LORA","r":4,"lora_alpha":16,"target_modules":["query","value"],
                 "base_model_name_or_path":"org/base","use_dora":false,"modules_to_save":null,
                 "alpha_pattern":{"emb":2},"revision":"main"})");
  EXPECT_TRUE(is_peft_folder(folder.path()));
  const PeftFolder peft = read_peft_folder(folder.path());
  EXPECT_EQ(peft.base_model, "org/base");
  EXPECT_EQ(peft.target_modules, (std::vector<std::string>{"query", "value"}));
  ASSERT_EQ(peft.pairs.size(), 2U);
  const LoraPair& pair = peft.pairs.at("encoder.layer.0.attention.self.query");
  EXPECT_EQ(pair.a.shape_string(), "[4, 8]");
  EXPECT_EQ(pair.b.shape_string(), "[6, 4]");
  EXPECT_FLOAT_EQ(pair.scaling, 4.0F);
  EXPECT_TRUE(peft.pairs.at("emb").embedding);
  EXPECT_FLOAT_EQ(peft.pairs.at("emb").scaling, 0.5F);
  EXPECT_EQ(peft.ignored_keys, std::vector<std::string>{"adapter_config.json: revision"});
}

TEST(PeftFolder, RankStabilisedScaling) {
  TempFolder folder;
  put_weights(folder);
  folder.put("adapter_config.json",
             R"({"peft_type":"LORA","r":4,"lora_alpha":16,"use_rslora":true,
                 "target_modules":".*query"})");
  EXPECT_FLOAT_EQ(read_peft_folder(folder.path()).pairs.at("emb").scaling, 8.0F);
}

TEST(PeftFolder, RefusesByName) {
  TempFolder folder;
  put_weights(folder);
  const auto expect_config = [&](ErrorKind kind, std::string_view part, std::string_view json) {
    folder.put("adapter_config.json", json);
    expect_error(kind, part, [&] { read_peft_folder(folder.path()); });
  };
  using enum ErrorKind;
  expect_config(unsupported, "peft_type is \"IA3\"", R"({"peft_type":"IA3"})");
  expect_config(unsupported, "use_dora", R"({"peft_type":"LORA","use_dora":true})");
  expect_config(unsupported, "bias is \"all\"", R"({"peft_type":"LORA","bias":"all"})");
  expect_config(unsupported, "modules_to_save",
                R"({"peft_type":"LORA","modules_to_save":["classifier"]})");
  expect_config(unsupported, "regular expression",
                R"({"peft_type":"LORA","r":4,"rank_pattern":{"^x.*":2}})");
  expect_config(bad_format, "r is 0", R"({"peft_type":"LORA","r":0})");
  expect_config(bad_format, "has A [4, 8] and B [6, 4], expected [8, in]",
                R"({"peft_type":"LORA","r":8,"rank_pattern":{"emb":4}})");
  expect_error(not_found, "no adapter_config.json", [] { read_peft_folder("/nonexistent"); });
  std::filesystem::remove(folder / "adapter_model.safetensors");
  expect_config(not_found, "no adapter_model.safetensors", R"({"peft_type":"LORA"})");
}

TEST(PeftFolder, RefusesForeignTensorsAndHalfPairs) {
  TempFolder folder;
  folder.put("adapter_config.json", R"({"peft_type":"LORA","r":4})");
  const auto expect_tensor = [&](ErrorKind kind, std::string_view part, const std::string& name) {
    write_safetensors(folder / "adapter_model.safetensors", {{name, matrix(4, 8)}});
    expect_error(kind, part, [&] { read_peft_folder(folder.path()); });
  };
  expect_tensor(ErrorKind::unsupported, "(DoRA)", std::string(kQuery) + ".lora_magnitude_vector");
  expect_tensor(ErrorKind::unsupported, "no part of a LoRA pair", "classifier.weight");
  expect_tensor(ErrorKind::bad_format, "has A [4, 8] and B []",
                std::string(kQuery) + ".lora_A.weight");
  write_safetensors(folder / "adapter_model.safetensors", {});
  expect_error(ErrorKind::bad_format, "no LoRA pair", [&] { read_peft_folder(folder.path()); });
}

}  // namespace
}  // namespace akin::store
