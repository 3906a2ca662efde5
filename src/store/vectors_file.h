// Vectors on disk: .npy (f32, f16), raw f32/f16/int8/binary, JSONL. Atomic, streaming.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/mat.h"

namespace akin::store {

enum class VectorFormat : uint8_t { npy, jsonl, raw };
enum class VectorDType : uint8_t {
  f32,
  f16,
  int8,
  binary
};  // int8: round(127 x), unit vectors; binary: sign bits, MSB first (numpy packbits)

struct VectorWriterOptions {
  VectorFormat format = VectorFormat::npy;
  VectorDType dtype = VectorDType::f32;
  bool with_text = false;  // JSONL: also "text"
};

class VectorWriter {
 public:
  virtual ~VectorWriter() = default;
  // texts and ids: empty or one per row.
  virtual void write(MatView<const float> rows, std::span<const std::string> ids,
                     std::span<const std::string_view> texts) = 0;
  virtual void finish() = 0;  // header patched, renamed into place; without it no file appears
};
std::unique_ptr<VectorWriter> open_vector_writer(const std::filesystem::path& path, size_t dims,
                                                 const VectorWriterOptions& options);

// A .npy of float32 or float16, C order, 1 or 2 dimensions. Errors: bad_format, unsupported.
Mat<float> read_npy(const std::filesystem::path& path);

}  // namespace akin::store
