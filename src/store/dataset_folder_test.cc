// Finding the files of a data set: cards, names, BEIR, the hub cache, and what is said when nothing
// is found.
#include "store/dataset_folder.h"

#include "store/dataset_card.h"
#include "store/test_files.h"

namespace akin::store {
namespace {

using Names = std::vector<std::string>;

Names relative(const DatasetFolder& data, const DatasetFolder::Files& files) {
  Names out;
  for (const auto& file : files) out.push_back(file.lexically_relative(data.path()).string());
  return out;
}
Names find(const DatasetFolder& data, std::string_view config, std::string_view split,
           bool only = false) {
  return relative(data, data.find(config, split, only));
}

TEST(DatasetFolder, Beir) {
  const TempFolder folder;
  for (const char* name : {"corpus.jsonl.gz", "queries.jsonl", "qrels/test.tsv", "qrels/dev.tsv",
                           "README.md", "dataset_infos.json", ".cache/x.json"}) {
    folder.put(name, "x");
  }
  const DatasetFolder data = read_dataset_folder(folder.path());
  EXPECT_EQ(data.configs(), (Names{"corpus", "qrels", "queries"}));
  EXPECT_EQ(find(data, "corpus", "corpus"), Names{"corpus.jsonl.gz"});
  EXPECT_EQ(find(data, "corpus", "test"), Names{});
  EXPECT_EQ(find(data, "corpus", "test", true), Names{"corpus.jsonl.gz"});
  EXPECT_EQ(find(data, "qrels", "test"), Names{"qrels/test.tsv"});
  EXPECT_EQ(find(data, "qrels", "validation"), Names{"qrels/dev.tsv"});
  EXPECT_EQ(data.file("qrels/test.tsv"), folder / "qrels/test.tsv");
  expect_error(ErrorKind::not_found, "config \"qrels\" has no split \"train\"; it has: dev, test",
               [&] { data.files("qrels", "train"); });
  expect_error(ErrorKind::not_found, "no config \"en\"; it has: corpus, qrels, queries",
               [&] { data.files("en", "test"); });
  expect_error(ErrorKind::usage, "leads out", [&] { (void)data.file("../x"); });
  expect_error(ErrorKind::usage, "leads out", [&] { (void)data.file("/etc/passwd"); });
  expect_error(ErrorKind::not_found, "no such file", [&] { (void)data.file("x.tsv"); });
}

TEST(DatasetFolder, ASplitInTwoFormsIsRefused) {
  const TempFolder folder;
  for (const char* name : {"a/test.jsonl", "a/test.jsonl.gz", "b/dev.csv", "b/dev.jsonl",
                           "c/train-00000-of-00002.jsonl", "c/train-00001-of-00002.jsonl",
                           "c/train.jsonl", "d/test/0000.parquet", "d/test/0001.parquet"}) {
    folder.put(name, "x");
  }
  const DatasetFolder data = read_dataset_folder(folder.path());
  expect_error(ErrorKind::bad_format, "a/test.jsonl.gz", [&] { (void)data.find("a", "test"); });
  expect_error(ErrorKind::bad_format, "b/dev.jsonl", [&] { (void)data.find("b", "dev"); });
  expect_error(ErrorKind::bad_format, "c/train.jsonl", [&] { (void)data.find("c", "train"); });
  EXPECT_EQ(data.find("d", "test").size(), 2U);
}

TEST(DatasetFolder, ByName) {
  const TempFolder folder;
  for (const char* name :
       {"data/test-00000-of-00002.parquet", "data/test-00001-of-00002.parquet",
        "data/train-00000-of-00001-0123456789abcdef.parquet", "dev.jsonl", "en/test.jsonl.gz",
        "en/validation-00000-of-00001.parquet", "corpus/corpus-00000-of-00001.parquet",
        "qrels_test.tsv.gz", "de-test.csv", "zh/test/0000.parquet", "zh/test/0001.parquet",
        "queries/0000.parquet", "queries/0001.parquet", "atec_pool.jsonl"}) {
    folder.put(name, "x");
  }
  const DatasetFolder data = read_dataset_folder(folder.path());
  EXPECT_EQ(find(data, "default", "test"),
            (Names{"data/test-00000-of-00002.parquet", "data/test-00001-of-00002.parquet"}));
  EXPECT_EQ(find(data, "default", "train"),
            Names{"data/train-00000-of-00001-0123456789abcdef.parquet"});
  EXPECT_EQ(find(data, "default", "validation"), Names{"dev.jsonl"});
  EXPECT_EQ(find(data, "en", "test"), Names{"en/test.jsonl.gz"});
  EXPECT_EQ(find(data, "en", "validation"), Names{"en/validation-00000-of-00001.parquet"});
  EXPECT_EQ(find(data, "corpus", "corpus"), Names{"corpus/corpus-00000-of-00001.parquet"});
  EXPECT_EQ(find(data, "qrels", "test"), Names{"qrels_test.tsv.gz"});
  EXPECT_EQ(find(data, "de", "test"), Names{"de-test.csv"});
  EXPECT_EQ(find(data, "zh", "test"), (Names{"zh/test/0000.parquet", "zh/test/0001.parquet"}));
  EXPECT_EQ(find(data, "queries", "queries"),
            (Names{"queries/0000.parquet", "queries/0001.parquet"}));
  EXPECT_EQ(find(data, "atec_pool", "", true), Names{"atec_pool.jsonl"});
}

constexpr std::string_view kCard = R"(---
language:
- en
configs:
- config_name: default      # the first
  data_files:
  - split: test
    path: "data/test-*"
  - split: train
    path:
    - data/train-*
    - 'more/*.parquet'
- config_name: corpus
  data_files: corpus.jsonl
-
  config_name: "q: all"
  data_dir: ./queries
  data_files:
    dev: ["a.jsonl", b.jsonl]
    test: "**/c.jsonl"
dataset_info:
  - config_name: other
    data_files: x
---
configs:
- config_name: not this
)";

TEST(DatasetCard, Configs) {
  Names got;
  for (const CardFiles& files : read_card_files(kCard, "README.md")) {
    got.push_back(files.config + " " + files.split + " " + files.pattern);
  }
  EXPECT_EQ(got, (Names{"default test data/test-*", "default train data/train-*",
                        "default train more/*.parquet", "corpus train corpus.jsonl",
                        "q: all dev queries/a.jsonl", "q: all dev queries/b.jsonl",
                        "q: all test queries/**/c.jsonl"}));
  EXPECT_TRUE(read_card_files("# Title\n", "README.md").empty());
  EXPECT_TRUE(read_card_files("---\nlicense: mit\n---\n", "README.md").empty());
  EXPECT_TRUE(read_card_files("---\nconfigs:\n---\n", "README.md").empty());
  expect_error(ErrorKind::bad_format, "README.md:3: the data set's header: \"{a\" is in a form",
               [] { read_card_files("---\nconfigs:\n- {a: b}\n---\n", "README.md"); });
  expect_error(
      ErrorKind::bad_format, "README.md:4: the data set's header: a file has no `path:`",
      [] { read_card_files("---\nconfigs:\n- data_files:\n  - split: test\n---\n", "README.md"); });
  expect_error(ErrorKind::bad_format, "nested too deep", [] {
    std::string deep = "---\nconfigs:\n";
    for (int i = 0; i < 50; ++i) deep += "- ";
    read_card_files(deep + "x\n---\n", "README.md");
  });
  for (size_t cut = 0; cut < kCard.size(); ++cut) {
    try {
      read_card_files(kCard.substr(0, cut), "README.md");
      read_card_files(std::string(kCard.substr(0, cut)) + "\n---\n", "README.md");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::bad_format);
    }
  }
}

