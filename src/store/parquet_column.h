// One column of a Parquet file, entry by entry over pages and row groups: page bodies are checked
// and decompressed here, one at a time. Internal to store/.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/mat.h"
#include "store/parquet_decode.h"
#include "store/parquet_meta.h"

namespace akin::store {

// A page's bytes behind compression: the file's own, or `owned`.
struct ParquetBody {
  AlignedArray<char> owned;
  std::string_view bytes;
};
// The page's body, checked and decompressed; of v2 without the levels. Errors: bad_format
// (damaged), unsupported (a codec).
void read_parquet_body(const ParquetPage& page, std::string_view bytes, int32_t codec,
                       const std::string& where, ParquetBody& out);

// The place of a leaf in the schema.
struct ParquetLeaf {
  size_t index = 0;  // among the leaves
  std::string name;  // for messages
  ParquetLeafType type;
  uint32_t max_def = 0, max_rep = 0;
};

class ParquetColumn {
 public:
  struct Entry {
    uint32_t rep = 0, def = 0;
    Value value;  // null where def < max_def
  };

  // Borrows file and meta. max_row_bytes bounds what one row keeps.
  ParquetColumn(std::string_view file, const ParquetMeta& meta, ParquetLeaf leaf, std::string where,
                uint64_t max_row_bytes);

  const ParquetLeaf& leaf() const { return leaf_; }
  void start_group(size_t group);
  // Texts of the entries so far are no longer needed.
  void release();
  // The repetition level of the next entry. False at the end of the row group.
  bool peek(uint32_t& rep) {
    if (!peeked_ && !advance()) return false;
    rep = rep_;
    return true;
  }
  bool next(Entry& entry);
  uint64_t file_position() const { return chunk_ == nullptr ? 0 : position_; }

  [[noreturn]] void fail(std::string_view what) const;

 private:
  bool advance();
  bool next_page();
  void load_dictionary(const ParquetPage& page, std::string_view bytes);
  void load_data(const ParquetPage& page, std::string_view bytes);
  std::string_view start_levels_v1(const ParquetPage& page, std::string_view body);
  void retire(ParquetBody& body);

  const std::string_view file_;
  const ParquetMeta& meta_;
  const ParquetLeaf leaf_;
  const std::string where_;
  const uint64_t max_row_bytes_;

  const ParquetChunk* chunk_ = nullptr;
  uint64_t position_ = 0, chunk_left_ = 0;  // entries
  uint32_t page_left_ = 0;
  bool peeked_ = false;
  uint32_t rep_ = 0;
  RunDecoder reps_, defs_;
  ParquetValues values_;
  ParquetDictionary dictionary_;
  bool has_dictionary_ = false;
  ParquetBody body_, dictionary_body_;
  std::vector<ParquetBody> retired_;
  uint64_t retired_bytes_ = 0;
  std::deque<std::string> copies_;
};

}  // namespace akin::store
