// Folders that are wrong, incomplete or lie: load_model says what, where, got, expected, and what
// to do. Also what a sound folder says about itself.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "model/model.h"
#include "tiny_folder.h"

namespace akin::parity {
namespace {

namespace fs = std::filesystem;

Error load_error(const fs::path& folder, const model::LoadOptions& options = {}) {
  try {
    model::load_model(folder, options);
  } catch (const Error& error) {
    return error;
  }
  return {ErrorKind::internal, "no error"};
}

void edit_config(const fs::path& folder, const char* key, const nlohmann::ordered_json& value,
                 const char* file = "config.json") {
  auto json = nlohmann::ordered_json::parse(read_file(folder / file));
  json[key] = value;
  write_file(folder / file, json.dump());
}

class Folders : public testing::TestWithParam<std::string> {};
std::string kind_name(const testing::TestParamInfo<std::string>& kind) { return kind.param; }
INSTANTIATE_TEST_SUITE_P(All, Folders, testing::ValuesIn(tiny_kinds()), kind_name);

TEST_P(Folders, LoadAndDescribeThemselves) {
  TinySpec spec;
  spec.kind = GetParam();
  const TinyFolder folder(spec);
  const model::Model model = model::load_model(folder.path());
  const EncoderInfo info = model::encoder_info(model, Precision::f32);
  EXPECT_EQ(info.dim, static_cast<size_t>(is_rotary_kind(spec.kind) ? 56 : 52));
  EXPECT_EQ(info.pooling, "mean");
  EXPECT_TRUE(info.normalizes);
  EXPECT_GT(info.parameters, 500U);
  EXPECT_EQ(info.fingerprint.size(), 32U);
  EXPECT_NE(info.fingerprint, model::encoder_info(model, Precision::int8).fingerprint);
  EXPECT_EQ(model.fingerprint, model::load_model(folder.path()).fingerprint);
  EXPECT_TRUE(model.ignored_keys.empty()) << model.ignored_keys.front();
  if (is_static_kind(spec.kind)) {
    EXPECT_EQ(info.max_tokens, 0U);
  } else {
    EXPECT_EQ(info.prompts.at("query"), "pa ko: ");
    EXPECT_EQ(info.max_tokens,
              static_cast<size_t>(
                  spec.kind.starts_with("jina") || is_rotary_kind(spec.kind) ? 4096 : 320));
  }
}

TEST(Load, APoolingIsNeverGuessed) {
  TinySpec spec;
  spec.st_files = false;
  const TinyFolder folder(spec);
  const Error error = load_error(folder.path());
  EXPECT_EQ(error.kind(), ErrorKind::not_found);
  for (const char* word : {"1_Pooling/config.json", "--pooling cls", "mean", "lasttoken"}) {
    EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << word;
  }
  const model::Model model =
      model::load_model(folder.path(), {PoolingSpec{{PoolingMode::cls}, true}});
  EXPECT_EQ(model.pooling.modes, std::vector<PoolingMode>{PoolingMode::cls});
}

TEST(Load, APoolingThatContradictsTheFolderIsRefused) {
  const TinyFolder folder{TinySpec{}};
  EXPECT_EQ(load_error(folder.path(), {PoolingSpec{{PoolingMode::cls}, true}}).kind(),
            ErrorKind::usage);
  EXPECT_EQ(model::load_model(folder.path(), {PoolingSpec{{PoolingMode::mean}, true}}).dim, 52U);
}

TEST(Load, AConfigOfAnotherModel) {
  const TinyFolder folder{TinySpec{}};
  edit_config(folder.path(), "intermediate_size", 80);
  const Error error = load_error(folder.path());
  EXPECT_EQ(error.kind(), ErrorKind::bad_format);
  EXPECT_NE(std::string(error.what()).find("is [76, 52], config.json says [80, 52]"),
            std::string::npos)
      << error.what();
}

TEST(Load, MoreLayersThanTheCheckpointHas) {
  const TinyFolder folder{TinySpec{}};
  edit_config(folder.path(), "num_hidden_layers", 1000);
  EXPECT_EQ(load_error(folder.path()).kind(), ErrorKind::not_found);
  edit_config(folder.path(), "num_hidden_layers", 1000000000);
  EXPECT_EQ(load_error(folder.path()).kind(), ErrorKind::bad_format);
}

TEST(Load, ATokenizerWithTooManyTokens) {
  TinySpec small;
  const TinyFolder folder(small);
  auto json = nlohmann::ordered_json::parse(read_file(folder.path() / "tokenizer.json"));
  for (int i = 0; i < 10; ++i) {
    const size_t next = json["model"]["vocab"].size();
    json["model"]["vocab"]["zzz" + std::to_string(i)] = next;
  }
  write_file(folder.path() / "tokenizer.json", json.dump());
  EXPECT_EQ(load_error(folder.path()).kind(), ErrorKind::bad_format);
}

TEST(Load, ADenseThatDoesNotFit) {
  TinySpec spec;
  spec.dense = {{20, true, "torch.nn.modules.activation.Tanh", false}};
  const TinyFolder folder(spec);
  edit_config(folder.path() / "2_Dense", "in_features", 51);
  EXPECT_EQ(load_error(folder.path()).kind(), ErrorKind::bad_format);
  edit_config(folder.path() / "2_Dense", "in_features", 52);
  edit_config(folder.path() / "2_Dense", "out_features", 21);
  EXPECT_EQ(load_error(folder.path()).kind(), ErrorKind::bad_format);
}

TEST(Load, APoolingForAnotherSize) {
  const TinyFolder folder{TinySpec{}};
  edit_config(folder.path() / "1_Pooling", "word_embedding_dimension", 384);
  EXPECT_EQ(load_error(folder.path()).kind(), ErrorKind::bad_format);
}

TEST(Load, MissingFiles) {
  EXPECT_EQ(load_error("/nonexistent").kind(), ErrorKind::not_found);
  for (const char* file : {"config.json", "model.safetensors", "tokenizer.json"}) {
    const TinyFolder folder{TinySpec{}};
    fs::remove(folder.path() / file);
    const Error error = load_error(folder.path());
    EXPECT_EQ(error.kind(), ErrorKind::not_found) << file;
    EXPECT_NE(std::string(error.what()).find(file), std::string::npos) << error.what();
  }
}

TEST(Load, AnUnknownFamilyIsNamed) {
  const TinyFolder folder{TinySpec{}};
  edit_config(folder.path(), "model_type", "new");
  const Error error = load_error(folder.path());
  EXPECT_EQ(error.kind(), ErrorKind::unsupported);
  EXPECT_NE(error.message().find("\"new\""), std::string::npos);
}

TEST(Load, AMappingThatPointsOutside) {
  TinySpec spec;
  spec.kind = "model2vec_quantized";
  const TinyFolder folder(spec);
  std::string bytes = read_file(folder.path() / "model.safetensors");
  const std::string key = "\"mapping\"";
  // The mapping's values are small integers; make one of them huge.
  const size_t header = 8 + static_cast<unsigned char>(bytes[0]) +
                        256 * static_cast<size_t>(static_cast<unsigned char>(bytes[1]));
  ASSERT_NE(bytes.find(key), std::string::npos);
  const auto json = nlohmann::json::parse(bytes.substr(8, header - 8));
  const size_t at = header + json["mapping"]["data_offsets"][0].get<size_t>();
  bytes[at + 2] = 1;
  write_file(folder.path() / "model.safetensors", bytes);
  EXPECT_EQ(load_error(folder.path()).kind(), ErrorKind::bad_format);
}

TEST(Load, FingerprintsSeeEveryPart) {
  const TinyFolder folder{TinySpec{}};
  const std::string before = model::load_model(folder.path()).fingerprint;
  TinySpec other;
  other.seed = 2;
  EXPECT_NE(model::load_model(TinyFolder(other).path()).fingerprint, before);
  other = {};
  other.pooling = {PoolingMode::cls};
  EXPECT_NE(model::load_model(TinyFolder(other).path()).fingerprint, before);
  other = {};
  other.normalize = false;
  EXPECT_NE(model::load_model(TinyFolder(other).path()).fingerprint, before);
  edit_config(folder.path(), "layer_norm_eps", 1e-6);
  EXPECT_NE(model::load_model(folder.path()).fingerprint, before);
  edit_config(folder.path(), "layer_norm_eps", 1e-12);
  EXPECT_EQ(model::load_model(folder.path()).fingerprint, before);
  edit_config(folder.path(), "prompts", {{"query", "other: "}},
              "config_sentence_transformers.json");
  EXPECT_NE(model::load_model(folder.path()).fingerprint, before);
}

TEST(Load, TheFullHashSeesOneBit) {
  const TinyFolder folder{TinySpec{}};
  const std::string before = model::weights_hash(model::load_model(folder.path()));
  std::string bytes = read_file(folder.path() / "model.safetensors");
  bytes[bytes.size() / 2] ^= 1;
  write_file(folder.path() / "model.safetensors", bytes);
  EXPECT_NE(model::weights_hash(model::load_model(folder.path())), before);
}

TEST(Load, MaxTokensIsTheSmallestOfItsBounds) {
  const TinyFolder folder{TinySpec{}};
  edit_config(folder.path(), "max_seq_length", 100, "sentence_bert_config.json");
  EXPECT_EQ(model::load_model(folder.path()).max_tokens, 100U);
  edit_config(folder.path(), "max_seq_length", 5000, "sentence_bert_config.json");
  EXPECT_EQ(model::load_model(folder.path()).max_tokens, 320U);
  edit_config(folder.path(), "max_seq_length", 2, "sentence_bert_config.json");
  EXPECT_EQ(load_error(folder.path()).kind(), ErrorKind::bad_format);
}

TEST(Load, ForeignKeysAreNamed) {
  const TinyFolder folder{TinySpec{}};
  edit_config(folder.path(), "rotary_surprise", 3);
  EXPECT_EQ(model::load_model(folder.path()).ignored_keys,
            std::vector<std::string>{"config.json: rotary_surprise"});
}

}  // namespace
}  // namespace akin::parity