TEST(DatasetCard, DatasetsOfAModel) {
  EXPECT_EQ(
      read_card_datasets("---\nlicense: mit\ndatasets:\n- org/a\n- 'org/b'\ntags:\n- c\n---\n"),
      (Names{"org/a", "org/b"}));
  EXPECT_EQ(read_card_datasets("---\ndatasets:\n  - a # first\n---\n"), Names{"a"});
  EXPECT_EQ(read_card_datasets("---\ndatasets: [a, b]\n---\n"), (Names{"a", "b"}));
  EXPECT_EQ(read_card_datasets("---\ndatasets: a\n---\n"), Names{"a"});
  EXPECT_TRUE(read_card_datasets("---\ndatasets:\n- {a: b}\n---\n").empty());
  EXPECT_TRUE(read_card_datasets("---\ntags:\n- a\n---\n").empty());
  EXPECT_TRUE(read_card_datasets("datasets: a\n").empty());
}

TEST(DatasetCard, Globs) {
  EXPECT_TRUE(matches_glob("data/test-*", "data/test-00000-of-00001.parquet"));
  EXPECT_FALSE(matches_glob("data/test-*", "data/test-a/b"));
  EXPECT_TRUE(matches_glob("**/test.*", "a/b/test.jsonl"));
  EXPECT_TRUE(matches_glob("**/test.*", "test.jsonl"));
  EXPECT_FALSE(matches_glob("**/test.*", "test.d/x"));
  EXPECT_TRUE(matches_glob("**", "a/b/c"));
  EXPECT_TRUE(matches_glob("a/**/*-[0-9].j?", "a/x/y/z-7.js"));
  EXPECT_FALSE(matches_glob("a/**/*-[!0-9].j?", "a/x/y/z-7.js"));
  EXPECT_TRUE(matches_glob("a*b*c", "aXbXbXc"));
  EXPECT_TRUE(matches_glob("corpus", "corpus/x.parquet"));
  EXPECT_FALSE(matches_glob("corpus", "corpus2/x.parquet"));
  EXPECT_TRUE(matches_glob("[x", "[x"));
  EXPECT_FALSE(matches_glob("", "x"));
  const std::string stars(60, '*'), as(200, 'a');
  EXPECT_FALSE(matches_glob("*a*a*a*a*a*a*a*a*a*a*b", as));
  EXPECT_TRUE(matches_glob(stars, as));
}

