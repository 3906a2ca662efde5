// A training run as a TOML file: the model, the sources, the losses, the schedule. Reading and
// checking only; what it asks for is done by session.h. Every key of a table is a field of its
// struct, so `akin train --list`, the help and the record of a run come from one place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/options.h"
#include "loss/loss.h"
#include "train/continual_tables.h"
#include "train/pretrain_table.h"

namespace akin::train {

enum class Schedule : uint8_t { linear, cosine, constant };
enum class PrecisionChoice : uint8_t { f32, bf16, fastest };
enum class SavedType : uint8_t { f32, f16, bf16 };
std::span<const std::string_view> choices(Schedule);
std::span<const std::string_view> choices(SavedType);
std::span<const std::string_view> choices(PrecisionChoice);

// [model]
struct ModelTable {
  std::string open;  // a folder to start from; empty: from scratch
  std::string family = "bert";
  int64_t layers = 4, hidden = 312, heads = 12, ffn_hidden = 1200, max_positions = 512;
  std::string tokenizer, pooling, embeddings_from;
  uint64_t max_tokens = 0;
  double init_std = 0.02, dropout = 0.1, attention_dropout = 0.1;
  PrecisionChoice precision = PrecisionChoice::f32;
  bool recompute = false;
  std::string position;
  double rotary_base = 10000;
  std::vector<std::string> frozen;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("open=MODEL", open, "model folder to start from; without it, a new model as follows");
    v("family=NAME", family, "new model: bert or static_embedding");
    v("layers=N", layers, "new model");
    v("hidden=N", hidden, "new model: length of token vectors");
    v("heads=N", heads, "new model: attention heads");
    v("ffn-hidden=N", ffn_hidden, "new model: inner length of the feed-forward part");
    v("max-positions=N", max_positions, "new model: longest text in tokens");
    v("tokenizer=PATH", tokenizer, "new model: folder or tokenizer.json");
    v("embeddings-from=MODEL", embeddings_from,
      "new model: static model with the same vocabulary whose rows the token table starts from");
    v("position=KIND", position,
      "rotary: rotary positions in place of the table of absolute ones, which is dropped; other "
      "weights stay. Empty: as they are");
    v("rotary-base=X", rotary_base, "of rotary positions that are new");
    v("init-std=X", init_std, "new model: standard deviation of its first weights");
    v("pooling=MODE", pooling, "cls, mean, max, ...; for a new model, or one that names none");
    v("max-tokens=N", max_tokens,
      "longest text read, in training and by the model that comes out; 0 = as it was");
    v("dropout=P", dropout, "of embeddings, attention output and feed-forward output");
    v("attention-dropout=P", attention_dropout, "of attention weights");
    v("precision=TYPE", precision,
      "of the products: f32; bf16, on GPUs and CPUs that are fast at it (AMX, AMD's AVX512_BF16); "
      "fastest: bf16 there, f32 elsewhere");
    v("recompute", recompute, "keep only the input of each layer for the backward pass");
    v("frozen=PREFIX", frozen, "weights that stay as they are, by the beginnings of their names");
  }
};

// [train]
struct TrainTable {
  uint64_t steps = 1000, batch = 64, seed = 1;
  double learning_rate = 5e-5;
  Schedule schedule = Schedule::linear;
  double warmup = 0.1;
  double weight_decay = 0.01, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, clip = 1.0;
  double ema = 0;
  uint64_t grad_cache = 0, threads = 0, workers = 1;
  std::string device = "cpu";
  uint64_t log_every = 10;
  std::optional<uint64_t> checkpoint_every;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("steps=N", steps, "optimizer steps");
    v("batch=N", batch,
      "rows of a batch, in all processes together, for sources that say nothing else");
    v("seed=N", seed, "of every random choice");
    v("learning-rate=X", learning_rate, "at its peak");
    v("schedule=NAME", schedule, "how the learning rate falls after the warm-up");
    v("warmup=X", warmup, "share of the steps in which the learning rate rises from 0");
    v("weight-decay=X", weight_decay, "decoupled; not for biases and norms");
    v("beta1=X", beta1, "AdamW: decay of the first moment");
    v("beta2=X", beta2, "AdamW: decay of the second moment");
    v("epsilon=X", epsilon, "AdamW");
    v("clip=X", clip, "largest norm of the gradient; 0 = any");
    v("ema=X", ema,
      "decay of the running average of the weights that is kept; 0 = the weights themselves");
    v("grad-cache=N", grad_cache,
      "texts whose activations are kept at a time (GradCache); 0 = the whole batch");
    v("threads=N", threads, "0 = every CPU this process may run on");
    v("workers=N", workers, "threads that read and tokenize ahead");
    v("device=NAME", device, "cpu, cuda, cuda:1");
    v("log-every=N", log_every, "steps between two lines of the log");
    v("checkpoint-every=N", checkpoint_every,
      "steps between two checkpoints; 0 = only at the end or when stopped; left out: 500, or more "
      "where writing them would take over a fiftieth of the time");
  }
};

// [matryoshka]: without dims, no Matryoshka.
struct MatryoshkaTable {
  std::vector<int64_t> dims;
  std::vector<double> weights;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("dims=N", dims, "lengths of vector that are trained for");
    v("weights=X", weights, "of each length; all 1 when left out");
  }
};

// [mixture]
struct MixtureTable {
  double alpha = 1;
  uint64_t cap = 0;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("alpha=X", alpha, "a source is drawn with probability ~ weight * min(size, cap)^alpha");
    v("cap=N", cap, "sizes beyond count as this; 0 = no cap");
  }
};

