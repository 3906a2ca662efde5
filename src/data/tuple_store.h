// Classification data as tuples for a contrastive loss: a text, another one of its class, texts of
// other classes, and behind each a number of the tuple's own. The number keeps tuples apart that
// share a batch, of which some are of one class: they are told apart by it at a glance, and what is
// left to learn is the choice within the tuple.
//
// Source  Gecko, arXiv:2403.20327 section 3.2; the classification adapter of jina-embeddings-v3,
//         arXiv:2409.10173 section 4.3.2, which has 7 texts of other classes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/record_store.h"

namespace akin::data {

struct TupleOptions {
  uint64_t seed = 1;
  // Texts of other classes that a record offers; a batch draws as many of them as its source asks
  // for, others in every epoch. At least 1.
  uint64_t negatives = 28;
};

// `classes`: records of a text and the name of its class, as ReadOptions::classes reads them. A
// record of the result is a tuple for each text whose class has another one. Texts are read again
// for every tuple; memory is 16 bytes a text. Errors: bad_format, naming the source, when there are
// fewer than two classes, or no class with two texts.
std::unique_ptr<RecordStore> make_tuples(std::shared_ptr<const RecordStore> classes,
                                         const TupleOptions& options, const std::string& name);

}  // namespace akin::data
