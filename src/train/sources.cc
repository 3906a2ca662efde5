#include "train/sources.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "data/tuple_store.h"
#include "loss/matryoshka.h"
#include "train/source_labels.h"

namespace akin::train {
namespace {

namespace fs = std::filesystem;

std::string file_name(const std::string& source) {
  constexpr size_t kLongest = 100;
  std::string out;
  for (const char c : source.substr(0, kLongest)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_';
    out += plain ? c : '-';
  }
  // Names that differ only in what a file name leaves out are files of their own.
  if (out != source) out += fmt::format("-{:016x}", hash64(source));
  return out + ".records";
}

data::StoreOptions store_options(const SourceTable& source, const fs::path& data) {
  data::StoreOptions out;
  for (const auto& path : source.path) out.inputs.push_back((data / path).string());
  out.read.map = source.map;
  out.read.labels = source.labels;
  out.read.skip_bad_rows = source.skip_bad_rows;
  out.read.source = source.name;
  out.read.single = source.single;
  out.read.classes = source.classes;
  return out;
}

void check_tuples(const SourceTable& source) {
  if (!source.tuples) return;
  if (!source.classes) {
    throw_error(ErrorKind::usage, source.name,
                "tuples are made of records of classes; set classes = true, too");
  }
  if (source.negatives == 0) {
    throw_error(ErrorKind::usage, source.name,
                "tuples need texts of other classes; say how many with negatives = 7");
  }
}

std::unique_ptr<loss::Loss> make_source_loss(const Recipe& recipe, const SourceTable& source) {
  auto out = loss::make_loss(source.loss.name, source.loss.options);
  if (recipe.matryoshka.dims.empty() || !source.matryoshka) return out;
  return loss::make_matryoshka(std::move(out), {recipe.matryoshka.dims, recipe.matryoshka.weights});
}

// Two passes over a text differ by their dropout masks alone.
void check_second_pass(const Recipe& recipe, const SourceTable& source, const loss::Loss& loss,
                       const nn::TextModel& model) {
  if (!source.single || !loss.needs().documents) return;
  const bool is_static = model.description().arch.kind == ModelKind::static_embedding;
  const bool masks = recipe.model.dropout > 0 || recipe.model.attention_dropout > 0 ||
                     (!recipe.adapters.names.empty() && recipe.adapters.dropout > 0);
  if (!is_static && masks) return;
  throw_error(ErrorKind::usage, source.name,
              "a single text is its own positive under a second dropout mask, but {}, so both "
              "passes give one vector; {}",
              is_static ? "a static model has no dropout" : "dropout is off",
              is_static ? "use pairs, or a transformer" : "raise model.dropout, or use pairs");
}

void check_fields(const SourceTable& source, const data::MixtureSource& opened,
                  const loss::Loss& loss, bool taught) {
  const auto fields = opened.store->fields();
  const auto needs = loss.needs();
  const auto lacking = [&](std::string_view what, uint64_t have) {
    throw_error(ErrorKind::bad_format, source.name,
                "the loss {} needs {}, but only {} of {} records have it; choose another loss "
                "(akin train --explain FILE proposes one)",
                source.loss.name, what, have, opened.store->size());
  };
  const bool two_sides = !source.single && !has_classes(source);
  if (two_sides && !needs.labels && !needs.teacher && !needs.scores)
    check_positives(source, *opened.store, "the loss " + source.loss.name);
  if (two_sides && fields.positive < opened.store->size()) lacking("a positive", fields.positive);
  if (needs.labels && !has_classes(source) && fields.label < opened.store->size()) {
    lacking("a label", fields.label);
  }
  if (needs.scores && !taught && fields.scores < opened.store->size()) {
    lacking("a teacher's scores, or a model in [teacher]", fields.scores);
  }
  if (needs.negatives && fields.negatives < opened.store->size()) {
    lacking("a negative", fields.negatives);
  }
  if (needs.negatives && source.negatives == 0) {
    throw_error(ErrorKind::usage, source.name,
                "the loss {} needs negatives; say how many of each record with negatives = 1",
                source.loss.name);
  }
  if (needs.documents && has_classes(source)) {
    throw_error(ErrorKind::usage, source.name,
                "the loss {} compares two texts, but records of classes have one; choose "
                "label_softmax or label_rank, or set tuples = true",
                source.loss.name);
  }
  if (needs.teacher && !taught) {
    throw_error(ErrorKind::usage, source.name,
                "the loss {} needs a teacher's vectors; name the model in [teacher]",
                source.loss.name);
  }
  check_labels(source, *opened.store, opened.batch, needs);
  if (opened.batch < 2 && opened.negatives == 0 && !needs.labels && !needs.teacher) {
    throw_error(ErrorKind::usage, source.name,
                "a batch of {} row without negatives of its own has nothing to tell apart; raise "
                "batch or set negatives",
                opened.batch);
  }
}

SourceTasks source_tasks(const Recipe& recipe, const SourceTable& source,
                         const nn::TextModel& model) {
  const auto number = [&](const std::string& own) -> int32_t {
    const std::string& task = own.empty() ? source.task : own;
    if (task.empty()) return -1;
    const auto& known = model.description().arch.adapters;
    const auto it = std::find(known.begin(), known.end(), task);
    if (it != known.end()) return static_cast<int32_t>(it - known.begin());
    throw_error(ErrorKind::not_found, source.name,
                "there is no adapter {}; the model has {}, and [adapters] names make new ones",
                quote(task), known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", ")));
  };
  const SourceTasks out{number(source.query_task), number(source.document_task)};
  const bool none = out.query < 0 && out.document < 0;
  if (!recipe.adapters.names.empty() && none) {
    throw_error(ErrorKind::usage, source.name,
                "adapters are trained, but this source has no task; give it task = \"{}\"",
                recipe.adapters.names.front());
  }
  return out;
}

