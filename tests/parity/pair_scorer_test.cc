// Cross-encoders against the float64 reference, on tiny folders with random classification heads:
// the pair's layout, token types, truncation, every head, one score whatever stands beside it.
#include "engine/pair_scorer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "model/model.h"
#include "reference.h"
#include "store/safetensors.h"
#include "tiny_folder.h"

namespace akin::parity {
namespace {

namespace fs = std::filesystem;

struct HeadKind {
  const char *kind, *architecture, *dense, *out;
  bool norm, types;
};
constexpr HeadKind kKinds[] = {
    {"bert", "BertForSequenceClassification", "pooler.dense", "classifier", false, true},
    {"xlm_roberta", "XLMRobertaForSequenceClassification", "classifier.dense",
     "classifier.out_proj", false, false},
    {"roberta", "RobertaForSequenceClassification", "classifier.dense", "classifier.out_proj",
     false, false},
    {"distilbert", "DistilBertForSequenceClassification", "pre_classifier", "classifier", false,
     false},
    {"mpnet", "MPNetForSequenceClassification", "classifier.dense", "classifier.out_proj", false,
     false},
    {"modernbert", "ModernBertForSequenceClassification", "head.dense", "classifier", true, false},
};

bool is_doubled(const HeadKind& kind) {
  const std::string_view name = kind.kind;
  return name == "roberta" || name == "xlm_roberta" || name == "mpnet";
}

TinySpec tiny_spec(const std::string& kind) {
  TinySpec spec;
  spec.kind = kind;
  spec.seed = 7;
  spec.positions = 64;
  spec.st_files = false;
  return spec;
}

// A tiny folder with a head's tensors added to it.
class Folder {
 public:
  explicit Folder(const HeadKind& kind, int64_t classes = 1) : tiny_(tiny_spec(kind.kind)) {
    auto config = nlohmann::ordered_json::parse(read_file(path() / "config.json"));
    const auto hidden = config.contains("dim") ? config["dim"].get<int64_t>()
                                               : config["hidden_size"].get<int64_t>();
    config["architectures"] = {kind.architecture};
    write_file(path() / "config.json", config.dump());
    write_pair_template(kind);
    const std::string dense = kind.dense, out = kind.out;
    add(dense + ".weight", {hidden, hidden}, 0.3);
    if (!kind.norm) add(dense + ".bias", {hidden}, 0.1);
    if (kind.norm) add("head.norm.weight", {hidden}, 1.0);
    add(out + ".weight", {classes, hidden}, 0.5);
    add(out + ".bias", {classes}, 0.2);
    const fs::path file = path() / "model.safetensors";
    {
      const auto files = store::TensorFiles::open_safetensors(file);
      auto tensors = files.tensors();
      for (auto& [name, values] : values_) {
        tensors[name] = {DType::f32, shapes_[name], std::as_bytes(std::span(values))};
      }
      store::write_safetensors(path() / "new.safetensors", tensors);
    }
    fs::rename(path() / "new.safetensors", file);
  }
  const fs::path& path() const { return tiny_.path(); }
  const std::vector<float>& values(const std::string& name) const { return values_.at(name); }
  bool has(const std::string& name) const { return values_.contains(name); }

 private:
  // As the family's own tokenizer.json has it: A and B, each closed; RoBERTa closes A twice.
  void write_pair_template(const HeadKind& kind) const {
    auto tokenizer = nlohmann::ordered_json::parse(read_file(path() / "tokenizer.json"));
    auto& processor = tokenizer["post_processor"];
    auto pair = processor["single"];
    const auto close = pair.back();
    if (is_doubled(kind)) pair.push_back(close);
    pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
    auto last = close;
    last["SpecialToken"]["type_id"] = 1;
    pair.push_back(last);
    processor["pair"] = pair;
    write_file(path() / "tokenizer.json", tokenizer.dump());
  }

  void add(const std::string& name, std::vector<int64_t> shape, double deviation) {
    size_t count = 1;
    for (const int64_t n : shape) count *= static_cast<size_t>(n);
    std::vector<float> values(count);
    for (float& value : values) {
      value =
          static_cast<float>((static_cast<double>(rng_.below(2001)) / 1000.0 - 1.0) * deviation);
    }
    values_[name] = std::move(values);
    shapes_[name] = std::move(shape);
  }
  TinyFolder tiny_;
  Rng rng_{11};
  std::map<std::string, std::vector<float>> values_;
  std::map<std::string, std::vector<int64_t>> shapes_;
};

// The model's weights with a token table of two halves, in float64: token + type 0, token + type 1.
class TypedWeights final : public model::Weights {
 public:
  explicit TypedWeights(std::shared_ptr<const model::Weights> base) : base_(std::move(base)) {
    const Tensor& tokens = base_->at("embed.token");
    const std::vector<float> token = tensor_to_f32(tokens),
                             type = tensor_to_f32(base_->at("embed.type"));
    const auto dim = static_cast<size_t>(tokens.shape[1]);
    for (size_t half = 0; half < 2; ++half) {
      for (size_t i = 0; i < token.size(); ++i) {
        joined_.push_back(static_cast<double>(token[i]) +
                          static_cast<double>(type[half * dim + i % dim]));
      }
    }
    token_ = {
        DType::f64, {2 * tokens.shape[0], tokens.shape[1]}, std::as_bytes(std::span(joined_))};
    zeros_.resize(type.size());
    type_ = {DType::f32, base_->at("embed.type").shape, std::as_bytes(std::span(zeros_))};
  }
  bool has(std::string_view name) const override { return base_->has(name); }
  const Tensor& at(std::string_view name) const override {
    return name == "embed.token" ? token_ : name == "embed.type" ? type_ : base_->at(name);
  }
  std::vector<std::string> names() const override { return base_->names(); }
  std::string_view source(std::string_view name) const override { return base_->source(name); }
  void release_pages() const override {}

