// See parquet_column.h.
#include "store/parquet_column.h"

#include <simdjson.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <bit>
#include <utility>

#include "base/error.h"
#include "base/progress.h"

namespace akin::store {
namespace {

constexpr uint64_t kMaxPageBytes = uint64_t{1} << 30;

constexpr std::string_view kCodecs[] = {"none",   "Snappy", "gzip", "LZO",
                                        "Brotli", "LZ4",    "zstd", "LZ4_RAW"};

[[noreturn]] void damaged(std::string_view where, std::string_view what) {
  throw_error(ErrorKind::bad_format, where, "{}; the file is damaged, get it again", what);
}

bool inflate_all(std::string_view from, char* to, size_t size) {
  z_stream z{};
  if (::inflateInit2(&z, 15 + 32) != Z_OK) throw std::bad_alloc();
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(from.data()));
  z.avail_in = static_cast<uInt>(from.size());
  z.next_out = reinterpret_cast<Bytef*>(to);
  z.avail_out = static_cast<uInt>(size);
  const int status = ::inflate(&z, Z_FINISH);
  const bool whole = status == Z_STREAM_END && z.avail_out == 0;
  ::inflateEnd(&z);
  return whole;
}

// False when `from` is not exactly `size` bytes, compressed.
bool decompress(ParquetCodec codec, std::string_view from, char* to, size_t size) {
  switch (codec) {
    case ParquetCodec::snappy: {
      size_t said = 0;
      return snappy::GetUncompressedLength(from.data(), from.size(), &said) && said == size &&
             snappy::RawUncompress(from.data(), from.size(), to);
    }
    case ParquetCodec::gzip:
      return inflate_all(from, to, size);
    case ParquetCodec::zstd:
      return ::ZSTD_decompress(to, size, from.data(), from.size()) == size;
    default:
      return false;
  }
}

// The most that a codec can make of a byte: what says more is damaged, and costs no memory.
uint64_t most_bytes(ParquetCodec codec, uint64_t size) {
  switch (codec) {
    case ParquetCodec::snappy:
      return 64 * size;
    case ParquetCodec::gzip:
      return 1040 * size + 1024;
    default:
      return kMaxPageBytes;
  }
}

}  // namespace

void read_parquet_body(const ParquetPage& page, std::string_view bytes, int32_t codec,
                       const std::string& where, ParquetBody& out) {
  bytes = bytes.substr(0, page.size);
  if (page.has_crc) {
    const auto crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    if (crc != page.crc) damaged(where, "the checksum of a page is wrong");
  }
  const size_t levels = size_t{page.rep_bytes} + page.def_bytes;
  bytes.remove_prefix(levels);
  const size_t size = page.raw_size - levels;
  if (codec == 0 || !page.compressed) {
    if (bytes.size() != size) damaged(where, "a page has two different sizes");
    out.bytes = bytes;
    return;
  }
  const auto kind = static_cast<ParquetCodec>(codec);
  if (kind != ParquetCodec::snappy && kind != ParquetCodec::gzip && kind != ParquetCodec::zstd) {
    throw_error(
        ErrorKind::unsupported, where,
        "compressed with {}, which is not read here; write the file again with snappy, "
        "gzip or zstd",
        codec > 0 && codec < 8 ? std::string(kCodecs[codec]) : fmt::format("codec {}", codec));
  }
  out.bytes = {};
  if (size == 0) return;
  if (size > kMaxPageBytes || size > most_bytes(kind, bytes.size())) {
    damaged(where, fmt::format("a page of {} bytes says it holds {}", bytes.size(), size));
  }
  out.owned.reset(size);
  if (!decompress(kind, bytes, out.owned.data(), size)) {
    damaged(where, fmt::format("a page is not valid {} data", kCodecs[codec]));
  }
  out.bytes = {out.owned.data(), size};
}

ParquetColumn::ParquetColumn(std::string_view file, const ParquetMeta& meta, ParquetLeaf leaf,
                             std::string where, uint64_t max_row_bytes)
    : file_(file),
      meta_(meta),
      leaf_(std::move(leaf)),
      where_(std::move(where)),
      max_row_bytes_(max_row_bytes) {}

void ParquetColumn::fail(std::string_view what) const {
  damaged(where_, fmt::format("column {}: {}", quote(leaf_.name), what));
}

void ParquetColumn::start_group(size_t group) {
  const ParquetChunk& chunk = meta_.groups[group].chunks[leaf_.index];
  if (!chunk.usable) {
    throw_error(ErrorKind::unsupported, where_,
                "column {} is encrypted or lies in another file; write the file again as one",
                quote(leaf_.name));
  }
  if (chunk.type != leaf_.type.type) fail("the schema and the row group name different types");
  retire(body_);
  retire(dictionary_body_);
  has_dictionary_ = false;
  chunk_ = &chunk;
  position_ = chunk.begin;
  chunk_left_ = static_cast<uint64_t>(chunk.values);
  page_left_ = 0;
  peeked_ = false;
}