// [loss], or the loss table of a source
struct LossTable {
  std::string name = "infonce";
  loss::LossOptions options;
  std::set<std::string> given;  // names of the fields that the recipe or a setting says
  template <typename Visitor>
  void fields(Visitor& v) {
    v("name=NAME", name, "see akin train --list");
    options.fields(v);
  }
};

// [[source]]
struct SourceTable {
  std::string name;
  std::vector<std::string> path, map, labels;
  double weight = 1;
  uint64_t batch = 0, negatives = 0, max_query_tokens = 0, max_document_tokens = 0;
  bool distinct = true, single = false, classes = false, skip_bad_rows = false, matryoshka = true;
  bool old = false, tuples = false;
  std::string query_prompt, document_prompt;
  std::string task, query_task, document_task;
  LossTable loss;  // its own; what it leaves open is [loss]'s, as far as its loss takes it
  template <typename Visitor>
  void fields(Visitor& v) {
    v("name=NAME", name, "in the log; default: the name of its first file");
    v("path=FILE", path, "files and BEIR folders, relative to the data folder");
    v("map=FIELD=COLUMN", map, "columns by name, as in akin prep --map");
    v("labels=WORD=NUMBER", labels,
      "numbers for labels that are words (entailment=1); WORD=drop leaves such rows out");
    v("weight=X", weight, "how much more often than its size says it is drawn");
    v("batch=N", batch, "rows of a batch; 0 = as [train] says");
    v("negatives=N", negatives, "of each row, from the record's own");
    v("[no-]distinct", distinct, "no batch holds a text twice on one side");
    v("single", single, "records of one text, which is its own positive (SimCSE)");
    v("classes", classes, "records of a text and the name of its class");
    v("tuples", tuples,
      "of classes: a text, another of its class, and negatives = N texts of other classes, under a "
      "number of the tuple's own, for a loss of pairs");
    v("skip-bad-rows", skip_bad_rows, "count rows that cannot be read and go on");
    v("[no-]matryoshka", matryoshka, "train for the lengths of [matryoshka], too");
    v("old", old, "not trained on: what the model could do before, which [ewc] holds");
    v("query-prompt=TEXT", query_prompt, "before every query");
    v("document-prompt=TEXT", document_prompt, "before every document");
    v("task=TASK", task, "adapter of its texts; they get the prompt of that name, too");
    v("query-task=TASK", query_task, "adapter of its queries, where it is another");
    v("document-task=TASK", document_task, "adapter of its documents and negatives");
    v("max-query-tokens=N", max_query_tokens,
      "longer ones are cut; 0 = as long as the model reads");
    v("max-document-tokens=N", max_document_tokens, "longer ones are cut");
  }
};

// [evaluate]
struct EvaluateTable {
  std::string tasks_file, data;
  std::vector<std::string> tasks, general, eval_texts, eval_columns;
  uint64_t every = 0, patience = 0;
  bool keep_best = true;
  double warn_loss = 0.01;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("tasks-file=FILE", tasks_file, "TOML file of evaluation tasks (docs/eval.md)");
    v("data=DIR", data, "folder of their datasets, relative to the data folder");
    v("tasks=NAME", tasks, "dev tasks of it; their mean chooses the best model");
    v("general=NAME", general, "tasks that only guard what the model could do before");
    v("every=N", every,
      "steps between evaluations; 0 = only before the first and after the last step");
    v("patience=N", patience, "stop after so many evaluations without a better one; 0 = never");
    v("[no-]keep-best", keep_best, "the result is the best model seen, not the last");
    v("warn-loss=X", warn_loss, "warn when the general score falls by more");
    v("eval-texts=FILE", eval_texts,
      "files and folders of evaluation sets, relative to the data folder: records that meet one of "
      "their texts are not trained on, as by the filter contamination of akin prep");
    v("eval-columns=NAME", eval_columns,
      "their columns that hold texts, where the names are not known ones");
  }
};

// [save]
struct SaveTable {
  SavedType dtype = SavedType::f32;
  std::vector<std::string> prompts;
  std::string default_prompt;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("dtype=TYPE", dtype, "of the weights in the model folder; half the bytes cost little");
    v("prompts=NAME=TEXT...", prompts, "prompts written into the model");
    v("default-prompt=NAME", default_prompt, "the one used when nobody chooses");
  }
};

struct Recipe {
  ModelTable model;
  TrainTable train;
  LossTable loss;
  MatryoshkaTable matryoshka;
  MixtureTable mixture;
  EvaluateTable evaluate;
  SaveTable save;
  AdaptersTable adapters;
  EwcTable ewc;
  TeacherTable teacher;
  PretrainTable pretrain;
  std::vector<SourceTable> sources;
};

// `settings`: "table.key=value", which win over the file; "source.<name>.key=value" for a source.
// Errors: not_found; bad_format naming file, line, table and key (an unknown one: the nearest
// known); usage for settings and for values that cannot be.
Recipe read_recipe(const std::filesystem::path& path, std::span<const std::string> settings);
Recipe parse_recipe(std::string_view toml, const std::string& where,
                    std::span<const std::string> settings);
// In place of `fastest` what it means on this machine: a run that goes on elsewhere must not
// change. Whether it was there.
bool settle_precision(Recipe& recipe);

// Every table with every key and its value: what is saved with a run, and what a resumed run is
// compared with.
nlohmann::ordered_json recipe_record(Recipe& recipe);
// The same for people: the keys as recipes and --set have them, without what only a new model has
// where one is opened.
nlohmann::ordered_json recipe_values(Recipe& recipe);

// A field's name as a key of the file: "learning_rate".
std::string recipe_key(std::string field);

// The tables and their fields, for help: name of the table, its fields.
struct TableHelp {
  std::string name;
  std::vector<OptionField> fields;  // of a default table that lives as long as the program
};
const std::vector<TableHelp>& recipe_tables();

}  // namespace akin::train
