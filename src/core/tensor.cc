#include "core/tensor.h"

#include <bit>
#include <cstring>

#include "base/error.h"

namespace akin {
namespace {

template <typename T>
T load(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

template <typename T>
void convert(const std::byte* p, std::span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(load<T>(p + i * sizeof(T)));
}

}  // namespace

size_t dtype_size_bytes(DType dtype) {
  switch (dtype) {
    case DType::f64:
    case DType::i64:
    case DType::u64:
      return 8;
    case DType::f32:
    case DType::i32:
    case DType::u32:
      return 4;
    case DType::f16:
    case DType::bf16:
    case DType::i16:
    case DType::u16:
      return 2;
    case DType::i8:
    case DType::u8:
    case DType::boolean:
      return 1;
    case DType::other:
      return 0;
  }
  return 0;
}

std::string_view dtype_name(DType dtype) {
  constexpr std::string_view kNames[] = {"F64", "F32", "F16",  "BF16", "I64", "I32", "I16",
                                         "I8",  "U8",  "BOOL", "U16",  "U32", "U64", "other"};
  return kNames[static_cast<size_t>(dtype)];
}

int64_t Tensor::elements() const {
  int64_t n = 1;
  for (const int64_t dim : shape) n *= dim;
  return n;
}

std::string Tensor::shape_string() const { return fmt::format("[{}]", fmt::join(shape, ", ")); }

float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000U) << 16;
  const uint32_t exponent = (half >> 10) & 0x1FU, mantissa = half & 0x3FFU;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13));
  if (exponent != 0)
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
  return sign != 0 ? -magnitude : magnitude;
}

uint16_t float_to_half(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
  const uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return static_cast<uint16_t>(sign | 0x7E00U);
  if (magnitude >= 0x477FF000U) return static_cast<uint16_t>(sign | 0x7C00U);  // rounds to infinity
  if (magnitude < 0x38800000U) {  // subnormal or zero: let the FPU round at 2^-24
    const float scaled = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(scaled) - 0x3F000000U));
  }
  const uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13) & 1U);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000U) >> 13));
}

float bfloat16_to_float(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

void tensor_to_f32(const Tensor& tensor, size_t begin, std::span<float> out) {
  const size_t size = dtype_size_bytes(tensor.dtype);
  if (size == 0) {
    throw Error(ErrorKind::unsupported, "tensors of this dtype cannot be read as numbers");
  }
  AKIN_CHECK((begin + out.size()) * size <= tensor.bytes.size());
  const std::byte* p = tensor.bytes.data() + begin * size;
  switch (tensor.dtype) {
    case DType::f32:
      std::memcpy(out.data(), p, out.size_bytes());
      break;
    case DType::f64:
      convert<double>(p, out);
      break;
    case DType::f16:
      for (size_t i = 0; i < out.size(); ++i) out[i] = half_to_float(load<uint16_t>(p + 2 * i));
      break;
    case DType::bf16:
      for (size_t i = 0; i < out.size(); ++i) out[i] = bfloat16_to_float(load<uint16_t>(p + 2 * i));
      break;
    case DType::i64:
      convert<int64_t>(p, out);
      break;
    case DType::i32:
      convert<int32_t>(p, out);
      break;
    case DType::i16:
      convert<int16_t>(p, out);
      break;
    case DType::i8:
      convert<int8_t>(p, out);
      break;
    case DType::u8:
    case DType::boolean:
      convert<uint8_t>(p, out);
      break;
    case DType::u16:
      convert<uint16_t>(p, out);
      break;
    case DType::u32:
      convert<uint32_t>(p, out);
      break;
    case DType::u64:
      convert<uint64_t>(p, out);
      break;
    case DType::other:
      break;
  }
}

std::vector<float> tensor_to_f32(const Tensor& tensor) {
  std::vector<float> out(static_cast<size_t>(tensor.elements()));
  tensor_to_f32(tensor, 0, out);
  return out;
}

int64_t tensor_int_at(const Tensor& tensor, size_t index) {
  const size_t size = dtype_size_bytes(tensor.dtype);
  AKIN_CHECK(size != 0 && (index + 1) * size <= tensor.bytes.size());
  const std::byte* p = tensor.bytes.data() + index * size;
  switch (tensor.dtype) {
    case DType::i64:
    case DType::u64:
      return load<int64_t>(p);
    case DType::i32:
      return load<int32_t>(p);
    case DType::u32:
      return load<uint32_t>(p);
    case DType::i16:
      return load<int16_t>(p);
    case DType::u16:
      return load<uint16_t>(p);
    case DType::i8:
      return load<int8_t>(p);
    case DType::u8:
      return load<uint8_t>(p);
    default:
      throw Error(ErrorKind::bad_format,
                  "expected an integer tensor, got " + std::string(dtype_name(tensor.dtype)));
  }
}

}  // namespace akin
