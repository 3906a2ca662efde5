#include "train/sources.h"

#include <algorithm>

#include "base/error.h"
#include "loss/matryoshka.h"

namespace akin::train {
namespace {

namespace fs = std::filesystem;

std::string file_name(const std::string& source) {
  std::string out;
  for (const char c : source) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_';
    out += plain ? c : '-';
  }
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

std::unique_ptr<loss::Loss> make_source_loss(const Recipe& recipe, const SourceTable& source) {
  auto out = loss::make_loss(source.loss.name, source.loss.options);
  if (recipe.matryoshka.dims.empty() || !source.matryoshka) return out;
  return loss::make_matryoshka(std::move(out), {recipe.matryoshka.dims, recipe.matryoshka.weights});
}

void check_fields(const SourceTable& source, const data::MixtureSource& opened,
                  const loss::Loss& loss) {
  const auto fields = opened.store->fields();
  const auto needs = loss.needs();
  const auto lacking = [&](std::string_view what, uint64_t have) {
    throw_error(ErrorKind::bad_format, source.name,
                "the loss {} needs {}, but only {} of {} records have it; choose another loss "
                "(akin train --explain FILE proposes one)",
                source.loss.name, what, have, opened.store->size());
  };
  const bool two_sides = !source.single && !source.classes;
  if (two_sides && fields.positive < opened.store->size()) lacking("a positive", fields.positive);
  if (needs.labels && !source.classes && fields.label < opened.store->size()) {
    lacking("a label", fields.label);
  }
  if (needs.scores && fields.scores < opened.store->size())
    lacking("a teacher's scores", fields.scores);
  if (needs.negatives && fields.negatives < opened.store->size()) {
    lacking("a negative", fields.negatives);
  }
  if (needs.negatives && source.negatives == 0) {
    throw_error(ErrorKind::usage, source.name,
                "the loss {} needs negatives; say how many of each record with negatives = 1",
                source.loss.name);
  }
  if (needs.documents && source.classes) {
    throw_error(ErrorKind::usage, source.name,
                "the loss {} compares two texts, but records of classes have one; choose "
                "label_softmax or label_rank",
                source.loss.name);
  }
  if (needs.teacher) {
    throw_error(ErrorKind::unsupported, source.name,
                "the loss {} needs a teacher's vectors, which a recipe cannot give yet",
                source.loss.name);
  }
  if (opened.batch < 2 && opened.negatives == 0 && !needs.labels) {
    throw_error(ErrorKind::usage, source.name,
                "a batch of {} row without negatives of its own has nothing to tell apart; raise "
                "batch or set negatives",
                opened.batch);
  }
}

data::CollateOptions collate_options(const SourceTable& source, const nn::TextModel& text_model) {
  const auto& model = text_model.description();
  data::CollateOptions out;
  out.query_prompt = source.query_prompt;
  out.document_prompt = source.document_prompt;
  const auto limit = [&](uint64_t own) {
    return own == 0 || (model.max_tokens != 0 && own > model.max_tokens) ? model.max_tokens
                                                                         : static_cast<size_t>(own);
  };
  out.max_query_tokens = limit(source.max_query_tokens);
  out.max_document_tokens = limit(source.max_document_tokens);
  out.lower_case = model.do_lower_case;
  out.add_special_tokens = model.arch.kind != ModelKind::static_embedding;
  out.label_classes = source.classes;
  out.include_prompt = model.pooling.include_prompt;
  return out;
}

}  // namespace

Sources open_sources(const Recipe& recipe, const fs::path& data, const fs::path& folder,
                     const nn::TextModel& model, const ProgressSink& progress) {
  Sources out;
  for (const auto& source : recipe.sources) {
    data::MixtureSource opened;
    opened.name = source.name;
    opened.store = data::RecordStore::open(folder / file_name(source.name),
                                           store_options(source, data), progress);
    opened.weight = source.weight;
    opened.batch = source.batch == 0 ? recipe.train.batch : source.batch;
    opened.distinct = source.distinct && !source.classes;
    opened.negatives = source.negatives;
    auto loss = make_source_loss(recipe, source);
    check_fields(source, opened, *loss);
    out.mixture.push_back(std::move(opened));
    out.collate.push_back(collate_options(source, model));
    out.losses.push_back(std::move(loss));
    out.loss_names.push_back(source.loss.name);
  }
  return out;
}

}  // namespace akin::train
