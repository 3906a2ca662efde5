// What only a transformer folder shows: length limits, prompts, token vectors, int8, pooling that
// is missing.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "run_program.h"
#include "store/safetensors.h"
#include "store/vectors_file.h"
#include "tiny_bert.h"

namespace akin::cli_test {
namespace {

using nlohmann::json;

TEST(Transformer, ATextOverTheLimitIsNamedByItsPlace) {
  const TemporaryFolder folder;
  const auto model = write_tiny_bert(folder, "model");
  const auto one = folder.write("one.txt", "a b c\n");
  const auto two = folder.write("two.txt", "fine\n" + std::string(60, 'x') + "\n");
  const std::vector<std::string> base = {
      "embed", "--model", model, "--as", "document", one, two, "--out", folder.file("v.npy")};
  const auto refused = run(base);
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("two.txt:2"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("--truncate"), std::string::npos) << refused.err;
  EXPECT_FALSE(std::filesystem::exists(folder.file("v.npy")));
  auto cut = base;
  cut.insert(cut.end(), {"--truncate", "right"});
  const auto right = run(cut);
  EXPECT_EQ(right.code, 0) << right.err;
  EXPECT_NE(right.err.find("tokens were cut to it"), std::string::npos) << right.err;
  EXPECT_NE(right.err.find("1 truncated (first: " + two + ":2)"), std::string::npos) << right.err;
  EXPECT_EQ(json::parse(read(folder.file("v.npy.config.json"))).at("result").at("truncated"), 1);
}

// 60 tokens through a model of 32: two pieces of 30 between special tokens, each with the prompt.
TEST(Transformer, LongTextsAreReadInPieces) {
  const TemporaryFolder folder;
  const auto model = write_tiny_bert(folder, "model");
  const auto words = [](size_t begin, size_t end) {
    std::string out;
    for (size_t i = begin; i < end; ++i)
      out += std::string(1, static_cast<char>('a' + i % 26)) + " ";
    return out;
  };
  const auto vector = [&](const std::string& text, const std::string& side) {
    const auto done =
        run({"embed", "--model", model, "--as", "document", "--truncate", side, "--text", text});
    EXPECT_EQ(done.code, 0) << done.err;
    return json::parse(done.out).at("embedding").get<std::vector<double>>();
  };
  const auto whole = vector(words(0, 60), "chunk");
  const auto first = vector(words(0, 30), "error"), second = vector(words(30, 60), "error");
  double squares = 0;
  for (size_t d = 0; d < whole.size(); ++d) squares += std::pow((first[d] + second[d]) / 2, 2);
  for (size_t d = 0; d < whole.size(); ++d) {
    EXPECT_NEAR(whole[d], (first[d] + second[d]) / 2 / std::sqrt(squares), 1e-6);
  }
  EXPECT_EQ(vector(words(0, 20), "chunk"), vector(words(0, 20), "error"));
  const auto middle = vector(words(0, 60), "middle");
  const auto ends = vector(words(0, 15) + words(45, 60), "error");
  for (size_t d = 0; d < middle.size(); ++d) EXPECT_NEAR(middle[d], ends[d], 1e-6);
  const auto tokens = run({"embed", "--model", model, "--as", "document", "--tokens", "--truncate",
                           "chunk", "--text", words(0, 60)});
  EXPECT_EQ(tokens.code, 1);
  EXPECT_NE(tokens.err.find("in 2 pieces"), std::string::npos) << tokens.err;
}

TEST(Transformer, PromptsAreChosenBySideAndTheirAbsenceIsSaid) {
  const TemporaryFolder folder;
  const auto model = write_tiny_bert(folder, "model");
  const auto embed = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"embed", "--model", model, "--text", "a b"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  };
  const auto silent = embed({});
  EXPECT_NE(silent.err.find("--as query"), std::string::npos) << silent.err;
  const auto query = embed({"--as", "query"}), document = embed({"--as", "document"});
  EXPECT_EQ(query.err.find("warning"), std::string::npos) << query.err;
  EXPECT_NE(query.out, document.out);
  EXPECT_EQ(query.out, embed({"--prompt", "ask "}).out);
  EXPECT_EQ(query.out, embed({"--prompt-name", "query"}).out);
  EXPECT_EQ(document.out, silent.out);
}

TEST(Transformer, TokenVectorsCoverTheText) {
  const TemporaryFolder folder;
  const auto result = run({"embed", "--model", write_tiny_bert(folder, "model"), "--as", "document",
                           "--tokens", "--text", "ab c"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto line = json::parse(result.out);
  EXPECT_EQ(line.at("ids").size(), 5U);  // [CLS] a ##b c [SEP]
  EXPECT_EQ(line.at("begin"), (std::vector<int>{0, 0, 1, 3, 0}));
  EXPECT_EQ(line.at("end"), (std::vector<int>{0, 1, 2, 4, 0}));
  EXPECT_EQ(line.at("vectors").size(), 5U);
  EXPECT_EQ(line.at("vectors")[0].size(), kTinyHidden);
}

// A reranker and a classifier have scores and no vectors.
TEST(Transformer, FoldersWithAHeadAreDescribedExaminedAndQuantized) {
  const TemporaryFolder folder;
  std::set<std::string> fingerprints;
  for (const int64_t classes : {1, 3}) {
    const auto model = write_tiny_classifier(folder, "m" + std::to_string(classes), classes);
    const auto info = run({"info", model, "--json"});
    ASSERT_EQ(info.code, 0) << info.err;
    const auto facts = json::parse(info.out);
    EXPECT_EQ(facts.at("kind"), classes == 1 ? "reranker" : "classifier");
    EXPECT_EQ(facts.at("labels").size(), static_cast<size_t>(classes));
    EXPECT_FALSE(facts.contains("pooling"));
    fingerprints.insert(facts.at("fingerprint").get<std::string>());
    EXPECT_EQ(run({"doctor", model, "--write-probe"}).code, 2);
    const auto doctor = run({"doctor", model});
    EXPECT_EQ(doctor.code, 0) << doctor.out << doctor.err;
    EXPECT_NE(doctor.out.find("ok    scores"), std::string::npos) << doctor.out;
    const auto small = run({"quantize", "--model", model, "--out", model + "-int8"});
    EXPECT_EQ(small.code, 0) << small.err;
    EXPECT_EQ(run({"doctor", model + "-int8"}).code, 0);
  }
  EXPECT_EQ(fingerprints.size(), 2U);  // the heads differ
}

TEST(Transformer, AQuantizedFolderMayDifferFromItsRecord) {
  const TemporaryFolder folder;
  const auto model = write_tiny_bert(folder, "model");
  ASSERT_EQ(run({"doctor", model, "--write-probe"}).code, 0);
  ASSERT_EQ(run({"quantize", "--model", model, "--out", model + "-int8"}).code, 0);
  const auto doctor = run({"doctor", model + "-int8"});
  EXPECT_EQ(doctor.code, 0) << doctor.out;
}

// What would change every vector is not passed over.
TEST(Transformer, AnAdapterInTheRootIsRefusedAndTruncateDimIsSaid) {
  const TemporaryFolder folder;
  const auto model = write_tiny_bert(folder, "model");
  folder.write("model/config_sentence_transformers.json", R"({"truncate_dim": 8})");
  const auto cut = run({"embed", "--model", model, "--text", "a b"});
  EXPECT_EQ(cut.code, 0);
  EXPECT_NE(cut.err.find("truncate_dim = 8"), std::string::npos) << cut.err;
  folder.write("model/adapter_config.json", "{}");
  const auto refused = run({"embed", "--model", model, "--text", "a b"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("PEFT adapter"), std::string::npos) << refused.err;
}

TEST(Transformer, LayersThatNobodyReadsAreCalledOut) {
  const TemporaryFolder folder;
  const auto model = write_tiny_bert(folder, "model");
  const std::string sound = run({"doctor", model}).out;
  EXPECT_EQ(sound.find("does not use"), std::string::npos) << sound;
  const std::filesystem::path file = std::filesystem::path(model) / "model.safetensors";
  const auto files = store::TensorFiles::open_safetensors(file);
  auto tensors = files.tensors();
  tensors["embeddings.position_ids"] = tensors.at("embeddings.LayerNorm.weight");
  tensors["cls.predictions.bias"] = tensors.at("embeddings.LayerNorm.weight");
  tensors["pooler.dense.bias"] = tensors.at("embeddings.LayerNorm.weight");
  store::write_safetensors(file, tensors);
  EXPECT_EQ(run({"doctor", model}).out, sound);
  tensors["extra.weight"] = tensors.at("embeddings.LayerNorm.weight");
  store::write_safetensors(file, tensors);
  const auto extra = run({"doctor", model});
  EXPECT_NE(extra.out.find("does not use: 1, such as \"extra.weight\""), std::string::npos)
      << extra.out;
  const std::vector<std::string> embed = {"embed", "--model", model, "--as",
                                          "query", "--text",  "a"};
  EXPECT_EQ(run(embed).err.find("warning"), std::string::npos);
  tensors["encoder.layer.1.output.dense.bias"] = tensors.at("encoder.layer.0.output.dense.bias");
  store::write_safetensors(file, tensors);
  const auto warned = run(embed);
  EXPECT_EQ(warned.code, 0);
  EXPECT_NE(warned.err.find("holds 2 layers, config.json says 1"), std::string::npos) << warned.err;
  const auto doctor = run({"doctor", model});
  EXPECT_NE(doctor.out.find("does not use: 2"), std::string::npos) << doctor.out;
}

TEST(Transformer, PoolingWordsOfTheHelpWork) {
  const TemporaryFolder folder;
  const auto model = write_tiny_bert(folder, "model");
  std::filesystem::remove(folder.path() / "model" / "modules.json");
  for (const char* word : {"weighted_mean", "last_token", "mean_sqrt_len", "lasttoken"}) {
    const auto result = run({"embed", "--model", model, "--pooling", word, "--text", "a b"});
    EXPECT_EQ(result.code, 0) << word << ": " << result.err;
  }
}

TEST(Transformer, QuantizeReplacesAModelAndNothingElse) {
  const TemporaryFolder folder;
  const auto model = write_tiny_bert(folder, "model");
  const auto quantize = [&](const std::string& out, bool force) {
    std::vector<std::string> arguments = {"quantize", "--model", model, "--out", out};
    if (force) arguments.emplace_back("--force");
    return run(arguments);
  };
  const std::string out = folder.file("int8");
  std::filesystem::create_directories(out);
  auto result = quantize(out + "/", false);  // empty
  EXPECT_EQ(result.code, 0) << result.err;
  const std::string first = read(out + "/model.safetensors");
  EXPECT_EQ(quantize(out, false).code, 2);  // not empty
  folder.write("int8/model.safetensors", "damaged");
  result = quantize(out, true);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(read(out + "/model.safetensors"), first);

  const auto refused = [&](const std::string& to, const char* words) {
    result = quantize(to, true);
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_NE(result.err.find(words), std::string::npos) << words << " in: " << result.err;
  };
  folder.write("int8/notes/mine.txt", "x");
  refused(out, "notes/mine.txt");
  EXPECT_EQ(read(out + "/notes/mine.txt"), "x");
  folder.write("other/file.txt", "x");
  refused(folder.file("other"), "not a model folder");
  refused(folder.file("other/file.txt"), "is a file");
  refused(model, "the model's own folder");
  refused(model + "/int8", "lie in one another");
  refused(folder.path().string(), "lie in one another");
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"int8", "model", "other"}));
}

TEST(Transformer, QuantizeSaysWhyItCannotWrite) {
  const TemporaryFolder folder;
  const auto model = write_tiny_bert(folder, "model");
  folder.write("model/long.txt", std::string(100000, 'x'));
  const std::string command = std::string("ulimit -f 16; ") + AKIN_PROGRAM + " quantize --model " +
                              model + " --out " + folder.file("int8") + " 2> " + folder.file("err");
  EXPECT_EQ(WEXITSTATUS(std::system(("bash -c '" + command + "'").c_str())), 1);
  EXPECT_NE(read(folder.file("err")).find("File too large"), std::string::npos)
      << read(folder.file("err"));
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"err", "model"}));
}

