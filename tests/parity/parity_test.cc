// The engine equals the float64 reference (reference.h), for every family, pooling, head, adapter
// and storage type. The bound is 2e-6 on every element of a unit vector in f32.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>

#include "base/error.h"  // fmt
#include "core/encoder.h"
#include "engine/cpu_encoder.h"
#include "model/model.h"
#include "reference.h"
#include "tiny_folder.h"

namespace akin::parity {
namespace {

constexpr double kTolerance = 2e-6;
constexpr double kInt8Cosine = 0.995;

struct Subject {
  explicit Subject(const TinySpec& spec, size_t threads = 1, Precision precision = Precision::f32)
      : folder(spec),
        model(model::load_model(folder.path())),
        encoder(engine::make_cpu_encoder(model::load_model(folder.path()),
                                         {.threads = threads, .precision = precision})),
        reference(model) {}

  std::vector<std::vector<float>> encode(const std::vector<std::string>& texts,
                                         const EncodeOptions& options = {}) {
    const size_t dims = options.dims == 0 ? encoder->info().dim : options.dims;
    Mat<float> out(texts.size(), dims);
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    encoder->encode(views, options, out.view());
    std::vector<std::vector<float>> rows;
    for (size_t i = 0; i < texts.size(); ++i) rows.emplace_back(out.row(i), out.row(i) + dims);
    return rows;
  }

  // What the engine should have seen: prompt and text as one string, the adapter, and how many
  // leading tokens are the prompt's.
  ReferenceText tokens(const std::string& text, const std::string& prompt = "",
                       int32_t adapter = -1) const {
    ReferenceText out;
    const bool special = model.arch.kind == ModelKind::transformer;
    model.tokenizer->encode(prompt + text, special, out.ids);
    out.adapter = adapter;
    if (!prompt.empty()) {
      std::vector<int32_t> ids;
      out.prompt_tokens =
          model.tokenizer->encode(prompt, true, ids) - model.tokenizer->suffix_ids().size();
    }
    return out;
  }

  TinyFolder folder;
  model::Model model;
  std::unique_ptr<Encoder> encoder;
  Reference reference;
};

double max_difference(const std::vector<float>& got, const Row& expected) {
  EXPECT_EQ(got.size(), expected.size());
  double top = 0;
  for (size_t i = 0; i < std::min(got.size(), expected.size()); ++i) {
    top = std::max(top, std::abs(static_cast<double>(got[i]) - expected[i]));
    if (!std::isfinite(got[i])) return INFINITY;
  }
  return top;
}

double cosine(const std::vector<float>& a, const Row& b) {
  double dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    dot += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * static_cast<double>(a[i]);
    bb += b[i] * b[i];
  }
  return dot / std::sqrt(aa * bb);
}

// From one token to about `longest`.
std::vector<std::string> texts_up_to(size_t longest, uint64_t seed = 5) {
  Rng rng(seed);
  std::vector<std::string> out{"a", "ka ri", ""};
  for (size_t words = 3; words < longest / 2; words = words * 3 / 2 + 1) {
    out.push_back(tiny_text(rng, words));
  }
  return out;
}

void expect_parity(Subject& subject, const std::vector<std::string>& texts) {
  const auto got = subject.encode(texts);
  double worst = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    const ReferenceText text = subject.tokens(texts[i]);
    if (text.ids.empty()) continue;
    const double difference = max_difference(got[i], subject.reference.vector(text));
    EXPECT_LE(difference, kTolerance) << text.ids.size() << " tokens";
    worst = std::max(worst, difference);
  }
  testing::Test::RecordProperty("worst", fmt::format("{:.1e}", worst));
}

class Family : public testing::TestWithParam<std::string> {};
std::string kind_name(const testing::TestParamInfo<std::string>& kind) { return kind.param; }
INSTANTIATE_TEST_SUITE_P(All, Family, testing::ValuesIn(tiny_kinds()), kind_name);

TEST_P(Family, F32EqualsReference) {
  TinySpec spec;
  spec.kind = GetParam();
  Subject one(spec, 1), two(spec, 2);
  expect_parity(one, texts_up_to(300));
  expect_parity(two, {texts_up_to(300).back()});
}

