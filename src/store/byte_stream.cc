// See byte_stream.h. gzip through zlib (RFC 1952, several members), zstd through libzstd (several
// frames); a stream that ends in the middle of a member or frame is an error, never a short text.
#include "store/byte_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/progress.h"

namespace akin::store {
namespace {

constexpr size_t kChunkBytes = size_t{256} << 10;

// The file or pipe itself, with a buffer so that the first bytes can be looked at.
class RawInput {
 public:
  RawInput(int fd, uint64_t total, std::string where)
      : where_(std::move(where)), fd_(fd), total_(total), buffer_(kChunkBytes) {}
  explicit RawInput(std::string_view bytes)
      : where_("memory"),
        total_(bytes.size()),
        buffer_(bytes.begin(), bytes.end()),
        end_(bytes.size()),
        at_end_(true),
        read_(bytes.size()) {}
  ~RawInput() {
    if (fd_ > STDIN_FILENO) ::close(fd_);
  }
  RawInput(const RawInput&) = delete;
  RawInput& operator=(const RawInput&) = delete;

  const std::string& where() const { return where_; }
  uint64_t total() const { return total_; }
  uint64_t consumed() const { return read_ - (end_ - begin_); }
  std::string_view buffered() const { return {buffer_.data() + begin_, end_ - begin_}; }
  void consume(size_t size) { begin_ += size; }

  // Makes at least `size` bytes buffered where the input has them; true when some are buffered.
  bool fill(size_t size = 1) {
    while (end_ - begin_ < size && !at_end_) {
      if (begin_ > 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
      }
      end_ += read_some(buffer_.data() + end_, buffer_.size() - end_);
    }
    return end_ > begin_;
  }

  // Past the buffer, straight from the file.
  size_t read(char* out, size_t size) {
    if (begin_ == end_) return at_end_ ? 0 : read_some(out, size);
    const size_t n = std::min(size, end_ - begin_);
    std::memcpy(out, buffer_.data() + begin_, n);
    begin_ += n;
    return n;
  }

 private:
  size_t read_some(char* out, size_t size) {
    while (true) {
      check_interrupted();
      const ssize_t n = ::read(fd_, out, size);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw_error(ErrorKind::io, where_, "cannot read: {}", std::strerror(errno));
      at_end_ = n == 0;
      read_ += static_cast<uint64_t>(n);
      return static_cast<size_t>(n);
    }
  }

  std::string where_;
  int fd_ = -1;
  uint64_t total_ = 0;
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;
  bool at_end_ = false;
  uint64_t read_ = 0;
};

class StreamBase : public ByteStream {
 public:
  explicit StreamBase(std::unique_ptr<RawInput> in) : in_(std::move(in)) {}
  uint64_t bytes_read() const override { return in_->consumed(); }
  uint64_t bytes_total() const override { return in_->total(); }

 protected:
  [[noreturn]] void fail(std::string_view what) const {
    throw_error(ErrorKind::bad_format, in_->where(), "{}; the file is damaged, get it again", what);
  }
  std::unique_ptr<RawInput> in_;
};

class PlainStream : public StreamBase {
 public:
  using StreamBase::StreamBase;
  size_t read(char* out, size_t size) override { return in_->read(out, size); }
};

class GzipStream : public StreamBase {
 public:
  explicit GzipStream(std::unique_ptr<RawInput> in) : StreamBase(std::move(in)) {
    if (::inflateInit2(&zlib_, 15 + 16) != Z_OK) throw std::bad_alloc();
  }
  ~GzipStream() override { ::inflateEnd(&zlib_); }

  size_t read(char* out, size_t size) override {
    zlib_.next_out = reinterpret_cast<Bytef*>(out);
    zlib_.avail_out = static_cast<uInt>(std::min<size_t>(size, 1U << 30));
    const size_t asked = zlib_.avail_out;
    while (zlib_.avail_out == asked) {
      if (!in_->fill()) {
        if (in_member_) fail("the gzip data is cut short");
        return 0;
      }
      if (!in_member_ && !next_member()) return 0;
      inflate_some();
    }
    return asked - zlib_.avail_out;
  }

