// Documents go into an index block by block: what is there already with the same text and metadata
// stays, what is new or changed is embedded. So a build that was killed goes on when run again.
#pragma once

#include <string>
#include <vector>

#include "cli/index_input.h"
#include "cli/load.h"
#include "core/encoder.h"
#include "index/index.h"

namespace akin::cli {

struct FillCounts {
  uint64_t added = 0, replaced = 0, same = 0;
  uint64_t repeated = 0;  // ids that came more than once; the last one stays
  uint64_t empty = 0, bad = 0, truncated = 0, tokens = 0;
  double seconds = 0;
};

// block: documents embedded and stored at a time; 0: as many as take about two seconds. Errors:
// those of Encoder::encode, naming the place; what was stored before stays.
FillCounts fill_index(index::Index& index, Encoder& encoder, EncodeOptions encode,
                      IndexInput& input, size_t block, Context& context);

}  // namespace akin::cli
