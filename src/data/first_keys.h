// Which of many records came before: keys go to disk in partitions, and a bit for each repeat comes
// out. Memory does not grow with the number of keys but for one partition (1/1024 of them) a
// thread. Knows no records.
//
// With one key a row, rows of one key are alike. With several (the bands of a signature), rows that
// share a key are candidates, and their signatures decide.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/threads.h"
#include "data/filter.h"

namespace akin::data {

class SignatureFile;

class FirstKeys {
 public:
  // Of the different rows of one key that later ones are compared with.
  static constexpr size_t kLeaders = 32;
  using Alike = std::function<bool(std::string_view signature, std::string_view other)>;

  // `spill` is created, and removed with the object; so is "<spill>.signatures" when the plan has
  // signatures. Without signatures the plan has one key.
  FirstKeys(std::filesystem::path spill, const FilterPlan& plan, Alike alike = {});
  ~FirstKeys();
  FirstKeys(const FirstKeys&) = delete;
  FirstKeys& operator=(const FirstKeys&) = delete;

  // Of the next row: 0, 1, 2, ... Where there are signatures, a key's low half is not looked at.
  // Errors: io.
  void add(std::span<const RecordKey> keys, std::string_view signature);
  uint64_t rows() const { return rows_; }

  // Writes a file with one bit a row, set where an earlier row is alike: has the same key or, with
  // signatures, shares a key, is one of the first kLeaders rows of that key which are not alike one
  // another, and is alike by signature. Returns how many are set. The file appears only when it is
  // complete. Errors: io, interrupted.
  uint64_t mark_repeats(const std::filesystem::path& bits, ThreadPool& pool);

 private:
  static constexpr size_t kPartitionBits = 10;
  static constexpr size_t kPartitions = size_t{1} << kPartitionBits;
  static constexpr size_t kChunkEntries = 512;
  struct Entry;       // key and row
  struct ShortEntry;  // half a key and row
  struct Chunk {
    uint32_t number, entries;  // in the spill, in chunks
  };

  size_t entry_bytes() const;
  void flush(size_t partition);
  template <typename E>
  std::vector<E> read(size_t partition) const;
  uint64_t mark_equal(size_t partition, std::atomic<uint64_t>* words) const;
  uint64_t mark_alike(size_t partition, std::atomic<uint64_t>* words) const;

  const std::filesystem::path spill_;
  const FilterPlan plan_;
  const Alike alike_;
  int fd_ = -1;
  uint32_t chunks_ = 0;
  uint64_t rows_ = 0;
  std::vector<std::vector<uint64_t>> buffers_;  // entries as words
  std::vector<std::vector<Chunk>> index_;
  std::unique_ptr<SignatureFile> signatures_;
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