 private:
  // Between members: another one, or the zeros that some tools pad with.
  bool next_member() {
    if (!first_) {
      while (in_->fill() && in_->buffered()[0] == '\0') in_->consume(1);
      if (!in_->fill()) return false;
      if (!in_->buffered().starts_with('\x1F'))
        fail("bytes that are not gzip follow the gzip data");
      ::inflateReset(&zlib_);
    }
    first_ = false;
    in_member_ = true;
    return true;
  }
  void inflate_some() {
    const std::string_view from = in_->buffered();
    zlib_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(from.data()));
    zlib_.avail_in = static_cast<uInt>(std::min<size_t>(from.size(), 1U << 30));
    const uInt before = zlib_.avail_in;
    const int status = ::inflate(&zlib_, Z_NO_FLUSH);
    in_->consume(before - zlib_.avail_in);
    if (status == Z_STREAM_END) {
      in_member_ = false;
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      fail(fmt::format("not valid gzip data ({})", zlib_.msg != nullptr ? zlib_.msg : "broken"));
    }
  }

  z_stream zlib_{};
  bool in_member_ = false, first_ = true;
};

class ZstdStream : public StreamBase {
 public:
  explicit ZstdStream(std::unique_ptr<RawInput> in)
      : StreamBase(std::move(in)), zstd_(::ZSTD_createDStream()) {
    if (zstd_ == nullptr) throw std::bad_alloc();
  }
  ~ZstdStream() override { ::ZSTD_freeDStream(zstd_); }

  size_t read(char* out, size_t size) override {
    ZSTD_outBuffer to{out, size, 0};
    while (to.pos == 0) {
      const bool more = in_->fill();
      const std::string_view bytes = in_->buffered();
      ZSTD_inBuffer from{bytes.data(), bytes.size(), 0};
      if (!more && !in_frame_) return 0;
      const size_t status = ::ZSTD_decompressStream(zstd_, &to, &from);
      in_->consume(from.pos);
      if (::ZSTD_isError(status) != 0) {
        fail(fmt::format("not valid zstd data ({})", ::ZSTD_getErrorName(status)));
      }
      in_frame_ = status != 0;
      if (!more && to.pos == 0 && in_frame_) fail("the zstd data is cut short");
    }
    return to.pos;
  }

 private:
  ZSTD_DStream* zstd_;
  bool in_frame_ = false;
};

std::unique_ptr<ByteStream> decompressed(std::unique_ptr<RawInput> in, std::string_view extension) {
  in->fill(4);
  const std::string_view head = in->buffered();
  if (head.starts_with("\x1F\x8B")) return std::make_unique<GzipStream>(std::move(in));
  if (head.starts_with("\x28\xB5\x2F\xFD")) return std::make_unique<ZstdStream>(std::move(in));
  if (extension == ".gz" || extension == ".zst") {
    throw_error(ErrorKind::bad_format, in->where(),
                "the name ends in {}, but the content begins with {}; it is cut or not compressed",
                extension, quote(head.substr(0, 4)));
  }
  return std::make_unique<PlainStream>(std::move(in));
}

}  // namespace

std::unique_ptr<ByteStream> open_byte_stream(const std::filesystem::path& path) {
  if (path == "-") return decompressed(std::make_unique<RawInput>(STDIN_FILENO, 0, "stdin"), "");
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const bool missing = errno == ENOENT || errno == ENOTDIR;
    throw_error(missing ? ErrorKind::not_found : ErrorKind::io, path.string(), "cannot open: {}",
                std::strerror(errno));
  }
  struct stat info {};
  const bool known = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  auto in = std::make_unique<RawInput>(fd, known ? static_cast<uint64_t>(info.st_size) : 0,
                                       path.string());
  return decompressed(std::move(in), path.extension().string());
}

std::unique_ptr<ByteStream> open_memory_stream(std::string_view bytes) {
  return decompressed(std::make_unique<RawInput>(bytes), "");
}

}  // namespace akin::store