TEST_P(Family, TokenVectorsEqualReference) {
  TinySpec spec;
  spec.kind = GetParam();
  if (is_static_kind(spec.kind)) GTEST_SKIP() << "skipped: no token vectors";
  Subject subject(spec, 2);
  Rng rng(3);
  const std::string text = tiny_text(rng, 12);
  const TokenVectors got = subject.encoder->encode_tokens(text, {});
  const ReferenceText tokens = subject.tokens(text);
  ASSERT_EQ(got.ids, tokens.ids);
  const Rows expected = subject.reference.token_vectors(tokens);
  for (size_t i = 0; i < expected.size(); ++i) {
    const std::vector<float> row(got.vectors.row(i), got.vectors.row(i) + expected[i].size());
    EXPECT_LE(max_difference(row, expected[i]), 5e-6);  // elements of size 1, not 1/sqrt(52)
  }
}

TEST_P(Family, Int8IsNear) {
  TinySpec spec;
  spec.kind = GetParam();
  Subject subject(spec, 1, Precision::int8);
  const std::vector<std::string> texts = texts_up_to(200);
  const auto got = subject.encode(texts);
  double sum = 0, count = 0, lowest = 1;
  for (size_t i = 0; i < texts.size(); ++i) {
    const ReferenceText text = subject.tokens(texts[i]);
    if (text.ids.empty()) continue;
    const double value = cosine(got[i], subject.reference.vector(text));
    EXPECT_GE(value, kInt8Cosine) << text.ids.size() << " tokens";
    sum += value;
    count += 1;
    lowest = std::min(lowest, value);
  }
  RecordProperty("cosine", fmt::format("mean {:.5f} lowest {:.5f}", sum / count, lowest));
}

TEST(Parity, OtherSizes) {
  for (const char* kind : {"bert", "jina_v3", "t5_gated", "modernbert"}) {
    TinySpec spec;
    spec.kind = kind;
    spec.hidden = 312;  // 12 heads of 26
    spec.heads = 12;
    spec.ffn = 500;
    spec.layers = 4;
    Subject subject(spec);
    expect_parity(subject, texts_up_to(60));
  }
}

TEST(Parity, AlibiSlopesOfHeadsThatAreNoPowerOfTwo) {
  TinySpec spec;
  spec.kind = "jina_bert";
  spec.hidden = 66;
  spec.heads = 6;
  Subject subject(spec);
  expect_parity(subject, texts_up_to(150));
}

TEST(Parity, LongTexts) {
  Rng rng(11);
  const std::string text = tiny_text(rng, 900);
  for (const char* kind : {"jina_bert", "jina_v3", "modernbert", "t5"}) {
    TinySpec spec;
    spec.kind = kind;
    spec.positions = 4096;
    spec.layers = 2;
    Subject subject(spec, 2);
    expect_parity(subject, {text});
  }
}

TEST(Parity, EveryPooling) {
  const std::vector<std::vector<PoolingMode>> all = {
      {PoolingMode::cls},
      {PoolingMode::max},
      {PoolingMode::mean},
      {PoolingMode::mean_sqrt_len},
      {PoolingMode::weighted_mean},
      {PoolingMode::last_token},
      {PoolingMode::cls, PoolingMode::max, PoolingMode::mean, PoolingMode::mean_sqrt_len,
       PoolingMode::weighted_mean, PoolingMode::last_token}};
  for (const auto& modes : all) {
    TinySpec spec;
    spec.pooling = modes;
    Subject subject(spec);
    EXPECT_EQ(subject.encoder->info().dim, 52 * modes.size());
    expect_parity(subject, texts_up_to(60));
  }
}

TEST(Parity, PromptsInAndOutOfTheAverage) {
  for (const bool include : {true, false}) {
    for (const PoolingMode mode : {PoolingMode::mean, PoolingMode::max, PoolingMode::cls,
                                   PoolingMode::weighted_mean, PoolingMode::mean_sqrt_len}) {
      TinySpec spec;
      spec.pooling = {mode};
      spec.include_prompt = include;
      Subject subject(spec);
      EncodeOptions options;
      options.prompt_name = "query";
      Rng rng(8);
      const std::string text = tiny_text(rng, 9);
      const Row expected = subject.reference.vector(subject.tokens(text, "pa ko: "));
      EXPECT_LE(max_difference(subject.encode({text}, options)[0], expected), kTolerance)
          << pooling_mode_name(mode) << (include ? " with" : " without") << " the prompt";
    }
  }
}

