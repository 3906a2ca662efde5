// The weights of a folder: which of the known files it has, and shards through their index. Parses
// no tensor file itself (safetensors.cc, torch_bin.cc).
#include <map>
#include <set>
#include <system_error>

#include "base/error.h"
#include "base/json.h"
#include "store/safetensors.h"
#include "store/tensor_files_builder.h"

namespace akin::store {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kSafetensors = "model.safetensors";
constexpr std::string_view kSafetensorsIndex = "model.safetensors.index.json";
constexpr std::string_view kTorchBin = "pytorch_model.bin";
constexpr std::string_view kTorchBinIndex = "pytorch_model.bin.index.json";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// Shards named by an index file. Every tensor of the index must lie in the shard that it names.
TensorFiles open_index(const fs::path& index_path, bool torch_bin) {
  const JsonDocument document = JsonDocument::load(index_path);
  std::map<std::string, std::string, std::less<>> shard_of;
  std::set<std::string> shards;
  for (const auto& [tensor, file] : JsonValue(document).at("weight_map").fields()) {
    const std::string_view name = file.as_string();
    if (!is_plain_file_name(name)) {
      throw_error(ErrorKind::bad_format, index_path.string(),
                  "tensor {} is said to lie in {}, expected a file name in the same folder",
                  quote(tensor), quote(name));
    }
    if (!shard_of.emplace(tensor, name).second) {
      throw_error(ErrorKind::bad_format, index_path.string(), "tensor {} is in weight_map twice",
                  quote(tensor));
    }
    shards.emplace(name);
  }
  std::string missing;
  for (const std::string& shard : shards) {
    if (!is_there(index_path.parent_path() / shard))
      missing += (missing.empty() ? "" : ", ") + shard;
  }
  if (!missing.empty()) {
    throw_error(ErrorKind::not_found, index_path.string(),
                "shards are missing: {}; expected all {} beside the index, download them again",
                missing, shards.size());
  }
  TensorFiles out;
  for (const std::string& shard : shards) {
    const fs::path path = index_path.parent_path() / shard;
    TensorFiles part =
        torch_bin ? TensorFiles::open_torch_bin(path) : TensorFiles::open_safetensors(path);
    for (const auto& [tensor, file] : shard_of) {
      if (file == shard && !part.tensors().contains(tensor)) {
        throw_error(ErrorKind::bad_format, path.string(),
                    "tensor {} is missing, but {} says that it is here; the folder mixes two "
                    "models, download it again",
                    quote(tensor), index_path.filename().string());
      }
    }
    out.merge(std::move(part));
  }
  return out;
}

std::string looked_for(const fs::path& folder) {
  return fmt::format("{} not found in {} (looked for: {}, {}, {})", kSafetensors, folder.string(),
                     kSafetensors, kSafetensorsIndex, kTorchBin);
}

}  // namespace

bool is_plain_file_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= 255 &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

TensorFiles TensorFiles::open_folder(const fs::path& folder) {
  if (is_there(folder / kSafetensors)) return open_safetensors(folder / kSafetensors);
  if (is_there(folder / kSafetensorsIndex)) {
    return open_index(folder / kSafetensorsIndex, /*torch_bin=*/false);
  }
  const bool single = is_there(folder / kTorchBin);
  if (!single && !is_there(folder / kTorchBinIndex)) {
    throw Error(ErrorKind::not_found, looked_for(folder));
  }
  try {
    return single ? open_torch_bin(folder / kTorchBin)
                  : open_index(folder / kTorchBinIndex, /*torch_bin=*/true);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::unsupported) throw;
    throw Error(ErrorKind::unsupported,
                fmt::format("{}.\n{} exists but {}", looked_for(folder),
                            fs::path(error.where()).filename().string(), error.message()));
  }
}

}  // namespace akin::store
