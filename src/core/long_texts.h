// Texts longer than the model reads, read in pieces: each piece goes through the model as a text of
// its own, and the text's vector is the mean of theirs, weighted by their tokens. Where a text is
// divided: model/tokenize.h.
#pragma once

#include <functional>

#include "core/encoder.h"
#include "core/token_batch.h"

namespace akin {

// encode(rows) fills one row an entry of `all`. out: [texts, dims]; of unit length where options
// say so, or the model of vectors that keep all dims.
void encode_texts(const TokenBatch& all, const EncoderInfo& info, const EncodeOptions& options,
                  MatView<float> out, const std::function<void(MatView<float>)>& encode);

// For what needs the text in one: errors: too_long, where the one text of `batch` is in pieces.
void check_whole(const TokenBatch& batch);

}  // namespace akin
