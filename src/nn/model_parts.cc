#include "nn/model_parts.h"

#include <algorithm>
#include <array>
#include <system_error>

#include "base/file.h"
#include "store/st_folder.h"

namespace akin::nn {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{256} << 20;

// Files beside the weights that belong to the model, besides config.json.
bool is_kept(const fs::path& path) {
  constexpr std::array<std::string_view, 14> kNames = {"tokenizer.json",
                                                       "tokenizer_config.json",
                                                       "special_tokens_map.json",
                                                       "added_tokens.json",
                                                       "vocab.txt",
                                                       "vocab.json",
                                                       "merges.txt",
                                                       "sentencepiece.bpe.model",
                                                       "spiece.model",
                                                       "tokenizer.model",
                                                       "LICENSE",
                                                       "LICENSE.txt",
                                                       "LICENSE.md",
                                                       "NOTICE"};
  const std::string name = path.filename().string();
  // Python that config.json's auto_map names: other tools need it, nothing here runs it.
  if (path.extension() == ".py") return true;
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

}  // namespace

std::map<std::string, std::string> read_side_files(const fs::path& folder) {
  std::map<std::string, std::string> files;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    if (!entry.is_regular_file(ignored) || !is_kept(entry.path())) continue;
    files[entry.path().filename().string()] = read_file(entry.path(), kMaxFileBytes);
  }
  return files;
}

ModelParts read_model_parts(const fs::path& folder, const model::LoadOptions& load) {
  ModelParts parts;
  parts.model = model::load_model(folder, load);
  const store::StFolder st =
      store::read_st_folder(folder, {.pooling_given = load.pooling.has_value()});
  parts.body = st.transformer_path;
  const fs::path body = folder / parts.body;
  for (const store::StDense& dense : st.dense) parts.dense_activations.push_back(dense.activation);
  std::error_code ignored;
  if (fs::exists(body / "config.json", ignored))
    parts.config_json = read_file(body / "config.json", kMaxFileBytes);
  parts.files = read_side_files(body);
  parts.tensors = store::TensorFiles::open_folder(body);
  return parts;
}

}  // namespace akin::nn
