// Lines of a byte stream, borrowed from one buffer. Knows no format. Internal to store/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "store/byte_stream.h"

namespace akin::store {

class LineReader {
 public:
  // Bytes that may be read after the end of a line (simdjson asks for them).
  static constexpr size_t kPaddingBytes = 64;

  LineReader(std::unique_ptr<ByteStream> in, uint64_t max_line_bytes);

  enum class Result : uint8_t { line, too_long, end };
  // One line without its "\n" (a "\r" before it stays); a last line without "\n" counts, a byte
  // order mark at the beginning is dropped. `line` is valid until the next call. After too_long
  // the whole line has been skipped.
  Result next(std::string_view& line);

  uint64_t line_number() const { return line_number_; }  // of the last line, 1-based
  bool ended_with_newline() const { return newline_; }   // the last line
  const ByteStream& stream() const { return *in_; }

 private:
  bool refill();
  Result skip_line();

  std::unique_ptr<ByteStream> in_;
  const uint64_t max_line_bytes_;
  const size_t chunk_bytes_;
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;
  bool at_end_ = false, newline_ = false;
  uint64_t line_number_ = 0;
};

}  // namespace akin::store