 private:
  std::shared_ptr<const model::Weights> base_;
  std::vector<double> joined_;
  std::vector<float> zeros_;
  Tensor token_, type_;
};

double activate(const std::string& kind, double x) {
  if (kind == "distilbert") return std::max(x, 0.0);
  if (kind == "modernbert") return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0)));
  return std::tanh(x);
}

double reference_logit(const HeadKind& kind, const Folder& folder, const Row& x, size_t label = 0) {
  const size_t dim = x.size();
  const std::string dense = kind.dense, out = kind.out;
  Row inner(dim);
  for (size_t r = 0; r < dim; ++r) {
    double sum = folder.has(dense + ".bias") ? folder.values(dense + ".bias")[r] : 0.0;
    for (size_t c = 0; c < dim; ++c) sum += folder.values(dense + ".weight")[r * dim + c] * x[c];
    inner[r] = activate(kind.kind, sum);
  }
  if (kind.norm) {
    double mean = 0, squares = 0;
    for (const double value : inner) mean += value / static_cast<double>(dim);
    for (const double value : inner) squares += (value - mean) * (value - mean);
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(dim) + 1e-5);
    for (size_t c = 0; c < dim; ++c)
      inner[c] = (inner[c] - mean) * scale * folder.values("head.norm.weight")[c];
  }
  double logit = folder.values(out + ".bias")[label];
  for (size_t c = 0; c < dim; ++c)
    logit += folder.values(out + ".weight")[label * dim + c] * inner[c];
  return logit;
}

std::vector<int32_t> ids_of(const model::Model& model, std::string_view text) {
  std::vector<int32_t> ids;
  model.tokenizer->encode(text, false, ids);
  return ids;
}

// [CLS] A [SEP] B [SEP], or RoBERTa's two separators; second half shifted into the typed table.
ReferenceText pair_text(const model::Model& model, const HeadKind& kind, std::vector<int32_t> a,
                        std::vector<int32_t> b) {
  const auto prefix = model.tokenizer->prefix_ids(), suffix = model.tokenizer->suffix_ids();
  ReferenceText text;
  text.ids.assign(prefix.begin(), prefix.end());
  text.ids.insert(text.ids.end(), a.begin(), a.end());
  for (int i = 0; i < (is_doubled(kind) ? 2 : 1); ++i)
    text.ids.insert(text.ids.end(), suffix.begin(), suffix.end());
  const size_t second = text.ids.size();
  text.ids.insert(text.ids.end(), b.begin(), b.end());
  text.ids.insert(text.ids.end(), suffix.begin(), suffix.end());
  if (kind.types) {
    for (size_t i = second; i < text.ids.size(); ++i)
      text.ids[i] += static_cast<int32_t>(model.arch.vocab_size);
  }
  return text;
}

TEST(PairScorer, EqualsTheFloat64Reference) {
  for (const HeadKind& kind : kKinds) {
    SCOPED_TRACE(kind.kind);
    const Folder folder(kind);
    EXPECT_TRUE(model::is_classifier_folder(folder.path()));
    const auto loaded = engine::load_pair_scorer(folder.path(), {.threads = 2});
    model::Model model =
        model::load_model(folder.path(), {.pooling = PoolingSpec{{PoolingMode::cls}, true}});
    Rng rng(3);
    const std::string query = tiny_text(rng, 5);
    std::vector<std::string> texts;
    for (const size_t words : {1, 3, 9, 14, 2, 7}) texts.push_back(tiny_text(rng, words));
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    const PairScores scores = loaded.scorer->scores(query, views, Truncate::right);
    const auto query_ids = ids_of(model, query);
    std::vector<ReferenceText> pairs;
    for (const auto& text : texts)
      pairs.push_back(pair_text(model, kind, query_ids, ids_of(model, text)));
    if (kind.types) {
      model.weights = std::make_shared<TypedWeights>(model.weights);
    }
    const Reference reference(model);
    for (size_t i = 0; i < texts.size(); ++i) {
      if (pairs[i].ids.size() > 64) continue;
      const double expected = reference_logit(kind, folder, reference.token_vectors(pairs[i])[0]);
      EXPECT_NEAR(scores.logits[i], expected, 2e-5) << i;
    }
  }
}

