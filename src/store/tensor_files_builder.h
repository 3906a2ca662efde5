// How the readers of this room fill a TensorFiles, and their entries over bytes in memory (used by
// the fuzz targets too). Internal to store/: nothing outside includes it.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/safetensors.h"

namespace akin::store {

class TensorFilesBuilder {
 public:
  TensorFiles& files() { return out_; }
  std::map<std::string, Tensor, std::less<>>& tensors() { return out_.tensors_; }
  std::map<std::string, std::string>& metadata() { return out_.metadata_; }
  std::span<const std::byte> add_file(MappedFile file) {
    out_.files_.push_back(std::move(file));
    return out_.files_.back().bytes();
  }
  // Bytes that no file holds contiguously; they live as long as the TensorFiles.
  std::span<const std::byte> add_owned(std::vector<std::byte> bytes) {
    out_.owned_.push_back(std::move(bytes));
    return out_.owned_.back();
  }
  TensorFiles take() { return std::move(out_); }

 private:
  TensorFiles out_;
};

// A whole .safetensors file in memory; the tensors added borrow from `bytes`. `where` names the
// file in errors.
void parse_safetensors(std::span<const std::byte> bytes, const std::string& where,
                       TensorFilesBuilder& builder);

// A whole pytorch_model.bin in memory; tensors borrow from `bytes` or from owned copies.
void parse_torch_bin(std::span<const std::byte> bytes, const std::string& where,
                     TensorFilesBuilder& builder);

// True for a plain name that stays in its folder: no separator, not "." or "..", no NUL, not empty.
bool is_plain_file_name(std::string_view name);

}  // namespace akin::store
