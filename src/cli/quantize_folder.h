// `akin quantize`: a model folder with int8 weights, made once instead of at every load.
#pragma once

#include <filesystem>

namespace akin::cli {

// Whether `out` may become the quantised copy of `in`: a new or an empty folder, or, with `force`,
// a model folder that holds nothing which the copy would not hold, too. Errors: usage.
void check_quantized_folder(const std::filesystem::path& in, const std::filesystem::path& out,
                            bool force);

// Copies the model folder `in` to `out`; every linear weight of the layers becomes I8 [out, in]
// with an F32 "<name>.akin_scale" [out] (symmetric, max|w| / 127 per output channel), embeddings,
// norms and heads stay as they are. A re-quantising load gives the same integers, so int8 vectors
// are those of the original folder. Errors: usage (as above; a static model), what load_model
// throws, io. After an error `out` is as it was.
void quantize_folder(const std::filesystem::path& in, const std::filesystem::path& out, bool force);

}  // namespace akin::cli
