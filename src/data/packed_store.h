// The texts of a store laid end to end and cut at a number of tokens: what masked language models
// are pre-trained on. Texts keep the order they have in their files, so that a packed text reads
// on; a text that does not fit goes on in the next one. Not tokens: packed texts are texts.
#pragma once

#include <cstdint>
#include <memory>

#include "base/progress.h"
#include "data/record_store.h"
#include "text/tokenizer.h"

namespace akin::data {

struct PackOptions {
  size_t tokens = 512;  // of a packed text, special tokens included
  bool lower_case = false;
};

// Tokenizes every text once, here; then reads from `store`. Errors: usage (no room for a token).
std::shared_ptr<const RecordStore> pack_store(std::shared_ptr<const RecordStore> store,
                                              const text::Tokenizer& tokenizer,
                                              const PackOptions& options,
                                              const ProgressSink& progress);

}  // namespace akin::data
