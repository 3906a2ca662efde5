// The encodings of Parquet's pages: levels, dictionary numbers, and values, one at a time, so that
// no lying count costs memory. Internal to store/. Follows Encodings.md of Apache Parquet.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "store/parquet_meta.h"
#include "store/rows.h"

namespace akin::store {

// Numbers of a fixed width in bits, as runs of one number or packed (RLE / bit-packing hybrid).
class RunDecoder {
 public:
  RunDecoder() = default;
  RunDecoder(std::string_view bytes, unsigned bit_width) : rest_(bytes), width_(bit_width) {}
  // False when the bytes are used up or broken.
  bool next(uint32_t& value) {
    if (repeats_ > 0) {
      --repeats_;
      value = repeated_;
      return true;
    }
    return next_slow(value);
  }

 private:
  bool next_slow(uint32_t& value);
  bool next_run();

  std::string_view rest_, packed_;
  unsigned width_ = 0;
  uint64_t repeats_ = 0, packed_left_ = 0, bit_ = 0;
  uint32_t repeated_ = 0;
};

// DELTA_BINARY_PACKED integers.
class DeltaDecoder {
 public:
  DeltaDecoder() = default;
  explicit DeltaDecoder(std::string_view bytes);
  bool next(int64_t& value);  // false at the end, or when the bytes are broken
  // The bytes behind the last number. False when the bytes are broken. Cost: no number is decoded.
  static bool split(std::string_view bytes, std::string_view& numbers, std::string_view& behind);

 private:
  bool read_header();
  bool next_miniblock();

  std::string_view rest_, widths_, packed_;
  bool good_ = false, first_ = true;
  uint64_t miniblock_values_ = 0, miniblocks_ = 0;
  uint64_t left_ = 0, miniblock_left_ = 0, bit_ = 0;
  unsigned width_ = 0;
  uint64_t last_ = 0, min_delta_ = 0;
};

// Bits [begin, begin + width) of little-endian packed bytes; width <= 64; they must be there.
uint64_t unpack_bits(std::string_view bytes, uint64_t begin, unsigned width);

// How the physical values of a column become Values.
struct ParquetLeafType {
  ParquetType type = ParquetType::boolean;
  bool unsigned_int = false, decimal = false;
  int scale = 0;
  size_t bytes() const;  // of a value of fixed size; 0: boolean, bytes
};

// A dictionary page: PLAIN values that are asked for by number. Borrows the page.
class ParquetDictionary {
 public:
  ParquetDictionary() = default;
  // False when the page does not hold `values` values.
  bool load(std::string_view bytes, ParquetLeafType type, uint32_t values);
  bool get(uint32_t index, Value& out) const;

 private:
  std::string_view bytes_;
  ParquetLeafType type_;
  uint32_t values_ = 0;
  std::vector<uint32_t> offsets_;  // bytes only
};

// The values of one data page, nulls left out. Borrows page and dictionary.
class ParquetValues {
 public:
  enum class Encoding : uint8_t {
    plain,
    dictionary,
    runs,
    delta,
    delta_length,
    delta_bytes,
    split
  };

  // False when there is no such encoding for this type (then the caller says so). `values` is the
  // most that can follow.
  bool start(std::string_view bytes, int32_t encoding, ParquetLeafType type, uint32_t values,
             const ParquetDictionary* dictionary);
  // False when the bytes are used up or broken. Texts that are not in the page go to `copies`.
  bool next(Value& out, std::deque<std::string>& copies);

 private:
  bool start_deltas();
  bool next_plain(Value& out);
  bool next_split(Value& out);
  bool next_delta_length(std::string_view& out);
  bool next_delta_bytes(Value& out, std::deque<std::string>& copies);

  std::string_view rest_;
  Encoding encoding_ = Encoding::plain;
  ParquetLeafType type_;
  const ParquetDictionary* dictionary_ = nullptr;
  RunDecoder runs_;
  DeltaDecoder delta_, prefixes_;
  std::string previous_;  // of DELTA_BYTE_ARRAY
  uint64_t position_ = 0, split_values_ = 0;
};

}  // namespace akin::store
