// A named-by-its-owner tensor as it lies in a file: dtype, shape, bytes. Borrowed from a mapped
// file; no arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace akin {

enum class DType : uint8_t {
  f64,
  f32,
  f16,
  bf16,
  i64,
  i32,
  i16,
  i8,
  u8,
  boolean,
  u16,
  u32,
  u64,
  other
};
size_t dtype_size_bytes(DType dtype);      // 0 for other
std::string_view dtype_name(DType dtype);  // safetensors' word: "F32"

struct Tensor {
  DType dtype = DType::f32;
  std::vector<int64_t> shape;        // row-major
  std::span<const std::byte> bytes;  // little-endian, not necessarily aligned
  int64_t elements() const;
  std::string shape_string() const;  // "[768, 384]"
};

// IEEE half and bfloat16 to float, exact; float to them, round to nearest even.
float half_to_float(uint16_t half);
uint16_t float_to_half(float value);
float bfloat16_to_float(uint16_t value);

// Every element as float32, in order (f64, f32, f16, bf16, i8, u8, i32, i64, ...). Errors:
// unsupported for DType::other. `begin`, `count` select a range of the flattened elements;
// out.size() == count.
void tensor_to_f32(const Tensor& tensor, size_t begin, std::span<float> out);
std::vector<float> tensor_to_f32(const Tensor& tensor);
int64_t tensor_int_at(const Tensor& tensor, size_t index);  // integer dtypes only

}  // namespace akin
