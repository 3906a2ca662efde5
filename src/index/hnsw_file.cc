#include "index/hnsw_file.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/progress.h"
#include "index/flat_select.h"

namespace akin::index {
namespace {

constexpr size_t kHashBytes = 4 << 20;  // of the body, hashed at once
constexpr size_t kPad = 8;              // parts begin at multiples of this

struct Head {
  char magic[8] = {'a', 'k', 'i', 'n', 'h', 'n', 's', '1'};
  uint64_t dims = 0, rows = 0, links = 0, build_breadth = 0, seed = 0;
  uint64_t entry = 0, upper_lists = 0;
  uint64_t body_checksum = 0;
  uint8_t reserved[48] = {};
  uint64_t checksum = 0;
};
static_assert(sizeof(Head) == 128);

uint64_t head_checksum(const Head& head) {
  return hash64({reinterpret_cast<const char*>(&head), offsetof(Head, checksum)});
}

size_t padded(size_t bytes) { return (bytes + kPad - 1) / kPad * kPad; }

// Bytes on their way to the file, in pieces of kHashBytes, each hashed with the hash before it.
class BodyWriter {
 public:
  explicit BodyWriter(AtomicFile& file) : file_(file) { buffer_.reserve(kHashBytes); }
  void add(const void* data, size_t size) {
    const auto* at = static_cast<const char*>(data);
    while (size > 0) {
      const size_t n = std::min(size, kHashBytes - buffer_.size());
      buffer_.append(at, n);
      at += n;
      size -= n;
      if (buffer_.size() == kHashBytes) flush();
    }
    bytes_ += static_cast<size_t>(at - static_cast<const char*>(data));
  }
  void pad() {
    constexpr char kZeros[kPad] = {};
    add(kZeros, padded(bytes_) - bytes_);
  }
  uint64_t finish() {
    if (!buffer_.empty()) flush();
    return hash_;
  }

