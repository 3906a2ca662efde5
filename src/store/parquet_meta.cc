// See parquet_meta.h.
#include "store/parquet_meta.h"

#include <cstring>

#include "base/error.h"
#include "store/thrift_compact.h"

namespace akin::store {
namespace {

using Field = ThriftReader::Field;
using Type = ThriftReader::Type;

constexpr uint64_t kMaxFooterBytes = uint64_t{256} << 20;
constexpr size_t kMaxDepth = 64;

// LogicalType is a union: one field says which.
void read_logical_type(ThriftReader& in, ParquetNode& node) {
  for (Field f; in.next_field(f);) {
    if (f.id == 2) node.map = true;
    if (f.id == 3) node.list = true;
    if (f.id == 5) node.decimal = true;
    if (f.id != 10) {
      in.skip(f.type);
      continue;
    }
    in.structure(f);
    for (Field i; in.next_field(i);) {
      if (i.id == 2) {
        node.unsigned_int = !in.boolean(i);
      } else {
        in.skip(i.type);
      }
    }
  }
}

void apply_converted_type(ParquetNode& node) {
  constexpr int kMap = 1, kMapKeyValue = 2, kList = 3, kDecimal = 5, kUint8 = 11, kUint64 = 14;
  node.map = node.map || node.converted == kMap || node.converted == kMapKeyValue;
  node.list = node.list || node.converted == kList;
  node.decimal = node.decimal || node.converted == kDecimal;
  node.unsigned_int = node.unsigned_int || (node.converted >= kUint8 && node.converted <= kUint64);
}

ParquetNode read_node(ThriftReader& in) {
  ParquetNode node;
  for (Field f; in.next_field(f);) {
    switch (f.id) {
      case 1: {
        const int32_t type = in.int32(f);
        if (type < 0 || type > 7) in.fail("a column has an unknown physical type");
        node.type = static_cast<ParquetType>(type);
        node.leaf = true;
        break;
      }
      case 3: {
        const int32_t repetition = in.int32(f);
        if (repetition < 0 || repetition > 2) in.fail("a column has an unknown repetition");
        node.repetition = static_cast<ParquetRepetition>(repetition);
        break;
      }
      case 4:
        node.name = in.binary(f);
        break;
      case 5: {
        const int32_t children = in.int32(f);
        if (children < 0) in.fail("a column has a negative number of fields");
        node.children = static_cast<size_t>(children);
        break;
      }
      case 6:
        node.converted = in.int32(f);
        break;
      case 7:
        node.scale = in.int32(f);
        break;
      case 10:
        in.structure(f);
        read_logical_type(in, node);
        break;
      default:
        in.skip(f.type);
    }
  }
  if (node.children > 0) node.leaf = false;
  apply_converted_type(node);
  return node;
}

// The counts of fields must make one tree of exactly these nodes.
void check_tree(const ThriftReader& in, ParquetMeta& meta) {
  if (meta.nodes.empty() || meta.nodes[0].leaf) in.fail("the Parquet schema has no root");
  std::vector<size_t> open = {meta.nodes[0].children};
  for (size_t i = 1; i < meta.nodes.size(); ++i) {
    while (!open.empty() && open.back() == 0) open.pop_back();
    if (open.empty()) in.fail("the Parquet schema has fields that belong to nothing");
    --open.back();
    const ParquetNode& node = meta.nodes[i];
    if (node.leaf) {
      ++meta.leaves;
    } else {
      open.push_back(node.children);
    }
    if (open.size() > kMaxDepth) in.fail("the Parquet schema is nested too deep");
  }
  for (const size_t left : open) {
    if (left != 0) in.fail("the Parquet schema is cut short");
  }
}

void read_chunk_meta(ThriftReader& in, ParquetChunk& chunk, uint64_t data_bytes) {
  int64_t data = -1, dictionary = -1, size = -1;
  for (Field f; in.next_field(f);) {
    switch (f.id) {
      case 1: {
        const int32_t type = in.int32(f);
        if (type < 0 || type > 7) in.fail("a column has an unknown physical type");
        chunk.type = static_cast<ParquetType>(type);
        break;
      }
      case 4:
        chunk.codec = in.int32(f);
        break;
      case 5:
        chunk.values = in.integer(f);
        break;
      case 7:
        size = in.integer(f);
        break;
      case 9:
        data = in.integer(f);
        break;
      case 11:
        dictionary = in.integer(f);
        break;
      default:
        in.skip(f.type);
    }
  }
  // Some writers say 0 where there is no dictionary.
  const int64_t begin = dictionary >= 4 && dictionary < data ? dictionary : data;
  if (chunk.values < 0 || size < 0 || begin < 0 || static_cast<uint64_t>(begin) > data_bytes ||
      static_cast<uint64_t>(size) > data_bytes - static_cast<uint64_t>(begin)) {
    in.fail("a column chunk lies outside of the file");
  }
  chunk.begin = static_cast<uint64_t>(begin);
  chunk.end = chunk.begin + static_cast<uint64_t>(size);
  chunk.usable = true;
}

ParquetChunk read_chunk(ThriftReader& in, uint64_t data_bytes) {
  ParquetChunk chunk;
  bool elsewhere = false;
  for (Field f; in.next_field(f);) {
    if (f.id == 1) {
      elsewhere = !in.binary(f).empty();
    } else if (f.id == 3) {
      in.structure(f);
      read_chunk_meta(in, chunk, data_bytes);
    } else {
      elsewhere = elsewhere || f.id == 8;  // crypto_metadata
      in.skip(f.type);
    }
  }
  if (elsewhere) chunk.usable = false;
  return chunk;
}

ParquetRowGroup read_group(ThriftReader& in, const ParquetMeta& meta, uint64_t data_bytes) {
  ParquetRowGroup group;
  for (Field f; in.next_field(f);) {
    if (f.id == 1) {
      const size_t count = in.list(f, Type::structure);
      if (count != meta.leaves) in.fail("a row group does not have all columns of the schema");
      group.chunks.reserve(count);
      for (size_t i = 0; i < count; ++i) group.chunks.push_back(read_chunk(in, data_bytes));
    } else if (f.id == 3) {
      group.rows = in.integer(f);
    } else {
      in.skip(f.type);
    }
  }
  if (group.rows < 0 || group.chunks.size() != meta.leaves) in.fail("a row group is incomplete");
  return group;
}

uint32_t little_endian32(std::string_view bytes) {
  uint32_t out = 0;
  for (unsigned i = 0; i < 4; ++i) {
    out |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  }
  return out;
}

// The bytes of the footer's structure.
std::string_view find_footer(std::string_view file, const std::string& where) {
  constexpr size_t kEndBytes = 8;
  if (file.empty()) {
    throw_error(ErrorKind::bad_format, where, "the file is empty; get it again");
  }
  if (file.starts_with("PARE") || file.ends_with("PARE")) {
    throw_error(ErrorKind::unsupported, where,
                "the Parquet file is encrypted; write it again without encryption");
  }
  if (!file.starts_with("PAR1")) {
    throw_error(ErrorKind::bad_format, where,
                "not a Parquet file: it begins with {}, expected \"PAR1\"{}",
                quote(file.substr(0, 8)),
                file.starts_with("version https://git-lfs")
                    ? "; it is a Git LFS pointer, get the file itself (git lfs pull)"
                    : "; get it again or name it by its format");
  }
  if (file.size() < 4 + kEndBytes || !file.ends_with("PAR1")) {
    throw_error(ErrorKind::bad_format, where,
                "the Parquet file is cut short ({} bytes, no \"PAR1\" at the end); get it again",
                file.size());
  }
  const uint64_t size = little_endian32(file.substr(file.size() - kEndBytes));
  if (size > file.size() - 4 - kEndBytes || size > kMaxFooterBytes) {
    throw_error(ErrorKind::bad_format, where,
                "the Parquet footer says {} bytes, the file has {}; the file is damaged, get it "
                "again",
                size, file.size());
  }
  return file.substr(file.size() - kEndBytes - size, size);
}

void read_dictionary_header(ThriftReader& in, ParquetPage& page, bool& found) {
  found = true;
  for (Field f; in.next_field(f);) {
    if (f.id == 1) {
      page.values = static_cast<uint32_t>(in.int32(f));
    } else if (f.id == 2) {
      page.encoding = in.int32(f);
    } else {
      in.skip(f.type);
    }
  }
}

void read_data_header(ThriftReader& in, ParquetPage& page, bool& found) {
  found = true;
  for (Field f; in.next_field(f);) {
    switch (f.id) {
      case 1:
        page.values = static_cast<uint32_t>(in.int32(f));
        break;
      case 2:
        page.encoding = in.int32(f);
        break;
      case 3:
        page.def_encoding = in.int32(f);
        break;
      case 4:
        page.rep_encoding = in.int32(f);
        break;
      default:
        in.skip(f.type);
    }
  }
}

void read_data_header_v2(ThriftReader& in, ParquetPage& page, bool& found) {
  found = true;
  for (Field f; in.next_field(f);) {
    switch (f.id) {
      case 1:
        page.values = static_cast<uint32_t>(in.int32(f));
        break;
      case 4:
        page.encoding = in.int32(f);
        break;
      case 5:
        page.def_bytes = static_cast<uint32_t>(in.int32(f));
        break;
      case 6:
        page.rep_bytes = static_cast<uint32_t>(in.int32(f));
        break;
      case 7:
        page.compressed = in.boolean(f);
        break;
      default:
        in.skip(f.type);
    }
  }
}

void check_page(const ThriftReader& in, const ParquetPage& page, bool found) {
  constexpr uint32_t kMost = INT32_MAX;  // negative numbers lie above
  const bool has_values = page.kind != ParquetPageKind::index;
  if (has_values && !found) in.fail("a page header lacks the part for its kind");
  if (page.size > in.rest().size()) in.fail("a page is longer than its column chunk");
  if (page.raw_size > kMost || page.values > kMost) in.fail("a page header has a negative size");
  if (page.kind == ParquetPageKind::data_v2) {
    const uint64_t levels = uint64_t{page.rep_bytes} + page.def_bytes;
    if (levels > page.size || levels > page.raw_size) {
      in.fail("the levels of a page are longer than the page");
    }
  }
}

}  // namespace

ParquetMeta read_parquet_meta(std::string_view file, const std::string& where) {
  ThriftReader in(find_footer(file, where), where);
  const uint64_t data_bytes = file.size() - 8;
  ParquetMeta meta;
  bool schema_seen = false;
  for (Field f; in.next_field(f);) {
    if (f.id == 2) {
      const size_t count = in.list(f, Type::structure);
      if (schema_seen) in.fail("the Parquet footer has two schemas");
      for (size_t i = 0; i < count; ++i) meta.nodes.push_back(read_node(in));
      check_tree(in, meta);
      schema_seen = true;
    } else if (f.id == 4) {
      if (!schema_seen) in.fail("the Parquet footer has row groups before its schema");
      const size_t count = in.list(f, Type::structure);
      for (size_t i = 0; i < count; ++i) meta.groups.push_back(read_group(in, meta, data_bytes));
    } else {
      in.skip(f.type);
    }
  }
  if (!schema_seen) in.fail("the Parquet footer has no schema");
  return meta;
}

ParquetPage read_parquet_page(std::string_view& bytes, const std::string& where) {
  ThriftReader in(bytes, where);
  ParquetPage page;
  bool data = false, data_v2 = false, dictionary = false;
  for (Field f; in.next_field(f);) {
    switch (f.id) {
      case 1: {
        const int32_t kind = in.int32(f);
        if (kind < 0 || kind > 3) in.fail("a page is of an unknown kind");
        page.kind = static_cast<ParquetPageKind>(kind);
        break;
      }
      case 2:
        page.raw_size = static_cast<uint32_t>(in.int32(f));
        break;
      case 3:
        page.size = static_cast<uint32_t>(in.int32(f));
        break;
      case 4:
        page.crc = static_cast<uint32_t>(in.int32(f));
        page.has_crc = true;
        break;
      case 5:
        in.structure(f);
        read_data_header(in, page, data);
        break;
      case 7:
        in.structure(f);
        read_dictionary_header(in, page, dictionary);
        break;
      case 8:
        in.structure(f);
        read_data_header_v2(in, page, data_v2);
        break;
      default:
        in.skip(f.type);
    }
  }
  check_page(in, page,
             page.kind == ParquetPageKind::data         ? data
             : page.kind == ParquetPageKind::dictionary ? dictionary
                                                        : data_v2);
  bytes = in.rest();
  return page;
}

}  // namespace akin::store
