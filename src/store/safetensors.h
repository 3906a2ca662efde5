// safetensors files, mapped and checked before use. Format: conventions of huggingface/safetensors;
// also writes them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "core/tensor.h"

namespace akin::store {

// One or several mapped weight files as one table of tensors. Tensors borrow from the maps.
// Thread-safe once made.
class TensorFiles {
 public:
  // A .safetensors file. Errors: not_found, bad_format (overlap, hole, out of bounds, size !=
  // shape, duplicate key, header > 100 MB).
  static TensorFiles open_safetensors(const std::filesystem::path& path);
  // The weights of a folder: model.safetensors, model.safetensors.index.json (+ shards), or
  // pytorch_model.bin. Errors: not_found names the three it looked for.
  static TensorFiles open_folder(const std::filesystem::path& folder);
  // pytorch_model.bin (zip + pickle), tensors only, nothing is executed. Errors: bad_format;
  // unsupported naming the foreign object.
  static TensorFiles open_torch_bin(const std::filesystem::path& path);

  const std::map<std::string, Tensor, std::less<>>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::vector<MappedFile>& files() const { return files_; }  // for hashing
  void merge(TensorFiles&& other);  // Errors: bad_format on a name in both

 private:
  friend class TensorFilesBuilder;
  std::vector<MappedFile> files_;
  std::vector<std::vector<std::byte>>
      owned_;  // for tensors that could not be borrowed (strided pickles)
  std::map<std::string, Tensor, std::less<>> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Writes name -> tensor; sorted by descending dtype size then name, header padded to 8 bytes,
// "format": "pt". Atomic.
void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, Tensor, std::less<>>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace akin::store
