// libFuzzer: any bytes as a pytorch_model.bin, and any bytes as the pickle in a sound archive.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "store/tensor_files_builder.h"
#include "store/unpickler.h"

namespace {

void touch(akin::store::TensorFilesBuilder& builder) {
  volatile size_t sum = 0;
  for (const auto& [name, tensor] : builder.tensors()) {
    for (const std::byte b : tensor.bytes) sum = sum + static_cast<size_t>(b);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const std::string where = "fuzz.bin";
  try {
    akin::store::TensorFilesBuilder builder;
    akin::store::parse_torch_bin(bytes, where, builder);
    touch(builder);
  } catch (const akin::Error&) {
  }
  try {
    akin::store::read_pickle(bytes, where);
  } catch (const akin::Error&) {
  }
  return 0;
}
