#include "train/source_labels.h"

#include <unordered_set>

#include "base/error.h"
#include "base/hash.h"

namespace akin::train {
namespace {

bool is_graded(const data::RecordStore& store) {
  data::Record record;
  for (uint64_t i = 0; i < store.size(); ++i) {
    store.read(i, record);
    if (record.label && *record.label != 0 && *record.label != 1) return true;
  }
  return false;
}

struct LabelUse {
  bool several = false;  // two records have different labels
  bool shared = false;   // two records have one
  std::string first;
};

// Reads until both are known.
LabelUse label_use(const SourceTable& source, const data::RecordStore& store) {
  LabelUse out;
  std::unordered_set<uint64_t> seen;
  data::Record record;
  for (uint64_t i = 0; i < store.size() && !(out.several && out.shared); ++i) {
    store.read(i, record);
    const std::string label =
        has_classes(source) ? record.positive : fmt::format("{}", record.label.value_or(0));
    if (i == 0) out.first = label;
    out.several = out.several || label != out.first;
    out.shared = !seen.insert(hash64(label)).second || out.shared;
  }
  return out;
}

}  // namespace

void check_positives(const SourceTable& source, const data::RecordStore& store,
                     const std::string& who) {
  const uint64_t none = store.fields().not_pairs;
  if (none == 0) return;
  throw_error(ErrorKind::bad_format, source.name,
              "{} of {} records have the label 0: their texts do not belong together, but {} takes "
              "every second text for a positive; {}",
              none, store.size(), who,
              is_graded(store)
                  ? "the labels are grades, so choose a loss for labels, such as cosent, or leave "
                    "out of the file what is below a grade of your choice"
                  : "leave them out with labels = [\"0=drop\", \"1=1\"], or choose a loss for "
                    "labels, such as cosent");
}

void check_labels(const SourceTable& source, const data::RecordStore& store, uint64_t batch,
                  const loss::LossNeeds& needs) {
  if (!needs.several_labels) return;
  if (batch < 2) {
    throw_error(ErrorKind::usage, source.name,
                "the loss {} compares the rows of a batch, and a batch of {} has one; raise batch",
                source.loss.name, batch);
  }
  const LabelUse use = label_use(source, store);
  if (!use.several) {
    throw_error(ErrorKind::bad_format, source.name,
                "the loss {} compares texts of different labels, but {} of {} records have the "
                "label {}: there is nothing to learn; add records of other labels, or choose "
                "another loss",
                source.loss.name, store.size(), store.size(), quote(use.first));
  }
  // The two texts of a pair share its label.
  const bool pairs = !source.single && !has_classes(source);
  if (needs.shared_labels && !use.shared && !pairs) {
    throw_error(ErrorKind::bad_format, source.name,
                "the loss {} brings texts of one label together, but all {} records have labels of "
                "their own; is the column of labels the right one (map)?",
                source.loss.name, store.size());
  }
}

}  // namespace akin::train
