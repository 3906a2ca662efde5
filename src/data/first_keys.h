// Which of many keys came before: keys go to disk in partitions, and a bit for each repeat comes
// out. Memory does not grow with the number of keys but for one partition (1/1024 of them) a
// thread. Knows no records.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/file.h"
#include "base/threads.h"
#include "data/filter.h"

namespace akin::data {

class FirstKeys {
 public:
  // `spill` is created, and removed with the object.
  explicit FirstKeys(std::filesystem::path spill);
  ~FirstKeys();
  FirstKeys(const FirstKeys&) = delete;
  FirstKeys& operator=(const FirstKeys&) = delete;

  void add(const RecordKey& key);  // of the next row: 0, 1, 2, ... Errors: io
  uint64_t rows() const { return rows_; }

  // Writes a file with one bit a row, set where an earlier row has the same key; returns how many
  // are set. The file appears only when it is complete. Errors: io, interrupted.
  uint64_t mark_repeats(const std::filesystem::path& bits, ThreadPool& pool);

 private:
  static constexpr size_t kPartitionBits = 10;
  static constexpr size_t kPartitions = size_t{1} << kPartitionBits;
  static constexpr size_t kChunkEntries = 512;
  struct Entry {
    uint64_t high, low, row;
  };
  struct Chunk {
    uint32_t number, entries;  // in the spill, in chunks
  };

  void flush(size_t partition);
  std::vector<Entry> read(size_t partition) const;
  uint64_t mark(size_t partition, std::atomic<uint64_t>* words) const;

  const std::filesystem::path spill_;
  int fd_ = -1;
  uint32_t chunks_ = 0;
  uint64_t rows_ = 0;
  std::vector<std::vector<Entry>> buffers_;
  std::vector<std::vector<Chunk>> index_;
};

// Reads what mark_repeats() wrote. Errors: not_found, io; bad_format for a row beyond its end.
class RepeatBits {
 public:
  explicit RepeatBits(const std::filesystem::path& path);
  bool repeated(uint64_t row) const;

 private:
  MappedFile file_;
};

}  // namespace akin::data