TEST(DatasetFolder, CardDecides) {
  const TempFolder folder;
  folder.put("README.md", kCard);
  folder.put("data/test-0.parquet", "x");
  folder.put("more/x.parquet", "x");
  folder.put("unused/test.jsonl", "x");
  const DatasetFolder data = read_dataset_folder(folder.path());
  EXPECT_EQ(data.configs(), Names{"default"});
  EXPECT_EQ(find(data, "default", "test"), Names{"data/test-0.parquet"});
  EXPECT_EQ(find(data, "default", "train"), Names{"more/x.parquet"});
}

TEST(DatasetFolder, Open) {
  const TempFolder folder;
  const std::string commit(40, 'a');
  folder.put("root/org__one/test.jsonl", "x");
  folder.put("root/two/test.jsonl", "x");
  folder.put("root/org/three/test.jsonl", "x");
  folder.put("hub/datasets--Org--Four/refs/main", commit + "\n");
  folder.put("hub/datasets--Org--Four/snapshots/" + commit + "/test.jsonl", "x");
  folder.put("hub/datasets--Org--Five/snapshots/" + commit + "/test.jsonl", "x");
  folder.put("hub/datasets--Org--Six/refs/main", "../../datasets--Org--Five");
  HubEnv env;
  env.cache = folder / "hub";
  const auto open = [&](std::string_view name, std::string_view revision = {}) {
    return open_dataset(folder / "root", name, revision, env);
  };
  EXPECT_EQ(open("Org/One").path(), folder / "root/org__one");
  EXPECT_EQ(open("org/two").path(), folder / "root/two");
  EXPECT_EQ(open("org/three").path(), folder / "root/org/three");
  EXPECT_EQ(open("org/three").revision(), "");
  EXPECT_EQ(open("Org/Four").revision(), commit);
  EXPECT_EQ(open("Org/Four", commit).revision(), commit);
  EXPECT_EQ(open("Org/Five").revision(), commit);
  expect_error(ErrorKind::not_found, "snapshots/bbbb",
               [&] { open("Org/Four", std::string(40, 'b')); });
  expect_error(ErrorKind::not_found, "datasets--Org--Six", [&] { open("Org/Six"); });
  expect_error(ErrorKind::not_found, "akin fetch --dataset Org/None", [&] { open("Org/None"); });
  expect_error(ErrorKind::usage, "not the name of a data set", [&] { open("../x"); });
  std::filesystem::create_directories(folder / "root/empty");
  expect_error(ErrorKind::not_found, "holds no data files", [&] { open("empty"); });
}

}  // namespace
}  // namespace akin::store
