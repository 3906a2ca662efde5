// Rows of a trained static model as the start of another model's token table.
#pragma once

#include <filesystem>

#include "base/mat.h"
#include "text/tokenizer.h"

namespace akin::nn {

// For every token of `tokenizer` that the static model in `folder` knows too, the first dims of its
// row (times its weight), all by one factor that gives the copied values a root mean square of
// `deviation`. Other rows and dims of `out`, [vocabulary, D], keep their values; how many is
// counted. Errors: those of model::load_model; usage where it is no static model or no token is
// known.
void copy_static_rows(const std::filesystem::path& folder, const text::Tokenizer& tokenizer,
                      double deviation, MatView<float> out);

}  // namespace akin::nn
