// The rows of the input again, with their negatives: streamed from the files, so that every text is
// as it was written there. Internal to mine/.
#pragma once

#include <cstdint>

#include "base/progress.h"
#include "mine/mine.h"
#include "mine/parts.h"

namespace akin::mine {

struct OutputCounts {
  uint64_t rows = 0, lines = 0;
};

// scores: whose, for --scores. Errors: io, also when the files are no longer what was read; those
// of InputReader.
OutputCounts write_output(const MineOptions& options, const Corpus& corpus, const Choices& choices,
                          const ModelVectors& scores, const ProgressSink& progress);

}  // namespace akin::mine
