// sentence-transformers folders: old and new keys, what is never guessed, what is refused, and a
// write that reads back.
#include "store/st_folder.h"

#include "store/test_files.h"

namespace akin::store {
namespace {

constexpr std::string_view kOldModules = R"([
  {"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},
  {"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
  {"idx":2,"name":"2","path":"2_Dense","type":"sentence_transformers.models.Dense"},
  {"idx":3,"name":"3","path":"3_Normalize","type":"sentence_transformers.models.Normalize"}])";

TEST(StFolder, ReadsOldKeys) {
  TempFolder folder;
  folder.put("modules.json", kOldModules);
  folder.put("sentence_bert_config.json", R"({"max_seq_length": 512, "do_lower_case": true})");
  folder.put("config_sentence_transformers.json",
             R"({"__version__":{},"prompts":{"query":"query: ","none":null},
                 "default_prompt_name":"query","similarity_fn_name":"dot","truncate_dim":64})");
  folder.put("1_Pooling/config.json",
             R"({"word_embedding_dimension":384,"pooling_mode_cls_token":true,
                 "pooling_mode_mean_tokens":true,"pooling_mode_max_tokens":true,
                 "include_prompt":false,"colour":"red"})");
  folder.put("2_Dense/config.json",
             R"({"in_features":1152,"out_features":256,"bias":false,
                 "activation_function":"torch.nn.modules.linear.Identity"})");
  folder.put("config.json", R"({"is_matryoshka":true,"matryoshka_dimensions":[256,64,128]})");
  const StFolder st = read_st_folder(folder.path());
  ASSERT_EQ(st.modules.size(), 4U);
  EXPECT_EQ(st.modules[2].type, "Dense");
  EXPECT_EQ(st.max_seq_length, 512);
  EXPECT_TRUE(st.do_lower_case);
  EXPECT_EQ(st.prompts, (std::map<std::string, std::string>{{"query", "query: "}}));
  EXPECT_EQ(st.default_prompt_name, "query");
  EXPECT_EQ(st.similarity_fn_name, "dot");
  EXPECT_EQ(st.truncate_dim, 64);
  ASSERT_TRUE(st.pooling);
  EXPECT_EQ(st.pooling->modes,
            (std::vector{PoolingMode::cls, PoolingMode::max, PoolingMode::mean}));
  EXPECT_FALSE(st.pooling->include_prompt);
  EXPECT_EQ(st.embedding_dim, 384);
  ASSERT_EQ(st.dense.size(), 1U);
  EXPECT_EQ(st.dense[0].out, 256);
  EXPECT_FALSE(st.dense[0].bias);
  EXPECT_EQ(st.dense[0].path, "2_Dense");
  EXPECT_TRUE(st.normalize);
  EXPECT_EQ(st.matryoshka_dims, (std::vector<int64_t>{64, 128, 256}));
  EXPECT_EQ(st.ignored_keys, std::vector<std::string>{"1_Pooling/config.json: colour"});
}

TEST(StFolder, ReadsNewKeys) {
  TempFolder folder;
  folder.put("modules.json", R"([
    {"idx":0,"name":"0","path":"","type":"sentence_transformers.base.modules.transformer.Transformer"},
    {"idx":1,"name":"1","path":"1_Pooling",
     "type":"sentence_transformers.sentence_transformer.modules.pooling.Pooling"},
    {"idx":2,"name":"2","path":"2_Normalize",
     "type":"sentence_transformers.base.modules.normalize.Normalize"}])");
  folder.put("1_Pooling/config.json",
             R"({"embedding_dimension":768,"pooling_mode":["lasttoken","cls"]})");
  folder.put(
      "2_Normalize/config.json",
      R"({"module_input_name":"sentence_embedding","module_output_name":"sentence_embedding"})");
  folder.put(
      "sentence_bert_config.json",
      R"({"transformer_task":"feature-extraction","module_output_name":"token_embeddings"})");
  const StFolder st = read_st_folder(folder.path());
  EXPECT_EQ(st.pooling->modes, (std::vector{PoolingMode::last_token, PoolingMode::cls}));
  EXPECT_EQ(st.embedding_dim, 768);
  EXPECT_FALSE(st.max_seq_length);
  EXPECT_TRUE(st.normalize);
  EXPECT_TRUE(st.ignored_keys.empty());
}

TEST(StFolder, NeverGuessesPooling) {
  TempFolder bare;
  bare.put("config.json", "{}");
  const StFolder st = read_st_folder(bare.path());
  EXPECT_TRUE(st.modules.empty());
  EXPECT_FALSE(st.pooling);

  TempFolder folder;
  folder.put("modules.json", kOldModules);
  folder.put("2_Dense/config.json", R"({"in_features":4,"out_features":2})");
  const Error error = error_of([&] { read_st_folder(folder.path()); });
  EXPECT_EQ(error.kind(), ErrorKind::not_found);
  EXPECT_NE(error.where().find("1_Pooling/config.json"), std::string::npos);
  EXPECT_NE(error.message().find("--pooling"), std::string::npos);
  EXPECT_FALSE(read_st_folder(folder.path(), {.pooling_given = true}).pooling);
}