void ParquetColumn::retire(ParquetBody& body) {
  if (body.owned.size() > 0) {
    retired_bytes_ += body.owned.size();
    if (leaf_.type.type == ParquetType::bytes) {
      if (retired_bytes_ > max_row_bytes_ + kMaxPageBytes) {
        fail(fmt::format("a row is longer than {} bytes", max_row_bytes_));
      }
      retired_.push_back(std::move(body));
    }
  }
  body = {};
}

void ParquetColumn::release() {
  retired_.clear();
  copies_.clear();
  retired_bytes_ = 0;
}

// The next entry's repetition level; loads a page where the last one is used up.
bool ParquetColumn::advance() {
  while (page_left_ == 0) {
    if (!next_page()) return false;
  }
  rep_ = 0;
  if (leaf_.max_rep > 0 && (!reps_.next(rep_) || rep_ > leaf_.max_rep)) {
    fail("a page's levels are broken");
  }
  peeked_ = true;
  return true;
}

bool ParquetColumn::next(Entry& entry) {
  if (!peeked_ && !advance()) return false;
  peeked_ = false;
  --page_left_;
  entry.rep = rep_;
  entry.def = 0;
  if (leaf_.max_def > 0 && (!defs_.next(entry.def) || entry.def > leaf_.max_def)) {
    fail("a page's levels are broken");
  }
  entry.value = {};
  if (entry.def < leaf_.max_def) return true;
  if (!values_.next(entry.value, copies_)) fail("a page ends before its last value");
  if (entry.value.kind == Value::Kind::text &&
      !simdjson::validate_utf8(entry.value.text.data(), entry.value.text.size())) {
    throw_error(ErrorKind::bad_format, where_,
                "column {} holds bytes that are not UTF-8 text; it may be the wrong column",
                quote(leaf_.name));
  }
  return true;
}

// One page, of any kind. False at the end of the chunk's values.
bool ParquetColumn::next_page() {
  if (chunk_left_ == 0) return false;
  check_interrupted();
  std::string_view bytes = file_.substr(position_, chunk_->end - position_);
  if (bytes.empty()) fail("the column chunk ends before its last page");
  const ParquetPage page = read_parquet_page(bytes, where_);
  position_ = chunk_->end - bytes.size() + page.size;
  switch (page.kind) {
    case ParquetPageKind::index:
      break;
    case ParquetPageKind::dictionary:
      load_dictionary(page, bytes);
      break;
    case ParquetPageKind::data:
    case ParquetPageKind::data_v2:
      load_data(page, bytes);
      break;
  }
  return true;
}

void ParquetColumn::load_dictionary(const ParquetPage& page, std::string_view bytes) {
  if (has_dictionary_) fail("the column chunk has two dictionaries");
  if (page.encoding != 0 && page.encoding != 2) {
    fail(fmt::format("the dictionary has encoding {}, expected PLAIN", page.encoding));
  }
  read_parquet_body(page, bytes, chunk_->codec, where_, dictionary_body_);
  if (!dictionary_.load(dictionary_body_.bytes, leaf_.type, page.values)) {
    fail("the dictionary ends before its last value");
  }
  has_dictionary_ = true;
}

// The levels in front of a v1 page's values; returns what follows.
std::string_view ParquetColumn::start_levels_v1(const ParquetPage& page, std::string_view body) {
  constexpr int32_t kRuns = 3;
  const auto take = [&](uint32_t most, int32_t encoding, RunDecoder& levels) {
    if (most == 0) return;
    if (encoding != kRuns) fail("a page's levels have the retired encoding BIT_PACKED");
    uint32_t size = 0;
    if (body.size() >= 4) std::memcpy(&size, body.data(), 4);
    if (body.size() < 4 || size > body.size() - 4) fail("a page's levels are cut short");
    levels = RunDecoder(body.substr(4, size), static_cast<unsigned>(std::bit_width(most)));
    body.remove_prefix(4 + size_t{size});
  };
  take(leaf_.max_rep, page.rep_encoding, reps_);
  take(leaf_.max_def, page.def_encoding, defs_);
  return body;
}

void ParquetColumn::load_data(const ParquetPage& page, std::string_view bytes) {
  if (page.values > chunk_left_) fail("the pages hold more values than the column chunk says");
  retire(body_);
  read_parquet_body(page, bytes, chunk_->codec, where_, body_);
  std::string_view body = body_.bytes;
  if (page.kind == ParquetPageKind::data) {
    body = start_levels_v1(page, body);
  } else {
    const auto width = [](uint32_t most) { return static_cast<unsigned>(std::bit_width(most)); };
    reps_ = RunDecoder(bytes.substr(0, page.rep_bytes), width(leaf_.max_rep));
    defs_ = RunDecoder(bytes.substr(page.rep_bytes, page.def_bytes), width(leaf_.max_def));
  }
  const ParquetDictionary* dictionary = has_dictionary_ ? &dictionary_ : nullptr;
  if (!values_.start(body, page.encoding, leaf_.type, page.values, dictionary)) {
    fail(fmt::format("a page's values cannot be read (encoding {})", page.encoding));
  }
  page_left_ = page.values;
  chunk_left_ -= page.values;
}

}  // namespace akin::store
