// One evaluation task as data: which dataset, which columns, which metric, which settings. A row of
// benchmarks.def or a [[task]] of a TOML file (see task_file.h); the code that scores it is the
// Task of its `type` (see task.h). Follows the task metadata of mteb 2.20.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace akin::eval {

struct SubsetSpec {
  std::string name = "default";        // "en", "en-zh"; a config of the dataset
  std::vector<std::string> languages;  // "eng-Latn"
};

struct TaskSpec {
  std::string name;        // "STSBenchmark", the name of its result file
  std::string type;        // "STS", one of tasks.def
  std::string main_score;  // "cosine_spearman"; empty: the type's own
  std::string dataset;     // "mteb/stsbenchmark-sts": see store/dataset_folder.h
  std::string revision;
  std::vector<std::string> splits = {"test"};
  std::vector<SubsetSpec> subsets;     // empty: one, "default"
  std::vector<std::string> languages;  // of subsets that name none
  std::vector<std::string> subtasks;   // names of tasks whose mean this is (CQADupstack)
  // Role -> file pattern below the dataset's folder, where {split} and {subset} are replaced. Roles
  // are rows, train, corpus, queries, qrels, top_ranked, sentence1, sentence2, haystack; a role not
  // named here is found by the dataset's layout.
  std::map<std::string, std::string> files;
  // Word of the task type -> column; alternatives are joined by "|". Words not named here have the
  // names that mteb's datasets use.
  std::map<std::string, std::string> columns;
  // Label in the file -> number; rows with a label that is not here are left out. Empty: as it is.
  std::map<std::string, int32_t> label_map;
  // Literal prompts: "query", "document" or "" for every text. They win over the model's own.
  std::map<std::string, std::string> prompts;
  std::string where;  // "tasks.toml:12", for messages

  // Settings of the types; each says which.
  std::string train_split = "train";  // Classification, MultilabelClassification
  uint64_t samples_per_label = 8;     // the same
  uint64_t experiments = 10;          // the same
  uint64_t hold_out = 0;              // the same: rows that become the test split, when train
                                      // and test are one file (stratified, seed 42)
  uint64_t subsample = 0;             // Classification, Clustering: rows of the split that are
                                      // kept; 0: all
  bool stratified = true;             // how subsample draws
  bool legacy = false;                // Clustering: every row is a set; Summarization: the mean
                                      // of statistic and p-value, as mteb 1 published it
  double max_fraction = 0.04;         // Clustering: share of documents embedded; 0: all
  uint64_t max_documents = 16384;     // Clustering: rows of each of the draws
  bool drop_single_labels = false;    // Clustering: leave out labels that occur once
  bool ignore_identical_ids = false;  // Retrieval: a document is no answer to its own id
  bool max_over_subqueries = false;   // Reranking: query ids are <base>_<n> (MIND)
  bool allow_duplicate_ids = false;   // Retrieval: keep the first of equal document ids
  bool allow_unknown_ids = false;     // Retrieval, Reranking: qrels may name documents that are not
                                      // there: never found, as mteb has it
  std::string generate;               // LongContext: passkey or needle
  uint64_t documents = 100;           // LongContext: documents and
  uint64_t queries = 50;              // queries of each length

  // The settings above by name, for the tables, the TOML reader and the record of a run.
  template <typename Visitor>
  void settings(Visitor& v) {
    v("train_split", train_split);
    v("samples_per_label", samples_per_label);
    v("n_experiments", experiments);
    v("hold_out", hold_out);
    v("subsample", subsample);
    v("stratified", stratified);
    v("legacy", legacy);
    v("max_fraction", max_fraction);
    v("max_documents", max_documents);
    v("drop_single_labels", drop_single_labels);
    v("ignore_identical_ids", ignore_identical_ids);
    v("max_over_subqueries", max_over_subqueries);
    v("allow_duplicate_ids", allow_duplicate_ids);
    v("allow_unknown_ids", allow_unknown_ids);
    v("generate", generate);
    v("documents", documents);
    v("queries", queries);
  }
};

// Sets one setting from its text ("samples_per_label", "32"). Errors: usage naming the known ones.
void set_setting(TaskSpec& spec, std::string_view name, std::string_view value,
                 std::string_view where);

std::vector<std::string_view> setting_names();

// Sets on `to` every setting of `from` that is not at its default.
void inherit_settings(TaskSpec& to, const TaskSpec& from);

// subsets, or the one that an empty list stands for, with languages filled in.
std::vector<SubsetSpec> resolved_subsets(const TaskSpec& spec);

// The column for a word of the task type: the spec's own, else `fallback`.
std::string column(const TaskSpec& spec, const std::string& word, std::string_view fallback);

// Hash of everything in the spec that can change a score: a result of another hash is not resumed.
std::string spec_hash(const TaskSpec& spec);

}  // namespace akin::eval
