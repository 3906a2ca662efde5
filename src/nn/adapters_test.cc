// LoRA adapters on whole models: they begin as the base model, both stacks agree, folders come back
// to the same vectors, merged or not.
#include "nn/adapters.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "store/peft_folder.h"

namespace akin::nn {
namespace {

namespace fs = std::filesystem;

class Adapters : public testing::Test {
 protected:
  Adapters() {
    folder_ = fs::temp_directory_path() / fmt::format("akin_adapters_test_{}", ::getpid());
    fs::create_directories(folder_);
    const char* const words[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "ka", "ri", "la", "pa", "to"};
    std::string vocab;
    for (size_t i = 0; i < std::size(words); ++i)
      vocab += fmt::format("{}\"{}\": {}", i > 0 ? ", " : "", words[i], i);
    write_file(folder_ / "tokenizer.json", fmt::format(R"({{"version": "1.0", "added_tokens": [],
"normalizer": null, "pre_tokenizer": {{"type": "Whitespace"}},
"post_processor": {{"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}},
"decoder": null, "model": {{"type": "WordPiece", "unk_token": "[UNK]",
"continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {{{}}}}}}})",
                                                       vocab));
    ScratchSpec spec;
    spec.layers = 2;
    spec.hidden = 12;
    spec.heads = 3;
    spec.ffn_hidden = 20;
    spec.max_positions = 16;
    spec.init_std = 0.3;
    spec.tokenizer = folder_ / "tokenizer.json";
    TextModel::from_scratch(spec, options(StackKind::automatic, {}))->save(folder_ / "base", {});
    for (const std::vector<int32_t>& ids :
         {std::vector<int32_t>{2, 5, 6, 3}, {2, 7, 3}, {2, 8, 4, 7, 5, 3}, {2, 6, 6, 3}, {2, 3}}) {
      batch_.ids.insert(batch_.ids.end(), ids.begin(), ids.end());
      batch_.offsets.push_back(static_cast<uint32_t>(batch_.ids.size()));
      batch_.prompt_tokens.push_back(0);
    }
    batch_.adapters = {0, 1, -1, 0, 1};
  }
  ~Adapters() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  static TextModelOptions options(StackKind stack, std::vector<std::string> names) {
    TextModelOptions out;
    out.threads = 2;
    out.stack = stack;
    out.adapters.names = std::move(names);
    out.adapters.rank = 3;
    out.adapters.alpha = 6;
    out.adapters.targets = {"attention", "embedding", "ffn"};
    return out;
  }
  std::unique_ptr<TextModel> open(StackKind stack, bool recompute = false) const {
    TextModelOptions out = options(stack, {"document", "query"});
    out.numbers.recompute = recompute;
    return TextModel::open(folder_ / "base", out);
  }
  // Values as after training: both halves of every pair away from zero.
  static void stir(TextModel& model) {
    for (Parameter& p : model.parameters()) {
      if (!p.trained) continue;
      at::Tensor flat = p.value.detach().view({-1});
      flat.copy_(
          at::sin(at::arange(flat.numel(), at::kFloat) * 1.7 + static_cast<double>(p.name.size())) *
          0.2);
    }
    model.parameters_changed();
  }
  static double difference(const at::Tensor& a, const at::Tensor& b) {
    return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
  }

  fs::path folder_;
  TokenBatch batch_;
};

TEST_F(Adapters, BeginAsTheBaseModelBitForBit) {
  const auto base = TextModel::open(folder_ / "base", options(StackKind::automatic, {}));
  const auto model = open(StackKind::automatic);
  EXPECT_EQ(model->description().arch.adapters, (std::vector<std::string>{"document", "query"}));
  TokenBatch plain = batch_;
  plain.adapters.clear();
  const at::Tensor a = base->embed(plain, {}).contiguous(),
                   b = model->embed(batch_, {}).contiguous();
  EXPECT_EQ(std::memcmp(a.data_ptr<float>(), b.data_ptr<float>(),
                        static_cast<size_t>(a.numel()) * sizeof(float)),
            0);
  for (const Parameter& p : model->parameters())
    EXPECT_EQ(p.trained, p.name.starts_with("adapter.")) << p.name;
}

TEST_F(Adapters, BothStacksGiveTheSameVectorsAndGradients) {
  const at::Tensor weights = at::sin(at::arange(60, at::kFloat)).view({5, 12});
  std::map<std::string, at::Tensor> reference;
  at::Tensor vectors;
  for (const auto& [stack, recompute] : {std::pair{StackKind::torch, false},
                                         {StackKind::torch, true},
                                         {StackKind::kernels, false},
                                         {StackKind::kernels, true}}) {
    const auto model = open(stack, recompute);
    stir(*model);
    const at::Tensor out = model->embed(batch_, {true, 0, 0});
    (out * weights).sum().backward();
    if (!vectors.defined()) vectors = out.detach();
    EXPECT_LT(difference(out.detach(), vectors), 1e-5);
    for (Parameter& p : model->parameters()) {
      if (!p.trained) {
        EXPECT_FALSE(p.value.grad().defined()) << p.name;
        continue;
      }
      ASSERT_TRUE(p.value.grad().defined()) << p.name;
      const auto [it, fresh] = reference.try_emplace(p.name, p.value.grad());
      if (!fresh)
        EXPECT_LT(difference(p.value.grad(), it->second), 1e-4) << p.name;
      else
        EXPECT_GT(it->second.abs().max().item<double>(), 0) << p.name;
    }
  }
}

TEST_F(Adapters, FoldersComeBackToTheSameVectors) {
  const auto model = open(StackKind::automatic);
  stir(*model);
  const at::Tensor before = model->embed(batch_, {});
  SaveOptions save;
  save.prompts = {{"query", "ka "}};
  model->save(folder_ / "saved", save);
  EXPECT_EQ(read_file(folder_ / "base/model.safetensors"),
            read_file(folder_ / "saved/model.safetensors"));
  const auto again = TextModel::open(folder_ / "saved", options(StackKind::automatic, {}));
  EXPECT_EQ(again->description().arch.adapters, model->description().arch.adapters);
  EXPECT_FLOAT_EQ(again->description().arch.lora_scaling, 2);
  EXPECT_EQ(again->description().task_prompts.at("query"), "ka ");
  EXPECT_EQ(difference(again->embed(batch_, {}), before), 0);

  const store::PeftFolder peft = store::read_peft_folder(folder_ / "saved/adapters/query");
  EXPECT_EQ(peft.r, 3);
  EXPECT_EQ(peft.alpha, 6);
  const auto& pair = peft.pairs.at("encoder.layer.1.attention.self.query");
  EXPECT_EQ(pair.a.shape, (std::vector<int64_t>{3, 12}));
  EXPECT_TRUE(peft.pairs.at("embeddings.word_embeddings").embedding);

  // Training goes on from there; what is not named stays.
  const auto more =
      TextModel::open(folder_ / "saved", options(StackKind::automatic, {"query", "separation"}));
  EXPECT_EQ(more->description().arch.adapters,
            (std::vector<std::string>{"document", "query", "separation"}));
  EXPECT_EQ(difference(more->embed(batch_, {}), before), 0);
  for (const Parameter& p : more->parameters())
    EXPECT_EQ(p.trained, p.name.starts_with("adapter.1.") || p.name.starts_with("adapter.2."));
}

TEST_F(Adapters, MergedWeightsGiveTheAdaptersVectors) {
  const auto model = open(StackKind::automatic);
  stir(*model);
  SaveOptions save;
  save.merged_task = "query";
  model->save(folder_ / "merged", save);
  EXPECT_FALSE(fs::exists(folder_ / "merged/adapters"));
  const auto merged = TextModel::open(folder_ / "merged", options(StackKind::automatic, {}));
  TokenBatch all = batch_;
  all.adapters.assign(5, 1);
  const at::Tensor expected = model->embed(all, {});
  all.adapters.clear();
  EXPECT_LT(difference(merged->embed(all, {}), expected), 1e-5);
  // A task's own prompt goes before every text of its folder; the others' are not there.
  save.prompts = {{"query", "ka "}, {"document", "ma "}};
  model->save(folder_ / "merged", save);
  const auto own = TextModel::open(folder_ / "merged", options(StackKind::automatic, {}));
  EXPECT_EQ(own->description().prompts, (std::map<std::string, std::string>{{"query", "ka "}}));
  EXPECT_EQ(own->description().default_prompt_name, "query");
  save.prompts = {{"document", "ma "}};
  model->save(folder_ / "merged", save);
  const auto none = TextModel::open(folder_ / "merged", options(StackKind::automatic, {}));
  EXPECT_TRUE(none->description().prompts.empty());
  EXPECT_EQ(none->description().default_prompt_name, "");
  save.merged_task = "nobody";
  EXPECT_THROW(model->save(folder_ / "merged", save), Error);
}

TEST_F(Adapters, WhatCannotBeIsNamed) {
  const auto kind = [&](auto change) {
    TextModelOptions out = options(StackKind::automatic, {"query"});
    change(out.adapters);
    try {
      TextModel::open(folder_ / "base", out);
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::internal;
  };
  EXPECT_EQ(kind([](AdapterOptions& a) { a.names = {"a", "a"}; }), ErrorKind::usage);
  EXPECT_EQ(kind([](AdapterOptions& a) { a.names = {"../a"}; }), ErrorKind::usage);
  EXPECT_EQ(kind([](AdapterOptions& a) { a.rank = 0; }), ErrorKind::usage);
  EXPECT_EQ(kind([](AdapterOptions& a) { a.targets = {"everything"}; }), ErrorKind::usage);
  open(StackKind::automatic)->save(folder_ / "saved", {});
  TextModelOptions other = options(StackKind::automatic, {"third"});
  other.adapters.alpha = 5;  // another scaling than the two that are there
  EXPECT_THROW(TextModel::open(folder_ / "saved", other), Error);
}

}  // namespace
}  // namespace akin::nn