TEST(StFolder, NoModeSetMeansMean) {
  TempFolder folder;
  folder.put("modules.json", R"([{"path":"","type":"sentence_transformers.models.Transformer"},
    {"path":"1_Pooling","type":"sentence_transformers.models.Pooling"}])");
  folder.put("1_Pooling/config.json", R"({"word_embedding_dimension":8})");
  EXPECT_EQ(read_st_folder(folder.path()).pooling->modes, std::vector{PoolingMode::mean});
  folder.put("1_Pooling/config.json", R"({"pooling_mode":"middle"})");
  expect_error(ErrorKind::unsupported, "\"middle\" is unknown",
               [&] { read_st_folder(folder.path()); });
  folder.put("1_Pooling/config.json", R"({"pooling_mode_median":true})");
  expect_error(ErrorKind::unsupported, "pooling_mode_median",
               [&] { read_st_folder(folder.path()); });
}

TEST(StFolder, RefusesRemoteCodeAndHostilePaths) {
  TempFolder folder;
  const auto expect_modules = [&](ErrorKind kind, std::string_view part, std::string_view json) {
    folder.put("modules.json", json);
    expect_error(kind, part, [&] { read_st_folder(folder.path()); });
  };
  using enum ErrorKind;
  expect_modules(unsupported, "\"my_code.MyPooling\" is remote code",
                 R"([{"type":"sentence_transformers.models.Transformer"},
                     {"type":"my_code.MyPooling"}])");
  expect_modules(unsupported, "\"my_code.Pooling\" is remote code",
                 R"([{"type":"sentence_transformers.models.Transformer"},
                     {"type":"my_code.Pooling"}])");
  expect_modules(unsupported, "is not one akin runs",
                 R"([{"type":"sentence_transformers.models.CLIPModel"}])");
  expect_modules(bad_format, "leaves the folder",
                 R"([{"type":"sentence_transformers.models.Transformer","path":"../x"}])");
  expect_modules(bad_format, "leaves the folder",
                 R"([{"type":"sentence_transformers.models.Transformer","path":"/etc"}])");
  expect_modules(bad_format, "at least one", "[]");
  expect_modules(bad_format, "expected an array", "{}");
  expect_modules(bad_format, "first module is Pooling",
                 R"([{"type":"sentence_transformers.models.Pooling"}])");
  folder.put("modules.json", R"([{"type":"custom_st.Transformer","path":"","kwargs":["task"]}])");
  EXPECT_EQ(read_st_folder(folder.path()).modules[0].type, "Transformer");
  expect_error(not_found, "no such folder", [] { read_st_folder("/nonexistent"); });
}

TEST(StFolder, ReadsOlderLayouts) {
  TempFolder folder;
  folder.put("modules.json",
             R"([{"path":"0_Transformer","type":"sentence_transformers.models.Transformer"},
                 {"path":"1_Pooling","type":"sentence_transformers.models.Pooling"}])");
  folder.put("1_Pooling/config.json", R"({"pooling_mode_mean_tokens":true})");
  folder.put("0_Transformer/sentence_roberta_config.json", R"({"max_seq_length": 128})");
  const StFolder st = read_st_folder(folder.path());
  EXPECT_EQ(st.transformer_path, "0_Transformer");
  EXPECT_EQ(st.max_seq_length, 128);
}

TEST(StFolder, RefusesBadConfigs) {
  TempFolder folder;
  folder.put("sentence_bert_config.json", R"({"max_seq_length": 0})");
  expect_error(ErrorKind::bad_format, "max_seq_length", [&] { read_st_folder(folder.path()); });
  folder.put("sentence_bert_config.json", "{}");
  folder.put("config_sentence_transformers.json", R"({"default_prompt_name":"x"})");
  expect_error(ErrorKind::bad_format, "not one of the prompts",
               [&] { read_st_folder(folder.path()); });
  folder.put("config_sentence_transformers.json", R"({"similarity_fn_name":"cos"})");
  expect_error(ErrorKind::unsupported, "expected cosine", [&] { read_st_folder(folder.path()); });
}

TEST(StFolder, WriteReadsBack) {
  StFolder st;
  st.pooling = PoolingSpec{{PoolingMode::cls, PoolingMode::mean}, false};
  st.embedding_dim = 32;
  st.dense.push_back({64, 16, true, "torch.nn.modules.activation.Tanh", true, ""});
  st.normalize = true;
  st.max_seq_length = 256;
  st.prompts = {{"query", "\u95ee\uff1a"}};
  st.default_prompt_name = "query";
  st.similarity_fn_name = "cosine";
  set_standard_modules(st);
  TempFolder folder;
  write_st_folder(folder / "m", st);
  const StFolder back = read_st_folder(folder / "m");
  EXPECT_EQ(back.modules.size(), 4U);
  EXPECT_EQ(back.pooling->modes, st.pooling->modes);
  EXPECT_FALSE(back.pooling->include_prompt);
  EXPECT_EQ(back.embedding_dim, 32);
  EXPECT_EQ(back.dense[0].path, "2_Dense");
  EXPECT_TRUE(back.dense[0].use_residual);
  EXPECT_EQ(back.prompts, st.prompts);
  EXPECT_EQ(back.max_seq_length, 256);
  st.pooling->modes = {PoolingMode::mean, PoolingMode::cls};
  expect_error(ErrorKind::unsupported, "in the order", [&] { write_st_folder(folder / "n", st); });
}

TEST(StFolder, ReadsModel2vec) {
  const std::filesystem::path path =
      "../shared/data/weights_model2vec_bge_base_en/test-model-float32";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "skipped: no shared data";
  const StFolder st = read_st_folder(path);
  ASSERT_EQ(st.modules.size(), 2U);
  EXPECT_EQ(st.modules[0].type, "StaticEmbedding");
  EXPECT_EQ(st.transformer_path, "");
  EXPECT_TRUE(st.normalize);
  EXPECT_FALSE(st.pooling);
}

}  // namespace
}  // namespace akin::store
