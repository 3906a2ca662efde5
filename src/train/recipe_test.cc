#include "train/recipe.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "nn/cpu_stack.h"

namespace akin::train {
namespace {

constexpr const char* kRecipe = R"(
[model]
tokenizer = "vocab"
dropout = 0
[train]
steps = 20
learning_rate = 1e-3
[loss]
name = "infonce"
temperature = 0.02
[[source]]
path = ["pairs/train.jsonl", "pairs/more.jsonl"]
weight = 2
[[source]]
name = "graded"
path = "sts.jsonl"
loss = "cosent"
[[source]]
name = "own"
path = "own.jsonl"
loss = { temperature = 0.1, symmetric = false }
)";

Recipe parse(const std::string& text, std::vector<std::string> settings = {}) {
  return parse_recipe(text, "r.toml", settings);
}

std::string error_of(const std::string& text, std::vector<std::string> settings = {}) {
  try {
    parse(text, std::move(settings));
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(Recipe, ReadsTablesAndSources) {
  const Recipe recipe = parse(kRecipe);
  EXPECT_EQ(recipe.model.tokenizer, "vocab");
  EXPECT_EQ(recipe.model.dropout, 0);
  EXPECT_EQ(recipe.train.steps, 20U);
  ASSERT_EQ(recipe.sources.size(), 3U);
  EXPECT_EQ(recipe.sources[0].name, "pairs/train");
  EXPECT_EQ(recipe.sources[0].path.size(), 2U);
  EXPECT_EQ(recipe.sources[0].loss.options.temperature, 0.02);
  EXPECT_EQ(recipe.sources[1].loss.name, "cosent");
  EXPECT_EQ(recipe.sources[1].loss.options.temperature, 0.02);  // what it leaves open is [loss]'s
  EXPECT_EQ(recipe.sources[2].loss.name, "infonce");
  EXPECT_EQ(recipe.sources[2].loss.options.temperature, 0.1);
  EXPECT_FALSE(recipe.sources[2].loss.options.symmetric);
}

TEST(Recipe, SettingsWin) {
  const Recipe recipe =
      parse(kRecipe, {"train.steps=7", "loss.temperature=0.5", "source.graded.weight=3",
                      "source.own.loss.temperature=0.3", "matryoshka.dims=64,32"});
  EXPECT_EQ(recipe.train.steps, 7U);
  EXPECT_EQ(recipe.sources[0].loss.options.temperature, 0.5);
  EXPECT_EQ(recipe.sources[1].loss.options.temperature, 0.5);
  EXPECT_EQ(recipe.sources[1].weight, 3);
  EXPECT_EQ(recipe.sources[2].loss.options.temperature, 0.3);
  EXPECT_EQ(recipe.matryoshka.dims, (std::vector<int64_t>{64, 32}));
}

// A loss of its own takes the options of [loss] that it knows, and is told by the one word, too.
TEST(Recipe, ALossOfItsOwnTakesTheCommonOptions) {
  const std::string recipe =
      "[loss]\nsymmetric = false\ntemperature = 0.1\nmask_duplicates = false\n"
      "[[source]]\nname = \"a\"\npath = \"a\"\nloss = \"triplet_softmax\"\n"
      "[[source]]\nname = \"b\"\npath = \"b\"\nloss = { name = \"cosent\", temperature = 0.3 }\n"
      "[[source]]\nname = \"c\"\npath = \"c\"\n";
  const Recipe read = parse(recipe);
  EXPECT_FALSE(read.sources[0].loss.options.symmetric);
  EXPECT_EQ(read.sources[0].loss.options.temperature, 0.1);
  EXPECT_EQ(read.sources[1].loss.options.temperature, 0.3);
  EXPECT_TRUE(read.sources[1].loss.options.mask_duplicates);  // cosent does not know it
  EXPECT_EQ(read.sources[2].loss.name, "infonce");
  EXPECT_EQ(parse(recipe, {"source.c.loss=sigmoid_pair"}).sources[2].loss.name, "sigmoid_pair");
}

TEST(Recipe, RefusesOptionsThatNoLossTakes) {
  const std::string pairs = "[[source]]\nname = \"a\"\npath = \"a\"\n";
  EXPECT_NE(error_of("[loss]\nname = \"jina_triplet\"\nsymmetric = false\n" + pairs)
                .find("loss.symmetric is no option of any loss of this run: jina_triplet takes "
                      "temperature, margin, mask_duplicates"),
            std::string::npos);
  EXPECT_NE(error_of(pairs, {"loss.hard_negative_weight=2"}).find("loss.hard_negative_weight"),
            std::string::npos);
  EXPECT_NE(
      error_of(pairs + "loss = { name = \"cosent\", margin = 0.1 }\n")
          .find("margin is no option of the loss of the source \"a\": cosent takes temperature"),
      std::string::npos);
  // Enough if one of several takes it.
  const std::string several = "[loss]\nmargin = 0.1\n" + pairs +
                              "[[source]]\nname = \"b\"\npath = \"b\"\nloss = \"triplet\"\n";
  EXPECT_EQ(error_of(several), "");
  EXPECT_EQ(parse(several).sources[1].loss.options.margin, 0.1);
  EXPECT_NE(error_of("[loss]\ntemperature = 0.1\n" + pairs, {"source.a.loss=vector_mse"})
                .find("vector_mse takes none"),
            std::string::npos);
}

TEST(Recipe, RefusesKeysThatDoNothing) {
  const std::string source = "[[source]]\npath = \"a\"\n", open = "[model]\nopen = \"m\"\n";
  EXPECT_NE(error_of(open + "layers = 2\n" + source).find("model.layers is for a new model"),
            std::string::npos);
  EXPECT_NE(error_of(open + source, {"model.ffn_hidden=8"}).find("model.ffn_hidden"),
            std::string::npos);
  // A setting may put a model in the place of the recipe's new one.
  EXPECT_EQ(error_of("[model]\nlayers = 2\n" + source, {"model.open=m"}), "");
  EXPECT_NE(error_of(source, {"evaluate.patience=2"}).find("no tasks"), std::string::npos);
  EXPECT_NE(error_of(source, {"evaluate.patience=2", "evaluate.tasks=T"}).find("evaluate.every"),
            std::string::npos);
  EXPECT_NE(error_of(source, {"matryoshka.weights=1,2"}).find("no dims"), std::string::npos);
}

TEST(Recipe, FastestPrecisionIsSettledForThisMachine) {
  Recipe recipe = parse(kRecipe, {"model.precision=fastest"});
  settle_precision(recipe);
  EXPECT_EQ(recipe.model.precision,
            nn::bf16_available() ? PrecisionChoice::bf16 : PrecisionChoice::f32);
  recipe = parse(kRecipe, {"model.precision=fastest", "train.device=cuda"});
  settle_precision(recipe);
  EXPECT_EQ(recipe.model.precision, PrecisionChoice::bf16);
  recipe = parse(kRecipe);  // what is asked for stays
  settle_precision(recipe);
  EXPECT_EQ(recipe.model.precision, PrecisionChoice::f32);
}

TEST(Recipe, NamesFileLineTableAndKey) {
  EXPECT_NE(error_of("[train]\nstep = 3\n")
                .find("r.toml:2: \"step\" is not a key of [train]; did "
                      "you mean steps?"),
            std::string::npos)
      << error_of("[train]\nstep = 3\n");
  EXPECT_NE(error_of("[train]\nsteps = \"many\"\n").find("r.toml:2"), std::string::npos);
  EXPECT_NE(error_of("[trains]\n").find("[trains] is not a table"), std::string::npos);
  EXPECT_NE(error_of("[train]\nsteps = [1, 2]\n").find("one value"), std::string::npos);
  EXPECT_NE(error_of("x = [").find("r.toml:1"), std::string::npos);
  EXPECT_NE(error_of("[train]\n").find("[[source]]"), std::string::npos);
  EXPECT_NE(error_of("[[source]]\nweight = 1\n").find("needs a path"), std::string::npos);
  EXPECT_NE(error_of("[[source]]\npath=\"a/b.txt\"\n[[source]]\npath=\"a/b.tsv\"\n")
                .find("another source"),
            std::string::npos);
}

TEST(Recipe, RefusesValuesThatCannotBe) {
  const std::string source = "[[source]]\npath = \"a\"\n";
  EXPECT_NE(error_of("[train]\nsteps = 0\n" + source).find("train.steps is 0"), std::string::npos);
  EXPECT_NE(error_of("[train]\nwarmup = 2\n" + source).find("train.warmup"), std::string::npos);
  EXPECT_NE(error_of(source, {"train.clip=-1"}).find("train.clip"), std::string::npos);
  EXPECT_NE(error_of(source, {"ewc.lambda=-1"}).find("ewc.lambda"), std::string::npos);
  EXPECT_NE(error_of(source, {"train.steps"}).find("TABLE.KEY=VALUE"), std::string::npos);
  EXPECT_NE(error_of(source, {"source.b.weight=1"}).find("no source"), std::string::npos);
  const std::string words = error_of(source, {"train.learning_rate=fast"});  // a key, not a flag
  EXPECT_NE(words.find("--set train.learning_rate=fast: \"fast\" is not a number"),
            std::string::npos)
      << words;
}

TEST(Recipe, RecordHoldsEveryKey) {
  Recipe recipe = parse(kRecipe);
  const auto record = recipe_record(recipe);
  EXPECT_EQ(record["train"]["steps"], 20);
  EXPECT_EQ(record["source"][1]["loss"]["name"], "cosent");
  for (const auto& table : recipe_tables()) EXPECT_FALSE(table.fields.empty()) << table.name;
}

}  // namespace
}  // namespace akin::train
