// Models from scratch, static tables, what is saved, and what a dropout seed promises. Parity of
// every family with the engine is in tests/parity.
#include "nn/text_model.h"

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "core/encoder.h"

namespace akin::nn {
namespace {

namespace fs = std::filesystem;

// A folder that is removed again.
class Folder {
 public:
  Folder() {
    static int count = 0;
    path_ = fs::temp_directory_path() / fmt::format("akin_nn_test_{}_{}", ::getpid(), count++);
    fs::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

// WordPiece over twelve words, [CLS] text [SEP].
fs::path write_tokenizer(const Folder& folder, const char* name = "tokenizer.json",
                         const char* extra_word = "mo") {
  const char* const words[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ka",
                               "ri",    "la",    "pa",    "to",    "ne",     extra_word};
  std::string vocab;
  for (size_t i = 0; i < std::size(words); ++i)
    vocab += fmt::format("{}\"{}\": {}", i > 0 ? ", " : "", words[i], i);
  const fs::path path = folder / name;
  write_file(path, fmt::format(R"({{"version": "1.0", "truncation": null, "padding": null,
"added_tokens": [{{"id": 1, "content": "[UNK]", "special": true, "single_word": false,
 "lstrip": false, "rstrip": false, "normalized": false}}],
"normalizer": null, "pre_tokenizer": {{"type": "Whitespace"}},
"post_processor": {{"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}},
"decoder": null, "model": {{"type": "WordPiece", "unk_token": "[UNK]",
"continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {{{}}}}}}})",
                               vocab));
  return path;
}

ScratchSpec small_bert(const fs::path& tokenizer) {
  ScratchSpec spec;
  spec.layers = 2;
  spec.hidden = 12;
  spec.heads = 3;
  spec.ffn_hidden = 20;
  spec.max_positions = 16;
  spec.tokenizer = tokenizer;
  spec.init_std = 0.2;
  return spec;
}

ScratchSpec small_static(const fs::path& tokenizer) {
  ScratchSpec spec;
  spec.family = "static_embedding";
  spec.hidden = 8;
  spec.tokenizer = tokenizer;
  return spec;
}

TextModelOptions two_threads(double dropout = 0) {
  TextModelOptions options;
  options.threads = 2;
  options.numbers.dropout = dropout;
  options.numbers.attention_dropout = dropout;
  return options;
}

TokenBatch batch_of(const std::vector<std::vector<int32_t>>& texts) {
  TokenBatch batch;
  for (const auto& ids : texts) {
    batch.ids.insert(batch.ids.end(), ids.begin(), ids.end());
    batch.offsets.push_back(static_cast<uint32_t>(batch.ids.size()));
    batch.prompt_tokens.push_back(0);
  }
  return batch;
}

const TokenBatch& some_texts() {
  static const TokenBatch batch =
      batch_of({{2, 5, 6, 3}, {2, 7, 3}, {2, 8, 9, 10, 5, 3}, {2, 11, 6, 3}});
  return batch;
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

Parameter& parameter(TextModel& model, std::string_view name) {
  for (Parameter& p : model.parameters()) {
    if (p.name == name) return p;
  }
  throw_error(ErrorKind::internal, "test", "no parameter {}", name);
}

template <typename F>
ErrorKind kind_of(const F& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::internal;
}

TEST(Scratch, TheSameSeedGivesTheSameWeights) {
  const Folder folder;
  ScratchSpec spec = small_bert(write_tokenizer(folder));
  const auto one = TextModel::from_scratch(spec, two_threads()),
             two = TextModel::from_scratch(spec, two_threads());
  spec.seed = 2;
  const auto other = TextModel::from_scratch(spec, two_threads());
  for (size_t i = 0; i < one->parameters().size(); ++i)
    EXPECT_TRUE(one->parameters()[i].value.equal(two->parameters()[i].value));
  const at::Tensor table = parameter(*one, "embed.token").value.detach();
  EXPECT_GT(difference(table, parameter(*other, "embed.token").value.detach()), 0.01);
  EXPECT_NEAR(table.std().item<double>(), 0.2, 0.05);
  EXPECT_EQ(table.size(0), 12);
  EXPECT_TRUE(parameter(*one, "embed.token").sparse_rows);
  EXPECT_FALSE(parameter(*one, "layer.0.attn.norm.weight").decay);
  EXPECT_TRUE(parameter(*one, "layer.1.ffn.up.weight").decay);
}

TEST(Scratch, ASavedModelOpensToTheSameVectors) {
  const Folder folder;
  for (const bool is_static : {false, true}) {
    const fs::path tokenizer = write_tokenizer(folder);
    const auto model = TextModel::from_scratch(
        is_static ? small_static(tokenizer) : small_bert(tokenizer), two_threads());
    const fs::path saved = folder / (is_static ? "static" : "bert");
    SaveOptions save;
    save.matryoshka_dims = {4, 8};
    save.prompts = {{"query", "ka "}};
    save.card = "# A model\n";
    model->save(saved, save);
    const auto again = TextModel::open(saved, two_threads());
    EXPECT_EQ(difference(model->embed(some_texts(), {}), again->embed(some_texts(), {})), 0);
    const model::Model& described = again->description();
    EXPECT_EQ(described.arch.family, model->description().arch.family);
    EXPECT_EQ(described.matryoshka_dims, (std::vector<size_t>{4, 8}));
    EXPECT_EQ(described.prompts.at("query"), "ka ");
    EXPECT_EQ(described.max_tokens, is_static ? 0 : 16);
    EXPECT_EQ(described.static_spec.skip_unk, model->description().static_spec.skip_unk);
    EXPECT_EQ(described.heads.size(), 1);
    EXPECT_EQ(read_file(saved / "README.md"), "# A model\n");
    EXPECT_TRUE(fs::exists(saved / "modules.json"));
  }
}

TEST(Scratch, RowsOfAStaticModelStartTheTable) {
  const Folder folder;
  const auto from = TextModel::from_scratch(small_static(write_tokenizer(folder)), two_threads());
  from->save(folder / "static", {});
  ScratchSpec spec = small_bert(write_tokenizer(folder, "other.json", "zu"));  // one word differs
  const at::Tensor random =
      parameter(*TextModel::from_scratch(spec, two_threads()), "embed.token").value.detach();
  spec.embeddings_from = folder / "static";
  const auto model = TextModel::from_scratch(spec, two_threads());
  const at::Tensor rows = parameter(*model, "embed.token").value.detach(),
                   old = parameter(*from, "static.embeddings").value.detach();
  const at::Tensor copied = rows.narrow(0, 0, 11).narrow(1, 0, 8);
  EXPECT_NEAR(copied.pow(2).mean().sqrt().item<double>(), 0.2, 1e-4);
  const at::Tensor ratio = copied[5] / old[5];
  EXPECT_LT((ratio - ratio[0]).abs().max().item<double>(), 1e-4);
  EXPECT_TRUE(rows[11].equal(random[11]));
  EXPECT_TRUE(rows.narrow(1, 8, 4).equal(random.narrow(1, 8, 4)));
  const at::Tensor positions = parameter(*model, "embed.position").value.detach();
  EXPECT_LT(positions.pow(2).mean().sqrt().item<double>(), 0.03);
  spec.embeddings_from = folder / "nowhere";
  EXPECT_EQ(kind_of([&] { TextModel::from_scratch(spec, {}); }), ErrorKind::not_found);
}

TEST(Scratch, SizesThatDoNotFitAreNamed) {
  const Folder folder;
  ScratchSpec spec = small_bert(write_tokenizer(folder));
  spec.heads = 5;
  EXPECT_EQ(kind_of([&] { TextModel::from_scratch(spec, {}); }), ErrorKind::usage);
  spec.heads = 3;
  spec.family = "t5";
  EXPECT_EQ(kind_of([&] { TextModel::from_scratch(spec, {}); }), ErrorKind::unsupported);
}

// What a run reads is what the folder says that comes out of it.
TEST(Options, TheLongestTextIsTheOneAskedFor) {
  const Folder folder;
  const auto made = TextModel::from_scratch(small_bert(write_tokenizer(folder)), {});
  made->save(folder / "m", {});
  const size_t own = made->description().max_tokens;
  TextModelOptions options;
  options.max_tokens = own - 1;
  const auto shorter = TextModel::open(folder / "m", options);
  EXPECT_EQ(shorter->description().max_tokens, own - 1);
  shorter->save(folder / "s", {});
  EXPECT_EQ(TextModel::open(folder / "s", {})->description().max_tokens, own - 1);
  options.max_tokens = 2;  // [CLS] and [SEP]
  EXPECT_EQ(kind_of([&] { TextModel::open(folder / "m", options); }), ErrorKind::usage);
  options.max_tokens = static_cast<size_t>(made->description().arch.max_positions) + 1;
  EXPECT_THROW(TextModel::open(folder / "m", options), Error);
  EXPECT_THROW(TextModel::from_scratch(small_bert(write_tokenizer(folder)), options), Error);
}

TEST(Options, FrozenNamesAndDevicesAreChecked) {
  const Folder folder;
  const ScratchSpec spec = small_bert(write_tokenizer(folder));
  TextModelOptions options = two_threads();
  options.frozen = {"embed.", "layer.0."};
  const auto model = TextModel::from_scratch(spec, options);
  EXPECT_FALSE(parameter(*model, "embed.token").value.requires_grad());
  EXPECT_TRUE(parameter(*model, "layer.1.attn.q.weight").value.requires_grad());
  model->embed(some_texts(), {.train = true}).sum().backward();
  EXPECT_FALSE(parameter(*model, "embed.token").value.grad().defined());
  EXPECT_TRUE(parameter(*model, "layer.1.attn.q.weight").value.grad().defined());
  options.frozen = {"encoder."};
  EXPECT_EQ(kind_of([&] { TextModel::from_scratch(spec, options); }), ErrorKind::usage);
  options.frozen = {};
  options.device = "toaster";
  EXPECT_EQ(kind_of([&] { TextModel::from_scratch(spec, options); }), ErrorKind::usage);
  options.device = "cuda:77";
  EXPECT_EQ(kind_of([&] { TextModel::from_scratch(spec, options); }), ErrorKind::device);
}

TEST(Dropout, ATextKeepsItsMaskInEveryChunk) {
  const Folder folder;
  const ScratchSpec spec = small_bert(write_tokenizer(folder));
  for (const StackKind stack : {StackKind::torch, StackKind::kernels}) {
    TextModelOptions options = two_threads(0.3);
    options.stack = stack;
    const auto model = TextModel::from_scratch(spec, options);
    const EmbedOptions train{.train = true, .dropout_seed = 7};
    const at::Tensor whole = model->embed(some_texts(), train).detach();
    EXPECT_TRUE(whole.equal(model->embed(some_texts(), train).detach()));
    const TokenBatch part = batch_of({{2, 8, 9, 10, 5, 3}, {2, 11, 6, 3}});
    EmbedOptions chunk = train;
    chunk.first_text = 2;
    EXPECT_LT(difference(whole.narrow(0, 2, 2), model->embed(part, chunk).detach()), 1e-5);
    EXPECT_GT(difference(whole.narrow(0, 2, 2), model->embed(part, train).detach()), 1e-3);
    EXPECT_GT(difference(whole, model->embed(some_texts(), {})), 1e-3);
  }
}

TEST(Static, SparseGradientIsTheDenseOne) {
  const Folder folder;
  const auto model = TextModel::from_scratch(small_static(write_tokenizer(folder)), two_threads());
  const TokenBatch batch = batch_of({{5, 6, 5}, {1, 7}, {}, {1}, {11, 11, 8, 5}});
  at::Tensor& table = parameter(*model, "static.embeddings").value;
  const at::Tensor weights = at::randn({5, 8}, at::detail::createCPUGenerator(3));
  const at::Tensor out = model->embed(batch, {.train = true});
  (out * weights).sum().backward();
  ASSERT_TRUE(table.grad().is_sparse());
  const at::Tensor sparse = table.grad().to_dense();

  at::Tensor dense = table.detach().clone().requires_grad_(true);
  const auto mean = [&](std::vector<int64_t> ids) {
    return dense.index_select(0, at::tensor(ids, at::kLong)).mean(0);
  };
  const at::Tensor none = at::zeros({8});  // unknown tokens are left out
  const at::Tensor expected =
      at::stack({mean({5, 6, 5}), mean({7}), none, none, mean({11, 11, 8, 5})});
  EXPECT_LT(difference(out.detach(), expected.detach()), 1e-6);
  (expected * weights).sum().backward();
  EXPECT_LT(difference(sparse, dense.grad()), 1e-6);
  EXPECT_EQ(table.grad()._indices().size(1), 5);
  EXPECT_EQ(kind_of([&] { model->embed(batch_of({{12}}), {}); }), ErrorKind::bad_format);
  EXPECT_EQ(kind_of([&] { model->token_states(batch, {}); }), ErrorKind::unsupported);
}

TEST(Save, AnOldFolderIsReplacedWholeAndAForeignOneKept) {
  const Folder folder;
  const auto model = TextModel::from_scratch(small_bert(write_tokenizer(folder)), two_threads());
  const fs::path saved = folder / "model";
  model->save(saved, {});
  write_file(saved / "stale.txt", "old");
  std::vector<at::Tensor> values;
  for (const Parameter& p : model->parameters()) values.push_back(p.value.detach() * 0.5);
  model->save(saved, {}, values);
  EXPECT_FALSE(fs::exists(saved / "stale.txt"));
  const auto again = TextModel::open(saved, two_threads());
  EXPECT_EQ(difference(parameter(*again, "embed.token").value.detach(),
                       parameter(*model, "embed.token").value.detach() * 0.5),
            0);
  again->save(saved, {});  // onto the folder that it was opened from
  EXPECT_EQ(difference(TextModel::open(saved, two_threads())->embed(some_texts(), {}),
                       again->embed(some_texts(), {})),
            0);

  // A save that fails leaves the old folder, and nothing beside it.
  SaveOptions wrong;
  wrong.default_prompt_name = "query";
  EXPECT_EQ(kind_of([&] { model->save(saved, wrong); }), ErrorKind::usage);
  EXPECT_EQ(difference(TextModel::open(saved, two_threads())->embed(some_texts(), {}),
                       again->embed(some_texts(), {})),
            0);
  for (const auto& entry : fs::directory_iterator(saved.parent_path()))
    EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();

  fs::create_directories(folder / "foreign");
  write_file(folder / "foreign" / "precious.txt", "keep");
  EXPECT_EQ(kind_of([&] { model->save(folder / "foreign", {}); }), ErrorKind::usage);
  EXPECT_EQ(read_file(folder / "foreign" / "precious.txt"), "keep");
}

TEST(Save, HalfPrecisionOnRequest) {
  const Folder folder;
  const auto model = TextModel::from_scratch(small_static(write_tokenizer(folder)), two_threads());
  for (const DType dtype : {DType::f16, DType::bf16}) {
    SaveOptions save;
    save.dtype = dtype;
    model->save(folder / "half", save);
    const auto again = TextModel::open(folder / "half", two_threads());
    EXPECT_EQ(again->description().weights->at("static.embeddings").dtype, dtype);
    EXPECT_LT(difference(model->embed(some_texts(), {}), again->embed(some_texts(), {})), 4e-4);
  }
}

TEST(Encoder, VectorsPromptsLimitsAndReports) {
  const Folder folder;
  ScratchSpec spec = small_bert(write_tokenizer(folder));
  spec.max_tokens = 6;
  const std::shared_ptr<TextModel> model = TextModel::from_scratch(spec, two_threads());
  const auto encoder = make_torch_encoder(model, 8);
  EXPECT_EQ(encoder->info().dim, 12);
  EXPECT_EQ(encoder->info().max_tokens, 6);
  const std::vector<std::string_view> texts{"ka", "ri la pa to ne mo", "ka ri"};
  Mat<float> out(3, 12);
  EXPECT_EQ(kind_of([&] { encoder->encode(texts, {}, out.view()); }), ErrorKind::too_long);
  EncodeOptions options;
  options.truncate = Truncate::right;
  const EncodeReport report = encoder->encode(texts, options, out.view());
  EXPECT_EQ(report.truncated, (std::vector<size_t>{1}));
  EXPECT_EQ(report.tokens, 3 + 6 + 4);
  const at::Tensor expected =
      model->embed(batch_of({{2, 5, 3}, {2, 6, 7, 8, 9, 3}, {2, 5, 6, 3}}), {});
  const at::Tensor got = at::from_blob(out.data(), {3, 12}, at::kFloat);
  EXPECT_LT(difference(got, expected / expected.norm(2, {-1}, true)), 1e-6);
  EXPECT_EQ(encoder->count_tokens(texts, {}), (std::vector<uint32_t>{3, 8, 4}));

  options.prompt = "ka ";
  Mat<float> prompted(1, 12);
  const std::string_view one[] = {"ri"};
  encoder->encode(one, options, prompted.view());
  for (size_t c = 0; c < 12; ++c) EXPECT_NEAR(prompted(0, c), out(2, c), 1e-6);
  const TokenVectors tokens = encoder->encode_tokens("ka ri", {});
  EXPECT_EQ(tokens.ids, (std::vector<int32_t>{2, 5, 6, 3}));
  EXPECT_EQ(tokens.begin[2], 3);
  const std::string before = encoder->info().fingerprint;
  {
    const at::NoGradGuard no_graph;
    parameter(*model, "embed.norm.bias").value.add_(0.1);
  }
  model->parameters_changed();
  EXPECT_NE(make_torch_encoder(model, 8)->info().fingerprint, before);
}

}  // namespace
}  // namespace akin::nn