// The prompt that an encoder puts before texts of this task, unless somebody asks for another.
std::string task_prompt(const Recipe& recipe, const SourceTable& source, const std::string& own,
                        const model::Model& model) {
  const std::string& task = own.empty() ? source.task : own;
  if (task.empty()) return {};
  for (const std::string& prompt : recipe.save.prompts) {
    if (prompt.starts_with(task + "=")) return prompt.substr(task.size() + 1);
  }
  if (!recipe.save.prompts.empty()) return {};
  const auto it = model.task_prompts.find(task);
  return it == model.task_prompts.end() ? "" : it->second;
}

data::CollateOptions collate_options(const Recipe& recipe, const SourceTable& source,
                                     const nn::TextModel& text_model) {
  const auto& model = text_model.description();
  data::CollateOptions out;
  out.query_prompt = source.query_prompt;
  out.document_prompt = source.document_prompt;
  if (out.query_prompt.empty())
    out.query_prompt = task_prompt(recipe, source, source.query_task, model);
  if (out.document_prompt.empty())
    out.document_prompt = task_prompt(recipe, source, source.document_task, model);
  const auto limit = [&](uint64_t own) {
    return own == 0 || (model.max_tokens != 0 && own > model.max_tokens) ? model.max_tokens
                                                                         : static_cast<size_t>(own);
  };
  out.max_query_tokens = limit(source.max_query_tokens);
  out.max_document_tokens = limit(source.max_document_tokens);
  out.lower_case = model.do_lower_case;
  out.add_special_tokens = model.arch.kind != ModelKind::static_embedding;
  out.label_classes = has_classes(source);
  out.include_prompt = model.pooling.include_prompt;
  return out;
}

}  // namespace

void choose_adapters(data::TrainBatch& batch, const SourceTasks& tasks) {
  if (tasks.query < 0 && tasks.document < 0) return;
  batch.texts.adapters.assign(batch.texts.size(), tasks.document);
  std::fill_n(batch.texts.adapters.begin(), batch.rows, tasks.query);
}

std::unique_ptr<data::EvalGate> open_gate(const Recipe& recipe, const fs::path& data) {
  if (recipe.evaluate.eval_texts.empty()) return nullptr;
  std::vector<std::string> paths;
  for (const auto& path : recipe.evaluate.eval_texts) paths.push_back((data / path).string());
  return std::make_unique<data::EvalGate>(std::move(paths), recipe.evaluate.eval_columns);
}

std::shared_ptr<const data::RecordStore> open_store(const SourceTable& source, const fs::path& data,
                                                    const fs::path& folder, data::EvalGate* gate,
                                                    const ProgressSink& progress) {
  check_tuples(source);
  data::StoreOptions options = store_options(source, data);
  options.gate = gate;
  std::shared_ptr<const data::RecordStore> store =
      data::RecordStore::open(folder / file_name(source.name), options, progress);
  if (!source.tuples) return store;
  constexpr uint64_t kOffered = 4;  // times as many as are drawn: others in every epoch
  return data::make_tuples(std::move(store), {.negatives = kOffered * source.negatives},
                           source.name);
}

void check_source_files(const Recipe& recipe, const fs::path& data) {
  std::vector<std::string> missing;
  const auto look_for = [&](const std::string& path) {
    std::error_code ignored;
    if (!fs::exists(data / path, ignored)) missing.push_back((data / path).string());
  };
  for (const auto& source : recipe.sources) {
    std::for_each(source.path.begin(), source.path.end(), look_for);
  }
  const auto& eval_texts = recipe.evaluate.eval_texts;
  std::for_each(eval_texts.begin(), eval_texts.end(), look_for);
  if (missing.empty()) return;
  throw_error(
      ErrorKind::not_found, "source",
      "no such file or folder: {}. Paths of sources and of evaluate.eval_texts begin at "
      "--data; set one with --set source.NAME.path=PATH, or name no evaluation sets with --set "
      "evaluate.eval_texts=",
      list_some(missing));
}

Sources open_sources(const Recipe& recipe, const fs::path& data, const fs::path& folder,
                     const nn::TextModel& model, const ProgressSink& progress) {
  Sources out;
  const auto gate = open_gate(recipe, data);
  for (const auto& source : recipe.sources) {
    data::MixtureSource opened;
    opened.name = source.name;
    opened.store = open_store(source, data, folder, gate.get(), progress);
    opened.weight = source.weight;
    opened.batch = source.batch == 0 ? recipe.train.batch : source.batch;
    opened.distinct = source.distinct && !has_classes(source);
    opened.negatives = source.negatives;
    const FisherSource fisher{opened, collate_options(recipe, source, model),
                              source_tasks(recipe, source, model), source.loss.options.temperature};
    const bool pairs = !source.single && !has_classes(source);
    if (source.old) {
      if (!pairs) {
        throw_error(ErrorKind::usage, source.name,
                    "an old source is one of pairs: [ewc] estimates what they need");
      }
      check_positives(source, *opened.store, "[ewc]");
      out.old.push_back(fisher);
      continue;
    }
    if (pairs && opened.store->fields().not_pairs == 0) out.fisher.push_back(fisher);
    auto loss = make_source_loss(recipe, source);
    check_fields(source, opened, *loss, !recipe.teacher.model.empty());
    check_second_pass(recipe, source, *loss, model);
    out.mixture.push_back(std::move(opened));
    out.collate.push_back(fisher.collate);
    out.tasks.push_back(fisher.tasks);
    out.losses.push_back(std::move(loss));
    out.loss_names.push_back(source.loss.name);
  }
  return out;
}

}  // namespace akin::train
