// A model folder copied but for some of its files, such as the weights that a new form replaces.
#pragma once

#include <filesystem>
#include <functional>

namespace akin::store {

// Copies files and folders below `in` to `out`, which exists. `leave_out` gets paths relative to
// `in`, of folders, too. Errors: std::filesystem::filesystem_error; io, for what a file says.
void copy_folder(const std::filesystem::path& in, const std::filesystem::path& out,
                 const std::function<bool(const std::filesystem::path& relative)>& leave_out);

// Whether a file is a form of a model's weights, by its name: safetensors, torch, GGUF, an index of
// shards; or a folder of exports (onnx, openvino).
bool holds_weights(const std::filesystem::path& relative);

}  // namespace akin::store
