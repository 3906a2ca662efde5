// Which of a model's prompts and adapters belong to queries and which to documents, by the names
// that model folders use. Empty where the model has none.
#pragma once

#include <string>

#include "core/encoder.h"

namespace akin {

std::string side_prompt_name(const EncoderInfo& info, bool query);
std::string side_task(const EncoderInfo& info, bool query);

}  // namespace akin
