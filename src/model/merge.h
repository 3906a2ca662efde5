// One model out of several of the same architecture: their weights averaged, linearly or along the
// great circle between two of them (slerp). Trains nothing, and runs nothing.
//
// Averages of fine-tuned models: arXiv:2203.05482. Spherical interpolation, tensor by tensor, as
// merging tools do it: each weight is one long vector; the angle is that between the two vectors,
// their lengths are kept as they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace akin::model {

enum class MergeMethod : uint8_t { linear, slerp };
std::span<const std::string_view> choices(MergeMethod);

// Weights for the part of the model whose canonical names (model.h) begin with `prefix`, at a dot:
// "layer.0", "embed", "dense.0".
struct LayerWeights {
  std::string prefix;
  std::vector<double> weights;  // one for each model
};

struct MergeOptions {
  MergeMethod method = MergeMethod::linear;
  std::vector<double> weights;       // one for each model; empty: all alike. Scaled to sum to 1
  std::vector<LayerWeights> layers;  // of several prefixes that fit, the longest counts
};

struct MergeReport {
  uint64_t tensors = 0, parameters = 0;
  // Length of the difference between the result and the first model, over the first's length.
  double moved = 0;
  std::vector<std::string> remarks;  // files of the folders that differ: the first's are kept
};

// Every folder's weights become one; all else (tokenizer, config, prompts) is the first's. `out` is
// written aside and renamed. `card` is appended to the first's README.md, or is all of it.
// Errors: usage (fewer than two models, weights that do not fit, slerp of more than two, `out`
// exists); bad_format, naming what differs between two models; unsupported (int8 weights).
MergeReport merge_folders(std::span<const std::filesystem::path> folders,
                          const std::filesystem::path& out, const MergeOptions& options,
                          const std::string& card);

// The arithmetic for one tensor: n values of each model. weights sum to 1. Sums are double.
void merge_values(MergeMethod method, std::span<const std::vector<float>> values,
                  std::span<const double> weights, std::span<float> out);

}  // namespace akin::model
