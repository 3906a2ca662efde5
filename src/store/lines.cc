// See lines.h. The buffer grows with the longest line read, to about twice the limit at most.
#include "store/lines.h"

#include <algorithm>
#include <cstring>

namespace akin::store {
namespace {

// Small files get small reads, so that opening thousands of them costs little.
size_t chunk_bytes(const ByteStream& in) {
  constexpr uint64_t kSmallest = 4 << 10, kLargest = 256 << 10;
  const uint64_t total = in.bytes_total();
  return total == 0 ? kLargest : std::clamp(total, kSmallest, kLargest);
}

}  // namespace

LineReader::LineReader(std::unique_ptr<ByteStream> in, uint64_t max_line_bytes)
    : in_(std::move(in)),
      max_line_bytes_(max_line_bytes),
      chunk_bytes_(chunk_bytes(*in_)),
      buffer_(2 * chunk_bytes_ + kPaddingBytes) {
  while (end_ < 3 && !at_end_) refill();
  if (std::string_view(buffer_.data(), end_).starts_with("\xEF\xBB\xBF")) begin_ = 3;
}

// Reads one chunk behind what is buffered; false at the end of the stream.
bool LineReader::refill() {
  if (at_end_) return false;
  if (buffer_.size() - end_ < chunk_bytes_ + kPaddingBytes) {
    if (begin_ >= buffer_.size() / 2) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    } else {
      buffer_.resize(2 * buffer_.size());
    }
  }
  const size_t room = buffer_.size() - end_ - kPaddingBytes;
  const size_t n = in_->read(buffer_.data() + end_, std::min(room, chunk_bytes_));
  end_ += n;
  at_end_ = n == 0;
  return !at_end_;
}

LineReader::Result LineReader::next(std::string_view& line) {
  size_t searched = 0;
  while (true) {
    const char* from = buffer_.data() + begin_;
    const size_t size = end_ - begin_;
    const void* found = std::memchr(from + searched, '\n', size - searched);
    if (found != nullptr) {
      const auto length = static_cast<size_t>(static_cast<const char*>(found) - from);
      ++line_number_;
      newline_ = true;
      begin_ += length + 1;
      if (length > max_line_bytes_) return Result::too_long;
      line = {from, length};
      return Result::line;
    }
    searched = size;
    if (size > max_line_bytes_) return skip_line();
    if (refill()) continue;
    if (size == 0) return Result::end;
    ++line_number_;
    newline_ = false;
    line = {buffer_.data() + begin_, size};
    begin_ = end_;
    return Result::line;
  }
}

LineReader::Result LineReader::skip_line() {
  ++line_number_;
  newline_ = false;
  do {
    const char* from = buffer_.data() + begin_;
    const void* found = std::memchr(from, '\n', end_ - begin_);
    if (found != nullptr) {
      begin_ += static_cast<size_t>(static_cast<const char*>(found) - from) + 1;
      newline_ = true;
      break;
    }
    begin_ = end_ = 0;
  } while (refill());
  return Result::too_long;
}

}  // namespace akin::store
