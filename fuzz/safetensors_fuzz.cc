// libFuzzer: any bytes as a .safetensors file. Every tensor that is accepted must lie in the input.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"
#include "store/tensor_files_builder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  akin::store::TensorFilesBuilder builder;
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    akin::store::parse_safetensors(bytes, "fuzz.safetensors", builder);
    size_t total = 0;
    for (const auto& [name, tensor] : builder.tensors()) {
      total += tensor.bytes.size();
      for (const std::byte b : tensor.bytes) total += static_cast<size_t>(b) & 0U;
      if (tensor.shape_string().empty()) std::abort();
    }
    if (total > size) std::abort();  // no overlaps
  } catch (const akin::Error&) {
    return 0;
  }
  return 0;
}
