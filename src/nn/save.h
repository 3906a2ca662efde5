// Writing a model folder that every tool opens: sentence-transformers' files, the weights under the
// names and in the layout that their family's checkpoints have.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "nn/model_parts.h"
#include "nn/named_tensors.h"

namespace akin::nn {

// `values`: what replaces the folder's weights, by canonical name, float32 on the CPU, contiguous.
// `adapters`: every adapter's tensors; those that lie in PEFT folders are written again. Written to
// a folder beside and swapped in as a whole. Errors: io; usage where `folder` exists and is not one
// that akin wrote.
void save_folder(const std::filesystem::path& folder, const ModelParts& parts,
                 const NamedTensors& values, const SaveOptions& options,
                 const NamedTensors& adapters, const AdapterOptions& adapter_options);

// Whether a model may be written there. Errors: usage, `folder` holds what akin did not write.
void check_target(const std::filesystem::path& folder);

}  // namespace akin::nn