TEST(Parity, DenseHeads) {
  const std::string tanh = "torch.nn.modules.activation.Tanh";
  const std::string identity = "torch.nn.modules.linear.Identity";
  const std::vector<std::vector<TinyDense>> all = {
      {{20, false, identity, false}},
      {{20, true, tanh, false}},
      {{52, true, "torch.nn.modules.activation.GELU", true}},
      {{20, true, "torch.nn.modules.activation.ReLU", true}, {33, false, identity, false}}};
  for (const auto& dense : all) {
    for (const bool normalize : {true, false}) {
      TinySpec spec;
      spec.kind = "t5";
      spec.dense = dense;
      spec.normalize = normalize;
      Subject subject(spec);
      EXPECT_EQ(subject.encoder->info().dim, static_cast<size_t>(dense.back().out));
      EXPECT_EQ(subject.encoder->info().normalizes, normalize);
      expect_parity(subject, texts_up_to(40));
    }
  }
}

TEST(Parity, WithoutNormalisation) {
  TinySpec spec;
  spec.normalize = false;
  Subject subject(spec);
  EncodeOptions options;
  options.normalize = false;
  const Row expected = subject.reference.vector(subject.tokens("ka ri mo"), {.normalize = false});
  EXPECT_LE(max_difference(subject.encode({"ka ri mo"}, options)[0], expected), 1e-5);
}

TEST(Parity, DimsAreCutBeforeNormalisation) {
  TinySpec spec;
  spec.kind = "jina_v3";
  Subject subject(spec);
  EXPECT_EQ(subject.encoder->info().matryoshka_dims, (std::vector<size_t>{8, 16, 32}));
  for (const size_t dims : {8, 16, 32, 56}) {
    EncodeOptions options;
    options.dims = dims;
    const Row expected = subject.reference.vector(subject.tokens("ka ri mo"), {.dims = dims});
    EXPECT_LE(max_difference(subject.encode({"ka ri mo"}, options)[0], expected), 4e-6) << dims;
  }
}

TEST(Parity, AdaptersMixedInOneCall) {
  TinySpec spec;
  spec.kind = "jina_v3";
  for (const size_t threads : {1, 2}) {
    Subject subject(spec, threads);
    const std::vector<std::string> names = {"", "retrieval.query", "retrieval.passage",
                                            "text-matching"};
    const std::vector<std::string> prompts = {"", "ka ri: ", "mo: ", ""};
    Rng rng(21);
    std::vector<std::string> texts;
    std::vector<int32_t> adapters;
    EncodeOptions options;
    for (size_t i = 0; i < 40; ++i) {
      texts.push_back(tiny_text(rng, 1 + rng.below(30)));
      const auto pick = static_cast<size_t>(rng.below(4));
      adapters.push_back(static_cast<int32_t>(pick) - 1);
      options.tasks.push_back(names[pick]);
    }
    const auto got = subject.encode(texts, options);
    for (size_t i = 0; i < texts.size(); ++i) {
      const std::string& prompt = prompts[static_cast<size_t>(adapters[i] + 1)];
      const Row expected = subject.reference.vector(subject.tokens(texts[i], prompt, adapters[i]));
      EXPECT_LE(max_difference(got[i], expected), kTolerance) << options.tasks[i];
    }
    // An adapter changes the vector by far more than the tolerance.
    EXPECT_GT(max_difference(got[0], subject.reference.vector(
                                         subject.tokens(texts[0], "", (adapters[0] + 2) % 3))),
              1e-2);
  }
}

TEST(Parity, HalfPrecisionStorage) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    for (const char* kind : {"bert", "jina_v3"}) {
      TinySpec spec;
      spec.kind = kind;
      spec.dtype = dtype;
      Subject subject(spec);
      expect_parity(subject, texts_up_to(60));
    }
  }
}

TEST(Parity, TokenVectorsPoolToTheVector) {
  TinySpec spec;
  spec.kind = "jina_v3";
  Subject subject(spec, 2);
  Rng rng(4);
  const std::string text = tiny_text(rng, 25);
  const TokenVectors tokens = subject.encoder->encode_tokens(text, {});
  Row mean(56, 0.0);
  double square = 0;
  for (size_t i = 0; i < tokens.vectors.rows(); ++i) {
    for (size_t c = 0; c < 56; ++c) mean[c] += static_cast<double>(tokens.vectors(i, c));
  }
  for (const double value : mean) square += value * value;
  for (double& value : mean) value /= std::sqrt(square);
  EXPECT_LE(max_difference(subject.encode({text})[0], mean), kTolerance);
}

}  // namespace
}  // namespace akin::parity
