// Which files of a repository a model needs. Names only; nothing is read. Internal to store/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace akin::store {

// A relative path that stays in its folder: plain parts, no control characters. The list comes
// from a server.
bool is_safe_repo_path(std::string_view path);

// Of all files of a repository: configs, tokenizer files, and per folder either safetensors or, if
// there are none, pytorch_model.bin. Looks at the root, module folders ("1_Pooling"),
// `module_paths` and adapters; other formats (ONNX, OpenVINO, TensorFlow, Flax, GGUF) and code are
// left out.
std::vector<std::string> needed_model_files(const std::vector<std::string>& all,
                                            const std::vector<std::string>& module_paths);

}  // namespace akin::store