TEST(PairScorer, AScoreDoesNotDependOnItsNeighbours) {
  const Folder folder(kKinds[0]);
  const auto one = engine::load_pair_scorer(folder.path(), {.threads = 1});
  const auto two = engine::load_pair_scorer(folder.path(), {.threads = 2});
  Rng rng(5);
  const std::string query = tiny_text(rng, 4);
  std::vector<std::string> texts;
  for (size_t i = 0; i < 40; ++i) texts.push_back(tiny_text(rng, 1 + i % 17));
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const auto all = two.scorer->scores(query, views, Truncate::right).logits;
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(one.scorer->scores(query, {&views[i], 1}, Truncate::right).logits[0], all[i]) << i;
  }
}

TEST(PairScorer, TheLongerTextIsCutOrRefused) {
  const Folder folder(kKinds[1]);
  const auto loaded = engine::load_pair_scorer(folder.path());
  ASSERT_EQ(loaded.info.max_tokens, 64U);
  const model::Model model =
      model::load_model(folder.path(), {.pooling = PoolingSpec{{PoolingMode::cls}, true}});
  Rng rng(9);
  const std::string query = tiny_text(rng, 3), text = tiny_text(rng, 200);
  const std::string_view view = text;
  try {
    loaded.scorer->scores(query, {&view, 1}, Truncate::error);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::too_long);
    EXPECT_EQ(error.where(), "input 0");
  }
  const PairScores scores = loaded.scorer->scores(query, {&view, 1}, Truncate::right);
  EXPECT_EQ(scores.report.truncated, std::vector<size_t>{0});
  EXPECT_EQ(scores.report.tokens, 64U);
  auto second = ids_of(model, text);
  const auto first = ids_of(model, query);
  second.resize(64 - first.size() - 4);
  const double expected = reference_logit(
      kKinds[1], folder,
      Reference(model).token_vectors(pair_text(model, kKinds[1], first, second))[0]);
  EXPECT_NEAR(scores.logits[0], expected, 2e-5);
}

TEST(TextClassifier, OneTextOrTwoAndALogitForEachLabel) {
  const Folder folder(kKinds[0], 3);
  const auto loaded = engine::load_text_classifier(folder.path(), {.threads = 2});
  EXPECT_EQ(loaded.scorer, nullptr);
  EXPECT_EQ(loaded.classifier->labels(),
            (std::vector<std::string>{"LABEL_0", "LABEL_1", "LABEL_2"}));
  model::Model model =
      model::load_model(folder.path(), {.pooling = PoolingSpec{{PoolingMode::cls}, true}});
  Rng rng(4);
  const std::string one = tiny_text(rng, 5), two = tiny_text(rng, 8), long_one = tiny_text(rng, 99);
  const std::vector<ClassifierInput> inputs = {{one, {}}, {one, two}, {two, {}}, {long_one, {}}};
  const ClassLogits all = loaded.classifier->classify(inputs, Truncate::right);
  EXPECT_EQ(all.report.truncated, std::vector<size_t>{3});
  const auto close = [&](std::vector<int32_t> ids, size_t keep) {
    const auto prefix = model.tokenizer->prefix_ids(), suffix = model.tokenizer->suffix_ids();
    ids.resize(std::min(ids.size(), keep));
    ReferenceText text;
    text.ids.assign(prefix.begin(), prefix.end());
    text.ids.insert(text.ids.end(), ids.begin(), ids.end());
    text.ids.insert(text.ids.end(), suffix.begin(), suffix.end());
    return text;
  };
  const std::vector<ReferenceText> laid = {
      close(ids_of(model, one), 62),
      pair_text(model, kKinds[0], ids_of(model, one), ids_of(model, two)),
      close(ids_of(model, two), 62), close(ids_of(model, long_one), 62)};
  model.weights = std::make_shared<TypedWeights>(model.weights);
  const Reference reference(model);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Row row = reference.token_vectors(laid[i])[0];
    for (size_t k = 0; k < 3; ++k)
      EXPECT_NEAR(all.logits(i, k), reference_logit(kKinds[0], folder, row, k), 2e-5) << i;
    const ClassLogits alone = loaded.classifier->classify({&inputs[i], 1}, Truncate::right);
    for (size_t k = 0; k < 3; ++k) EXPECT_EQ(alone.logits(0, k), all.logits(i, k));
  }
  EXPECT_THROW(loaded.classifier->classify(inputs, Truncate::error), Error);
  const Folder single(kKinds[0], 1);
  const auto both = engine::load_text_classifier(single.path());
  ASSERT_NE(both.scorer, nullptr);
  const std::string_view document = two;
  EXPECT_EQ(both.scorer->scores(one, {&document, 1}, Truncate::right).logits[0],
            both.classifier->classify({&inputs[1], 1}, Truncate::right).logits(0, 0));
}

TEST(PairScorer, RefusesFoldersThatAreNone) {
  const TinyFolder encoder(tiny_spec("bert"));
  EXPECT_FALSE(model::is_classifier_folder(encoder.path()));
  EXPECT_THROW(engine::load_pair_scorer(encoder.path()), Error);
  const Folder classes(kKinds[0], 3);
  try {
    engine::load_pair_scorer(classes.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::unsupported);
    EXPECT_NE(std::string(error.what()).find("3 classes"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace akin::parity