TEST(Transformer, QuantizedFolderGivesTheInt8Vectors) {
  const TemporaryFolder folder;
  const auto model = write_tiny_bert(folder, "model");
  const auto texts = folder.write("texts.txt", "a b c d\nhello world\nanother line of words\n");
  const auto planned =
      run({"quantize", "--model", model, "--out", folder.file("int8"), "--dry-run"});
  EXPECT_EQ(planned.code, 0) << planned.err;
  EXPECT_FALSE(std::filesystem::exists(folder.file("int8")));
  const auto made = run({"quantize", "--model", model, "--out", folder.file("int8")});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_TRUE(std::filesystem::exists(folder.file("int8") + "/akin_quantize.config.json"));
  const auto embed = [&](const std::string& from, const char* type, const char* out) {
    const auto result = run({"embed", "--model", from, "--dtype", type, "--as", "document", texts,
                             "--out", folder.file(out)});
    EXPECT_EQ(result.code, 0) << result.err;
    return store::read_npy(folder.file(out));
  };
  const auto ahead = embed(folder.file("int8"), "int8", "a.npy");
  const auto at_load = embed(model, "int8", "b.npy");
  const auto exact = embed(model, "f32", "c.npy");
  for (size_t r = 0; r < exact.rows(); ++r) {
    double cosine = 0;
    for (size_t d = 0; d < exact.cols(); ++d) {
      EXPECT_EQ(ahead(r, d), at_load(r, d));
      cosine += static_cast<double>(ahead(r, d)) * static_cast<double>(exact(r, d));
    }
    EXPECT_GT(cosine, 0.99);
  }
}

