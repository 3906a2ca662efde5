#include "store/float_bytes.h"

#include <cstring>

#include "base/error.h"

namespace akin::store {
namespace {

uint16_t float_to_bfloat16(float value) {
  uint32_t word = 0;
  std::memcpy(&word, &value, sizeof(word));
  const bool nan = value != value;
  const uint32_t rounded = word + 0x7FFFU + ((word >> 16) & 1U);
  return static_cast<uint16_t>((nan ? (word | 0x400000U) : rounded) >> 16);
}

}  // namespace

void append_floats(std::vector<std::byte>& out, std::span<const float> values, DType dtype) {
  if (dtype != DType::f32 && dtype != DType::f16 && dtype != DType::bf16) {
    throw_error(ErrorKind::unsupported, "weights", "are written as F32, F16 or BF16, not {}",
                dtype_name(dtype));
  }
  const size_t begin = out.size(), width = dtype_size_bytes(dtype);
  out.resize(begin + values.size() * width);
  if (dtype == DType::f32) {
    std::memcpy(out.data() + begin, values.data(), values.size() * width);
    return;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t bits =
        dtype == DType::f16 ? float_to_half(values[i]) : float_to_bfloat16(values[i]);
    std::memcpy(out.data() + begin + i * width, &bits, width);
  }
}

}  // namespace akin::store