 private:
  void flush() {
    check_interrupted();
    hash_ = hash64(buffer_, hash_);
    file_.write(buffer_);
    buffer_.clear();
  }
  AtomicFile& file_;
  std::string buffer_;
  size_t bytes_ = 0;
  uint64_t hash_ = 0;
};

uint64_t body_hash(std::span<const std::byte> body) {
  uint64_t hash = 0;
  for (size_t begin = 0; begin < body.size(); begin += kHashBytes) {
    const auto part = body.subspan(begin, std::min(kHashBytes, body.size() - begin));
    hash = hash64({reinterpret_cast<const char*>(part.data()), part.size()}, hash);
  }
  return hash;
}

}  // namespace

void write_graph(const std::filesystem::path& path, const GraphShape& shape,
                 const GraphParts& parts) {
  Head head;
  head.dims = shape.dims;
  head.rows = shape.rows;
  head.links = shape.spec.links;
  head.build_breadth = shape.spec.build_breadth;
  head.seed = shape.spec.seed;
  head.entry = shape.entry;
  AtomicFile file(path);
  file.write(&head, sizeof head);
  BodyWriter body(file);
  for (size_t row = 0; row < shape.rows; ++row) {
    const auto level = static_cast<uint8_t>(parts.level(row));
    head.upper_lists += level;
    body.add(&level, 1);
  }
  body.pad();
  // What lies behind a list's end in memory may be left over from longer ones.
  std::vector<uint32_t> list(shape.ground_words());
  const auto add_list = [&](size_t row, size_t level, size_t words) {
    const uint32_t* links = parts.links(row, level);
    std::fill(list.begin(), list.end(), 0U);
    std::copy_n(links, 1 + std::min<size_t>(*links, words - 1), list.begin());
    body.add(list.data(), words * sizeof(uint32_t));
  };
  for (size_t row = 0; row < shape.rows; ++row) add_list(row, 0, shape.ground_words());
  for (size_t row = 0; row < shape.rows; ++row) {
    for (size_t level = 1; level <= parts.level(row); ++level)
      add_list(row, level, shape.upper_words());
  }
  body.pad();
  for (size_t row = 0; row < shape.rows; ++row)
    body.add(parts.vector(row), shape.dims * sizeof(float));
  head.body_checksum = body.finish();
  head.checksum = head_checksum(head);
  file.rewrite(0, {reinterpret_cast<const char*>(&head), sizeof head});
  file.commit();
}

void GraphFile::fail(const std::string& what) const {
  throw_error(ErrorKind::bad_format, file_.path().string(), "{}; build the graph again", what);
}

GraphFile::GraphFile(const std::filesystem::path& path, size_t dims) : file_(path) {
  const std::span<const std::byte> bytes = file_.bytes();
  Head head;
  const Head ours;
  if (bytes.size() < sizeof head) fail("too short for a graph's head");
  std::memcpy(&head, bytes.data(), sizeof head);
  if (std::memcmp(head.magic, ours.magic, sizeof ours.magic) != 0) fail("not a graph's file");
  if (head.checksum != head_checksum(head)) fail("its head is damaged");
  if (head.dims != dims)
    fail(fmt::format("made for vectors of {} dims, expected {}", head.dims, dims));
  constexpr uint64_t kMostRows = std::numeric_limits<uint32_t>::max();
  if (head.rows > kMostRows || head.links < kLeastHnswLinks || head.links > kMostHnswLinks ||
      head.build_breadth == 0 || head.build_breadth > kMostHnswBreadth ||
      head.entry >= std::max<uint64_t>(1, head.rows) ||
      head.upper_lists > head.rows * kMostHnswLevel)
    fail("its head makes no sense");
  shape_ = {head.dims,
            head.rows,
            {head.links, head.build_breadth, head.seed},
            static_cast<uint32_t>(head.entry)};
  const uint64_t words = shape_.rows * uint64_t{shape_.ground_words()} +
                         head.upper_lists * uint64_t{shape_.upper_words()};
  const uint64_t links_begin = sizeof head + padded(shape_.rows);
  const uint64_t vectors_begin = links_begin + padded(words * sizeof(uint32_t));
  // All factors are below 2^32 times a small number, so nothing here wraps but this product.
  if (dims > (uint64_t{1} << 24) ||
      vectors_begin + shape_.rows * dims * sizeof(float) != bytes.size())
    fail("its length does not fit its head");
  if (body_hash(bytes.subspan(sizeof head)) != head.body_checksum) fail("its contents are damaged");
  levels_ = reinterpret_cast<const uint8_t*>(bytes.data() + sizeof head);
  ground_ = reinterpret_cast<const uint32_t*>(bytes.data() + links_begin);
  upper_ = ground_ + shape_.rows * shape_.ground_words();
  vectors_ = reinterpret_cast<const float*>(bytes.data() + vectors_begin);
  check_levels(head.upper_lists);
  check_links();
  for (size_t row = 0; row < shape_.rows; ++row) {
    if (!all_finite(vector(row), dims)) fail(fmt::format("vector {} is not finite", row));
  }
}

// A checksum says that nothing was altered by accident; what follows, that nobody made it up.
void GraphFile::check_levels(uint64_t upper_lists) const {
  if (shape_.rows == 0) return;
  uint64_t lists = 0;
  for (size_t row = 0; row < shape_.rows; ++row) {
    if (level(row) > kMostHnswLevel || level(row) > level(shape_.entry))
      fail(fmt::format("row {} is on level {}, above the entry", row, level(row)));
    lists += level(row);
  }
  if (lists != upper_lists) fail("its levels do not fit its head");
}

void GraphFile::check_list(const uint32_t* list, size_t most, size_t row, size_t at) const {
  if (list[0] > most) fail(fmt::format("row {} has {} links, at most {}", row, list[0], most));
  for (size_t i = 1; i <= list[0]; ++i) {
    if (list[i] >= shape_.rows || list[i] == row || level(list[i]) < at)
      fail(fmt::format("row {} has a link to row {}, which is not there", row, list[i]));
  }
}

void GraphFile::check_links() const {
  const uint32_t* next = upper_;
  for (size_t row = 0; row < shape_.rows; ++row) {
    if (row % 65536 == 0) check_interrupted();
    check_list(ground(row), 2 * shape_.spec.links, row, 0);
    for (size_t at = 1; at <= level(row); ++at, next += shape_.upper_words())
      check_list(next, shape_.spec.links, row, at);
  }
}

}  // namespace akin::index