TEST(Transformer, PoolingIsNeverGuessed) {
  const TemporaryFolder folder;
  const auto model = write_tiny_bert(folder, "model");
  std::filesystem::remove(model + "/modules.json");
  std::filesystem::remove_all(model + "/1_Pooling");
  const auto refused = run({"embed", "--model", model, "--text", "a"});
  EXPECT_EQ(refused.code, 1) << refused.out;
  EXPECT_NE(refused.err.find("--pooling"), std::string::npos) << refused.err;
  EXPECT_EQ(run({"embed", "--model", model, "--text", "a", "--pooling", "cls+mean"}).code, 0);
  const auto unknown = run({"embed", "--model", model, "--text", "a", "--pooling", "average"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("mean_sqrt_len"), std::string::npos) << unknown.err;
}

#ifdef AKIN_WITH_TRAIN
TEST(Transformer, LibtorchGivesTheEnginesVectors) {
  const TemporaryFolder folder;
  const auto model = write_tiny_bert(folder, "model");
  const auto embed = [&](const std::string& device, const std::string& dtype = "f32") {
    return run({"embed", "--model", model, "--as", "query", "--text", "a b c d", "--device", device,
                "--dtype", dtype});
  };
  const auto own = embed("cpu"), other = embed("torch");
  ASSERT_EQ(other.code, 0) << other.err;
  const auto expected = json::parse(own.out).at("embedding"),
             got = json::parse(other.out).at("embedding");
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i].get<double>(), expected[i].get<double>(), 1e-5);
  const auto int8 = embed("torch", "int8");
  EXPECT_EQ(int8.code, 2);
  EXPECT_NE(int8.err.find("--dtype"), std::string::npos) << int8.err;
  const auto unknown = embed("abacus");
  EXPECT_NE(unknown.code, 0);
  EXPECT_NE(unknown.err.find("abacus"), std::string::npos) << unknown.err;
}
#endif

TEST(Transformer, DoctorSeesNumbersThatAreNotFinite) {
  const TemporaryFolder folder;
  const auto model = write_tiny_bert(folder, "model");
  const auto sound = run({"doctor", model});
  EXPECT_EQ(sound.code, 0) << sound.out;
  std::string weights = read(model + "/model.safetensors");
  const float bad = NAN;
  std::memcpy(weights.data() + weights.size() - 400, &bad, sizeof bad);
  folder.write("model/model.safetensors", weights);
  const auto result = run({"doctor", model});
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.out.find("not finite"), std::string::npos) << result.out;
}

}  // namespace
}  // namespace akin::cli_test
