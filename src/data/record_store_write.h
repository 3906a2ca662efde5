// How a record store lies in its file, and the writer. Internal to record_store*.cc.
//
// header | blocks | directory. A block is up to kBlockRecords records, then a table of where each
// begins and where the last ends; the directory says where each table is. A record is a hash of
// what follows it, the two keys of its texts, and its packed form (record_io.h). Numbers are 64
// bits in the machine's byte order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/hash.h"
#include "data/record_store.h"

namespace akin::data {

inline constexpr uint64_t kStoreMagic = 0x65726f74736b6100;  // "\0akstore"
inline constexpr uint64_t kStoreVersion = 4;
inline constexpr uint64_t kBlockRecords = 4096;
inline constexpr size_t kKeyBytes = 32;  // a Hasher's hex()

struct StoreHeader {
  uint64_t magic = kStoreMagic, version = kStoreVersion;
  uint64_t file_bytes = 0, records = 0, directory_at = 0;
  RecordStore::RowCounts rows;
  RecordStore::Fields fields;
  char inputs[kKeyBytes] = {};    // of files and options: whether the store is still right
  char contents[kKeyBytes] = {};  // of the records
  uint64_t check = 0;             // hash of all before
};
struct RecordHead {
  uint64_t check = 0;  // hash of all behind
  TextKeys keys;
};

class StoreWriter {
 public:
  explicit StoreWriter(const std::filesystem::path& path);
  void write(const Record& record, const TextKeys& keys);
  uint64_t records() const { return header_.records; }
  // Makes the file appear. `inputs`: kKeyBytes long.
  void commit(std::string_view inputs, RecordStore::RowCounts rows);

 private:
  void count(const Record& record);
  void end_block();

  AtomicFile file_;
  Hasher contents_;
  StoreHeader header_;
  std::vector<uint64_t> begins_, tables_;
  std::string bytes_;
};

}  // namespace akin::data
