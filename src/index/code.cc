#include "index/code.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/tensor.h"
#include "kernels/quantize.h"
#include "kernels/scan.h"

namespace akin::index {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"f32", "f16", "int8", "binary"};

size_t round_up(size_t value, size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

void encode_binary(const float* row, size_t dims, uint8_t* out) {
  for (size_t begin = 0; begin < dims; begin += 64) {
    uint64_t word = 0;
    for (size_t d = begin; d < std::min(dims, begin + 64); ++d)
      word |= uint64_t{row[d] > 0} << (d - begin);
    std::memcpy(out + begin / 8, &word, sizeof word);
  }
}

}  // namespace

std::span<const std::string_view> choices(Code) { return kNames; }
std::string_view code_name(Code code) { return kNames[static_cast<size_t>(code)]; }

size_t row_bytes(Code code, size_t dims) {
  switch (code) {
    case Code::f32:
      return round_up(dims * sizeof(float), kAlignment);
    case Code::f16:
      return round_up(dims, kernels::kScanHalves) * sizeof(uint16_t);
    case Code::int8:
      return kernels::kScanScaleBytes + round_up(dims, 4);
    case Code::binary:
      return round_up(dims, 64) / 8;
  }
  return 0;
}

void encode_rows(MatView<const float> rows, Code code, std::span<uint8_t> out) {
  const size_t dims = rows.cols(), bytes = row_bytes(code, dims);
  AKIN_CHECK(out.size() == rows.rows() * bytes);
  for (size_t r = 0; r < rows.rows(); ++r) {
    const float* row = rows.row(r);
    uint8_t* to = out.data() + r * bytes;
    switch (code) {
      case Code::f32:
        std::memcpy(to, row, dims * sizeof(float));
        std::fill(to + dims * sizeof(float), to + bytes, uint8_t{0});
        break;
      case Code::f16:
        for (size_t d = 0; d < bytes / 2; ++d) {
          const uint16_t half = d < dims ? float_to_half(row[d]) : uint16_t{0};
          std::memcpy(to + 2 * d, &half, sizeof half);
        }
        break;
      case Code::int8: {
        auto* numbers = reinterpret_cast<int8_t*>(to + kernels::kScanScaleBytes);
        const float scale = kernels::quantize_row(row, dims, numbers);
        std::memcpy(to, &scale, sizeof scale);
        std::fill(to + kernels::kScanScaleBytes + dims, to + bytes, uint8_t{0});
        break;
      }
      case Code::binary:
        encode_binary(row, dims, to);
        break;
    }
  }
}

void decode_row(const uint8_t* row, Code code, std::span<float> out) {
  switch (code) {
    case Code::f32:
      std::memcpy(out.data(), row, out.size_bytes());
      return;
    case Code::f16:
      for (size_t d = 0; d < out.size(); ++d) {
        uint16_t half;
        std::memcpy(&half, row + 2 * d, sizeof half);
        out[d] = half_to_float(half);
      }
      return;
    case Code::int8: {
      float scale;
      std::memcpy(&scale, row, sizeof scale);
      for (size_t d = 0; d < out.size(); ++d)
        out[d] = scale * static_cast<float>(static_cast<int8_t>(row[kernels::kScanScaleBytes + d]));
      return;
    }
    case Code::binary:
      for (size_t d = 0; d < out.size(); ++d)
        out[d] = (row[d / 8] >> (d % 8) & 1) != 0 ? 1.0F : -1.0F;
      return;
  }
}

}  // namespace akin::index
