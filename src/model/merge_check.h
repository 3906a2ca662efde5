// Whether models can be averaged: the same architecture, tokenizer and pooling. Internal to model/.
#pragma once

#include <string>
#include <vector>

#include "model/model.h"

namespace akin::model {

// What differs, in words ("layers: 4, 6"); empty: nothing that matters.
std::vector<std::string> model_differences(const Model& a, const Model& b);

}  // namespace akin::model
