// Bytes of a text file or stdin in order, decompressed when they begin as gzip or zstd do.
// Internal to store/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace akin::store {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Fills up to `size` bytes, returns how many; 0 at the end. Errors: io; bad_format on damaged or
  // cut compressed data.
  virtual size_t read(char* out, size_t size) = 0;
  virtual uint64_t bytes_read() const = 0;   // of the file, before decompression
  virtual uint64_t bytes_total() const = 0;  // 0: not known (a pipe)
};

// "-" is stdin. Errors: not_found, io; bad_format when a name ends in .gz or .zst and the content
// does not fit.
std::unique_ptr<ByteStream> open_byte_stream(const std::filesystem::path& path);
// Borrows `bytes`; decompresses as a file would. For tests and fuzz targets.
std::unique_ptr<ByteStream> open_memory_stream(std::string_view bytes);

}  // namespace akin::store
