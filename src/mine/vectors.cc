// See vectors.h. A file: 64 bytes that name what is in it, then blocks of kBlockRows rows (the last
// may be shorter), each followed by 64 bytes that hold its hash.
#include "mine/vectors.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "core/encoding_key.h"

namespace akin::mine {
namespace fs = std::filesystem;
namespace {

constexpr size_t kPad = 64;

std::string_view bytes_of(MatView<const float> rows) {
  return {reinterpret_cast<const char*>(rows.data()), rows.rows() * rows.cols() * sizeof(float)};
}

std::array<char, kPad> seal(std::string_view bytes, size_t begin) {
  std::array<char, kPad> out{};
  const uint64_t hash = hash64(bytes, begin);
  std::memcpy(out.data(), &hash, sizeof hash);
  return out;
}

// Appends to a file from a place on; what lay behind it is cut off.
class Appender {
 public:
  Appender(const fs::path& path, uint64_t from) : path_(path) {
    fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0 || ::ftruncate(fd_, static_cast<off_t>(from)) != 0 ||
        ::lseek(fd_, 0, SEEK_END) < 0) {
      const int error = errno;
      if (fd_ >= 0) ::close(fd_);
      fail(error);
    }
  }
  ~Appender() { ::close(fd_); }
  Appender(const Appender&) = delete;
  Appender& operator=(const Appender&) = delete;

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail(errno);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
  }

 private:
  [[noreturn]] void fail(int error) const {
    throw_error(ErrorKind::io, path_.string(), "cannot write: {}",
                std::error_code(error, std::generic_category()).message());
  }
  const fs::path path_;
  int fd_;
};

}  // namespace

std::string encoding_key(const EncoderInfo& info, const EncodeOptions& options) {
  Hasher hasher;
  hasher.add(std::string_view("akin mine vectors 1"));
  add_encoding(hasher, info, options);
  return hasher.hex();
}

size_t TextVectors::block_bytes(size_t begin) const {
  return std::min(kBlockRows, rows_ - begin) * dims_ * sizeof(float);
}

uint64_t TextVectors::block_offset(size_t begin) const {
  return kPad + uint64_t{begin} * dims_ * sizeof(float) + begin / kBlockRows * kPad;
}

// How many rows of an earlier run are there, in whole blocks whose hash is right.
size_t TextVectors::sound_rows(const fs::path& path, const std::string& head) const {
  std::error_code error;
  if (!fs::is_regular_file(path, error) || fs::file_size(path, error) < kPad) return 0;
  const MappedFile file(path);
  const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()),
                               file.bytes().size());
  if (bytes.substr(0, kPad) != head) return 0;
  size_t done = 0;
  while (done < rows_) {
    const uint64_t at = block_offset(done), size = block_bytes(done);
    if (at + size + kPad > bytes.size()) break;
    const auto sealed = seal(bytes.substr(at, size), done);
    if (bytes.substr(at + size, kPad) != std::string_view(sealed.data(), kPad)) break;
    done = std::min(rows_, done + kBlockRows);
  }
  return done;
}

TextVectors::TextVectors(const TextFile& texts, const std::string& texts_hash, Encoder& encoder,
                         const EncodeOptions& options, const fs::path& path, std::string_view what,
                         const ProgressSink& progress)
    : rows_(texts.size()), dims_(resolve_dims(encoder.info(), options)) {
  Hasher hasher;
  hasher.add(texts_hash);
  hasher.add(encoding_key(encoder.info(), options));
  std::string head = "akin-mine-vectors-1\n" + hasher.hex();
  head.resize(kPad, '\n');
  size_t done = sound_rows(path, head);
  counts_.texts = rows_;
  counts_.kept = done;
  if (done < rows_) {
    Appender out(path, done == 0 ? 0 : block_offset(done));
    if (done == 0) out.write(head);
    EncodeOptions block_options = options;
    std::vector<std::string_view> block;
    for (; done < rows_; done += kBlockRows) {
      check_interrupted();
      block.clear();
      for (size_t i = done; i < std::min(rows_, done + kBlockRows); ++i) {
        block.push_back(texts[static_cast<uint32_t>(i)]);
      }
      block_options.progress = [&](const Progress& step) {
        if (progress) progress({what, done + step.done, rows_, "texts"});
      };
      Mat<float> vectors(block.size(), dims_);
      const EncodeReport report = encoder.encode(block, block_options, vectors.view());
      counts_.truncated += report.truncated.size();
      counts_.tokens += report.tokens;
      const auto sealed = seal(bytes_of(vectors.view()), done);
      out.write(bytes_of(vectors.view()));
      out.write({sealed.data(), kPad});
      texts.release_pages();
    }
  }
  file_ = MappedFile(path);
}

const float* TextVectors::row(size_t number) const {
  const size_t begin = number / kBlockRows * kBlockRows;
  return block(begin).row(number - begin);
}

MatView<const float> TextVectors::block(size_t begin) const {
  AKIN_DCHECK(begin % kBlockRows == 0 && begin < rows_);
  const auto* const data =
      reinterpret_cast<const float*>(file_.bytes().data() + block_offset(begin));
  return {data, std::min(kBlockRows, rows_ - begin), dims_};
}

}  // namespace akin::mine
