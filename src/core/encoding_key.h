// What vectors of a text depend on beside the text: the model and how it is asked. For caches that
// find vectors again; each begins its key with words of its own.
#pragma once

#include "base/hash.h"
#include "core/encoder.h"

namespace akin {

// Errors: not_found, a prompt that the model does not have; usage, as resolve_dims.
void add_encoding(Hasher& hasher, const EncoderInfo& info, const EncodeOptions& options);

}  // namespace akin
