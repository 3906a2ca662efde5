// What the labels of a source tell a loss, and whether they tell it anything. Internal to train/.
#pragma once

#include <string>

#include "data/record_store.h"
#include "loss/loss.h"
#include "train/recipe.h"

namespace akin::train {

// Records of a text and its class that go to the loss as such.
inline bool has_classes(const SourceTable& source) { return source.classes && !source.tuples; }

// What takes every second text for a positive must not get pairs that are none. Errors:
// bad_format, with `who` takes them so.
void check_positives(const SourceTable& source, const data::RecordStore& store,
                     const std::string& who);

// A loss that compares texts by their labels needs batches with something to compare. Errors:
// bad_format, usage. Cost: reads records until they differ enough.
void check_labels(const SourceTable& source, const data::RecordStore& store, uint64_t batch,
                  const loss::LossNeeds& needs);

}  // namespace akin::train
