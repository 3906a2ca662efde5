// `akin quantize`: a model folder with int8 weights, made once instead of at every load.
#pragma once

#include <filesystem>

namespace akin::cli {

// Copies the model folder `in` to the new folder `out`; every linear weight of the layers becomes
// I8 [out, in] with an F32
// "<name>.akin_scale" [out] (symmetric, max|w| / 127 per output channel), embeddings, norms and
// heads stay as they are. A re-quantising load gives the same integers, so int8 vectors are those
// of the original folder. Errors: usage (out exists, static model), what load_model throws, io.
// Nothing is left of `out` after an error.
void quantize_folder(const std::filesystem::path& in, const std::filesystem::path& out);

}  // namespace akin::cli
