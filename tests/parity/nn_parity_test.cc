// nn/ equals the engine for every family: the same folder, the same ids, the same vectors. What nn
// saves, the engine opens to the same vectors.
#ifdef AKIN_TRAIN

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>

#include "core/encoder.h"
#include "engine/cpu_encoder.h"
#include "model/model.h"
#include "nn/text_model.h"
#include "tiny_folder.h"

namespace akin::parity {
namespace {

namespace fs = std::filesystem;

constexpr double kTolerance = 1e-5;

using Vectors = std::vector<std::vector<double>>;

void normalize(std::vector<double>& v) {
  double sum = 0;
  for (const double x : v) sum += x * x;
  for (double& x : v) x /= std::max(std::sqrt(sum), 1e-12);
}

std::vector<std::string> sample_texts() {
  Rng rng(5);
  std::vector<std::string> out{"a", "ka ri", "4 ka"};
  for (const size_t words : {3, 3, 7, 12, 40, 90}) out.push_back(tiny_text(rng, words));
  return out;
}

TokenBatch tokenize(const model::Model& model, const std::vector<std::string>& texts,
                    const std::vector<int32_t>& adapters = {}) {
  TokenBatch batch;
  const bool special = model.arch.kind == ModelKind::transformer;
  for (const std::string& text : texts) {
    model.tokenizer->encode(text, special, batch.ids);
    batch.offsets.push_back(static_cast<uint32_t>(batch.ids.size()));
    batch.prompt_tokens.push_back(0);
  }
  batch.adapters = adapters;
  return batch;
}

Vectors nn_vectors(nn::TextModel& model, const TokenBatch& batch) {
  const at::Tensor out = model.embed(batch, {}).to(at::kDouble).contiguous();
  Vectors rows;
  for (int64_t b = 0; b < out.size(0); ++b) {
    const double* row = out.data_ptr<double>() + b * out.size(1);
    rows.emplace_back(row, row + out.size(1));
    normalize(rows.back());
  }
  return rows;
}

Vectors engine_vectors(const fs::path& folder, const std::vector<std::string>& texts,
                       const EncodeOptions& options = {}) {
  const auto encoder = engine::make_cpu_encoder(model::load_model(folder), {.threads = 1});
  Mat<float> out(texts.size(), encoder->info().dim);
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  encoder->encode(views, options, out.view());
  Vectors rows;
  for (size_t i = 0; i < texts.size(); ++i) {
    rows.emplace_back(out.row(i), out.row(i) + out.cols());
    normalize(rows.back());
  }
  return rows;
}

double max_difference(const Vectors& a, const Vectors& b) {
  EXPECT_EQ(a.size(), b.size());
  double top = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    EXPECT_EQ(a[i].size(), b[i].size());
    for (size_t c = 0; c < std::min(a[i].size(), b[i].size()); ++c) {
      const double difference = std::abs(a[i][c] - b[i][c]);
      if (!(difference <= top)) top = difference;  // NaN is a difference
    }
  }
  return top;
}

// What training does to a model, in short.
void change(nn::TextModel& model) {
  Rng rng(4);
  for (nn::Parameter& parameter : model.parameters()) {
    float* values = parameter.value.data_ptr<float>();
    for (int64_t i = 0; i < parameter.value.numel(); ++i)
      values[i] *= 1.0F + 0.2F * static_cast<float>(rng.uniform());
  }
  model.parameters_changed();
}

class TemporaryPath {
 public:
  TemporaryPath() : path_(fs::temp_directory_path() / fmt::format("akin_nn_{}", ::getpid())) {
    fs::remove_all(path_);
  }
  ~TemporaryPath() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryPath(const TemporaryPath&) = delete;
  TemporaryPath& operator=(const TemporaryPath&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

class NnFamily : public testing::TestWithParam<std::string> {};
std::string kind_name(const testing::TestParamInfo<std::string>& kind) { return kind.param; }
INSTANTIATE_TEST_SUITE_P(All, NnFamily, testing::ValuesIn(tiny_kinds()), kind_name);

TEST_P(NnFamily, EqualsTheEngineAndSavesWhatItReads) {
  TinySpec spec;
  spec.kind = GetParam();
  const TinyFolder folder(spec);
  const std::vector<std::string> texts = sample_texts();
  const Vectors expected = engine_vectors(folder.path(), texts);
  const TemporaryPath saved;
  for (const nn::StackKind stack : {nn::StackKind::torch, nn::StackKind::automatic}) {
    nn::TextModelOptions options;
    options.stack = stack;
    options.threads = 2;
    const auto model = nn::TextModel::open(folder.path(), options);
    const TokenBatch batch = tokenize(model->description(), texts);
    EXPECT_LE(max_difference(nn_vectors(*model, batch), expected), kTolerance);
    model->save(saved.path(), {});
    EXPECT_LE(max_difference(engine_vectors(saved.path(), texts), expected), 1e-7);
    change(*model);
    const Vectors trained = nn_vectors(*model, batch);
    EXPECT_GE(max_difference(trained, expected), 1e-3);
    model->save(saved.path(), {});
    EXPECT_LE(max_difference(engine_vectors(saved.path(), texts), trained), kTolerance);
  }
}

TEST(NnParity, AdaptersMixedInOneCall) {
  TinySpec spec;
  spec.kind = "jina_v3";
  const TinyFolder folder(spec);
  const auto model = nn::TextModel::open(folder.path(), {});
  const std::vector<std::string> texts{"ka ri", "mo pa 3", "la"};
  EncodeOptions options;
  options.prompt = "";
  options.tasks = {"retrieval.query", "", "text-matching"};
  const Vectors expected = engine_vectors(folder.path(), texts, options);
  const TokenBatch batch = tokenize(model->description(), texts, {0, -1, 2});
  EXPECT_LE(max_difference(nn_vectors(*model, batch), expected), kTolerance);
}

TEST(NnParity, EveryPoolingWithPrompts) {
  const PoolingMode all[] = {PoolingMode::cls,           PoolingMode::max,
                             PoolingMode::mean,          PoolingMode::mean_sqrt_len,
                             PoolingMode::weighted_mean, PoolingMode::last_token};
  for (const bool include : {true, false}) {
    TinySpec spec;
    spec.pooling.assign(std::begin(all), std::end(all));
    spec.include_prompt = include;
    spec.dense = {{20, true, "torch.nn.modules.activation.ReLU", true}};
    const TinyFolder folder(spec);
    const auto model = nn::TextModel::open(folder.path(), {});
    const std::vector<std::string> texts{"ka ri mo", "pa"};
    EncodeOptions options;
    options.prompt = "pa ko: ";
    TokenBatch batch = tokenize(model->description(), {"pa ko: ka ri mo", "pa ko: pa"});
    std::vector<int32_t> prompt;
    model->description().tokenizer->encode("pa ko: ", true, prompt);
    if (!include) batch.prompt_tokens.assign(2, static_cast<uint32_t>(prompt.size() - 1));
    EXPECT_LE(
        max_difference(nn_vectors(*model, batch), engine_vectors(folder.path(), texts, options)),
        kTolerance);
  }
}

}  // namespace
}  // namespace akin::parity

#endif  // AKIN_TRAIN
