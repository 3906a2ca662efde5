// What goes around the ids of a single text, and whether offsets leave out blanks. Pairs of texts
// are not done here. Follows processors/ of Hugging Face tokenizers.
#pragma once

#include <cstdint>
#include <vector>

#include "base/json.h"

namespace akin::text {

struct PostProcessor {
  std::vector<int32_t> prefix, suffix;
  bool trim_offsets = false;
  bool add_prefix_space = false;  // only tells trimming which blank was not in the text
};

// From a "post_processor" object. Errors: bad_format, unsupported.
PostProcessor make_post_processor(const JsonValue& json);

}  // namespace akin::text
