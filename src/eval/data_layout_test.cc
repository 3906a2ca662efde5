// Where a task's rows come from: subsets told apart by a column or by folders, and Parquet files as
// Hugging Face lays them out. Parquet: the fixtures of src/store/testdata, scored beside the same
// table as JSON lines.
#include <filesystem>

#include "eval/benchmarks.h"
#include "eval/test_task.h"

namespace akin::eval {
namespace {

namespace fs = std::filesystem;

std::string pair_row(const std::string& a, const std::string& b, int score,
                     const std::string& lang = "") {
  return "{\"sentence1\":\"" + a + "\",\"sentence2\":\"" + b +
         "\",\"score\":" + std::to_string(score) +
         (lang.empty() ? "" : ",\"lang\":\"" + lang + "\"") + "}\n";
}

// Rows of two subsets: the first ranks as the model does, the second the other way round.
std::string two_subsets(const std::string& first, const std::string& second) {
  return pair_row("a b", "a b", 5, first) + pair_row("a b", "a b", 0, second) +
         pair_row("a b", "a c", 3, first) + pair_row("a b", "a c", 3, second) +
         pair_row("a b", "d e", 0, first) + pair_row("a b", "d e", 5, second);
}

class DataLayoutTest : public TaskTest {
 protected:
  Scores score_subset(const TaskSpec& spec, const std::string& subset) {
    TaskSpec one = spec;
    for (const auto& entry : resolved_subsets(spec)) {
      if (entry.name == subset) one.subsets[0] = entry;
    }
    return score(one).at(0);
  }
};

TEST_F(DataLayoutTest, SubsetsByLanguageColumn) {
  write("test.jsonl", two_subsets("en-en", "ko-ko"));
  TaskSpec spec = builtin_task("STS17");
  spec.dataset = "set";
  ASSERT_EQ(spec.subsets.at(0).name, "en-en");
  const auto scores = score(spec).at(0);
  EXPECT_NEAR(scores.metrics.at("cosine_spearman").get<double>(), 1, 1e-12);
  EXPECT_EQ(scores.items->values.size(), 3U);
  spec.subsets[0].name = "ko-ko";
  EXPECT_NEAR(score(spec).at(0).metrics.at("cosine_spearman").get<double>(), -1, 1e-12);
}

TEST_F(DataLayoutTest, ALanguageThatIsNotThereIsAnError) {
  write("test.jsonl", two_subsets("de", "fr"));
  const std::string toml = "type = \"STS\"\ndataset = \"set\"\nsubsets = [\"en\"]\n";
  expect_words(error_of(toml), {"test.jsonl", "\"en\"", "de, fr", "columns.lang"});
  write("test.jsonl", pair_row("a", "b", 1));
  expect_words(error_of(toml), {"test.jsonl:1", "lang", "sentence1"});
}

TEST_F(DataLayoutTest, TheLanguageColumnMayHaveAnotherName) {
  std::string rows = two_subsets("en", "ko");
  for (size_t at = 0; (at = rows.find("\"lang\"", at)) != rows.npos; ++at) {
    rows.replace(at, 6, "\"locale\"");
  }
  write("all/pairs.jsonl", rows);
  const TaskSpec spec = spec_of(
      "type = \"STS\"\ndataset = \"set\"\nsubsets = [\"en\", \"ko\"]\n"
      "files = { rows = \"all/pairs.jsonl\" }\ncolumns = { lang = \"locale\" }\n");
  const auto of = [&](const std::string& subset) {
    return score_subset(spec, subset).metrics.at("cosine_spearman").get<double>();
  };
  EXPECT_NEAR(of("en"), 1, 1e-12);
  EXPECT_NEAR(of("ko"), -1, 1e-12);
}

TEST_F(DataLayoutTest, AFolderOfTheSubsetWinsOverTheColumn) {
  write("data/test.jsonl", two_subsets("en", "ko"));
  write("ko/test.jsonl", pair_row("a", "a", 1) + pair_row("a", "b", 0));
  TaskSpec spec = spec_of("type = \"STS\"\ndataset = \"set\"\nsubsets = [\"ko\"]\n");
  EXPECT_EQ(score(spec).at(0).items->values.size(), 2U);
  spec.subsets[0].name = "en";
  EXPECT_EQ(score(spec).at(0).items->values.size(), 3U);
}

// As MASSIVE: both splits in files of all languages.
TEST_F(DataLayoutTest, ClassificationByLanguageColumn) {
  const auto rows = [](int count) {
    std::string out;
    for (int i = 0; i < count; ++i) {
      const std::string lang = i % 3 == 0 ? "de" : "en";
      const std::string label = i % 2 == 0 ? "alarm" : "music";
      const std::string text = lang == "de" ? "g h" : i % 2 == 0 ? "a b" : "c d";
      out += "{\"text\":\"" + text + "\",\"label\":\"" + label + "\",\"lang\":\"" + lang + "\"}\n";
    }
    return out;
  };
  write("train.jsonl", rows(60));
  write("test.jsonl", rows(30));
  TaskSpec spec = builtin_task("MassiveIntentClassification");
  spec.dataset = "set";
  const auto scores = score(spec).at(0);
  EXPECT_NEAR(scores.metrics.at("accuracy").get<double>(), 1, 1e-12);
  EXPECT_EQ(scores.items->values.size(), 20U);
  for (const auto& text : encoder_.seen) EXPECT_NE(text, "g h");
}

// Retrieval of several languages: configs "<subset>-corpus", "<subset>-queries", "<subset>-qrels".
TEST_F(DataLayoutTest, RetrievalBySubsetFolders) {
  for (const std::string subset : {"en", "ko"}) {
    const std::string right = subset == "en" ? "d1" : "d2";
    write(subset + "-corpus/test.jsonl",
          "{\"_id\":\"d1\",\"text\":\"a b\"}\n{\"_id\":\"d2\",\"text\":\"c\"}\n");
    write(subset + "-queries/test.jsonl", "{\"_id\":\"q\",\"text\":\"a\"}\n");
    write(subset + "-qrels/test.jsonl",
          "{\"query-id\":\"q\",\"corpus-id\":\"" + right + "\",\"score\":1}\n");
  }
  const TaskSpec spec =
      spec_of("type = \"Retrieval\"\ndataset = \"set\"\nsubsets = [\"en\", \"ko\"]\n");
  const auto of = [&](const std::string& subset) {
    return score_subset(spec, subset).metrics.at("map_at_10").get<double>();
  };
  EXPECT_NEAR(of("en"), 1, 1e-12);
  EXPECT_NEAR(of("ko"), 0.5, 1e-12);
}

// The table of the fixtures (tools/make_parquet_fixtures.mjs), as far as it is used here.
std::string fixture_rows() {
  std::string out;
  for (int i = 0; i < 50; ++i) {
    out += fmt::format(
        "{{\"id\":\"doc{}\",\"label\":{},\"score\":{},"
        "\"translation\":{{\"en\":\"en {}\",\"zh\":\"\xE4\xB8\xAD {}\"}}}}\n",
        i, i % 5, i / 4.0, i, i);
  }
  return out;
}

class ParquetTaskTest : public TaskTest {
 protected:
  void copy(const std::string& fixture, const std::string& to) const {
    const fs::path path = folder_ / "set" / to;
    fs::create_directories(path.parent_path());
    fs::copy_file(fs::path("src/store/testdata") / fixture, path,
                  fs::copy_options::overwrite_existing);
  }
  void start_again() const {
    fs::remove_all(folder_ / "set");
    fs::create_directories(folder_ / "set");
  }
};

const std::string kParquetSts =
    "type = \"STS\"\ndataset = \"set\"\n"
    "columns = { sentence1 = \"translation.en\", sentence2 = \"translation.zh\" }\n";
const std::string kParquetClasses =
    "type = \"Classification\"\ndataset = \"set\"\ncolumns = { text = \"id\" }\n"
    "n_experiments = 3\nsamples_per_label = 4\n";

TEST_F(ParquetTaskTest, RowsScoreAsTheSameRowsInJson) {
  const std::string rows = fixture_rows();
  write("test.jsonl", rows + rows);
  write("train.jsonl", rows);
  const auto pairs = score(kParquetSts).at(0), classes = score(kParquetClasses).at(0);
  EXPECT_EQ(pairs.items->values.size(), 100U);
  EXPECT_EQ(classes.items->values.size(), 100U);
  for (const char* fixture :
       {"arrow_snappy.parquet", "arrow_gzip_v2.parquet", "arrow_delta.parquet",
        "polars_zstd.parquet", "duckdb_snappy.parquet", "duckdb_v2.parquet"}) {
    SCOPED_TRACE(fixture);
    start_again();
    copy(fixture, "data/test-00000-of-00002.parquet");
    copy(fixture, "data/test-00001-of-00002.parquet");
    copy(fixture, "data/train-00000-of-00001-0123456789abcdef.parquet");
    EXPECT_EQ(score(kParquetSts).at(0).metrics.dump(), pairs.metrics.dump());
    EXPECT_EQ(score(kParquetClasses).at(0).metrics.dump(), classes.metrics.dump());
  }
}

TEST_F(ParquetTaskTest, RetrievalWithTheConfigsOfADatasetCard) {
  const std::string toml =
      "type = \"Retrieval\"\ndataset = \"set\"\n[task.columns]\nquery = \"id\"\ntext = \"id\"\n"
      "query-id = \"id\"\ncorpus-id = \"id\"\nrelevance = \"label\"\n";
  write("corpus.jsonl", fixture_rows());
  write("queries.jsonl", fixture_rows());
  write("qrels/test.jsonl", fixture_rows());
  const auto expected = score(toml).at(0);
  start_again();
  write("README.md",
        "---\nconfigs:\n- config_name: corpus\n  data_files:\n  - split: corpus\n"
        "    path: corpus/corpus-*\n- config_name: default\n  data_files:\n  - split: test\n"
        "    path: data/test-*\n- config_name: queries\n  data_files:\n  - split: queries\n"
        "    path: queries/queries-*\n---\n# A dataset\n");
  copy("polars_zstd.parquet", "corpus/corpus-00000-of-00001.parquet");
  copy("duckdb_snappy.parquet", "queries/queries-00000-of-00001.parquet");
  copy("hyparquet_snappy.parquet", "data/test-00000-of-00001.parquet");
  const auto found = score(toml).at(0);
  EXPECT_EQ(found.metrics.dump(), expected.metrics.dump());
  EXPECT_EQ(found.items->ids.size(), 50U);
}

TEST_F(ParquetTaskTest, ErrorsNameTheFileAndTheRow) {
  copy("polars_zstd.parquet", "data/test-00000-of-00001.parquet");
  expect_words(error_of("type = \"STS\"\ndataset = \"set\"\n"),
               {"test-00000-of-00001.parquet", "sentence1", "translation"});
  const std::string text = "columns = { sentence1 = \"text\", sentence2 = \"id\" }\n";
  expect_words(error_of("type = \"STS\"\ndataset = \"set\"\n" + text),
               {"test-00000-of-00001.parquet: row 4", "text", "null"});
}

}  // namespace
}  // namespace akin::eval
