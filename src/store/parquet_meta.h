// What a Parquet file says of itself: schema, row groups, column chunks, page headers. Parsing and
// checks only; pages are parquet_column.h. Internal to store/. Follows parquet.thrift of Apache
// Parquet (format 2.11).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace akin::store {

enum class ParquetType : uint8_t { boolean, int32, int64, int96, float32, float64, bytes, fixed };
enum class ParquetRepetition : uint8_t { required, optional, repeated };
enum class ParquetCodec : uint8_t { none, snappy, gzip, lzo, brotli, lz4, zstd, lz4_raw };

// One node of the schema tree, which is flat, depth first.
struct ParquetNode {
  std::string_view name;
  bool leaf = false;
  ParquetType type = ParquetType::boolean;
  ParquetRepetition repetition = ParquetRepetition::required;
  size_t children = 0;
  int converted = -1;  // the older annotation
  bool list = false, map = false, unsigned_int = false, decimal = false;
  int scale = 0;
};

struct ParquetChunk {
  ParquetType type = ParquetType::boolean;
  int32_t codec = 0;
  int64_t values = 0;           // nulls and empty lists included
  uint64_t begin = 0, end = 0;  // in the file
  bool usable = false;          // in this file and not encrypted
};

struct ParquetRowGroup {
  int64_t rows = 0;
  std::vector<ParquetChunk> chunks;  // one per leaf
};

struct ParquetMeta {
  std::vector<ParquetNode> nodes;  // [0] is the root
  std::vector<ParquetRowGroup> groups;
  size_t leaves = 0;
};

// Names are borrowed from `file`. Errors: bad_format (not Parquet, cut, damaged), unsupported
// (encrypted).
ParquetMeta read_parquet_meta(std::string_view file, const std::string& where);

enum class ParquetPageKind : uint8_t { data, index, dictionary, data_v2 };

struct ParquetPage {
  ParquetPageKind kind = ParquetPageKind::data;
  uint32_t size = 0, raw_size = 0;  // compressed, decompressed
  uint32_t values = 0;
  int32_t encoding = 0;
  int32_t rep_encoding = 3, def_encoding = 3;  // v1
  uint32_t rep_bytes = 0, def_bytes = 0;       // v2
  bool compressed = true;                      // v2
  bool has_crc = false;
  uint32_t crc = 0;
};

// The header at the beginning of `bytes`, which then begins behind it and holds the page's `size`
// bytes at least.
ParquetPage read_parquet_page(std::string_view& bytes, const std::string& where);

}  // namespace akin::store
