// The choices of finished blocks of queries, in the work folder: what a killed run need not search
// again. Not a format for exchange.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "mine/miner.h"
#include "mine/tally.h"

namespace akin::mine {

// The documents chosen for every row: of row i, documents[begins[i]] to documents[begins[i + 1]].
struct Choices {
  std::vector<uint32_t> documents;
  std::vector<size_t> begins;
  std::span<const uint32_t> operator[](size_t row) const {
    return {documents.data() + begins[row], begins[row + 1] - begins[row]};
  }
};

class Parts {
 public:
  // key: names the run; parts of other runs are not seen.
  Parts(std::filesystem::path folder, std::string key)
      : folder_(std::move(folder)), key_(std::move(key)) {}

  // Errors: io.
  void write(size_t block, std::span<const Choice> choices, const Tally& tally) const;
  // False when the block is not there or is damaged.
  bool has(size_t block) const;
  // All blocks at once, and the sum of their tallies. Errors: io; bad_format, when one is damaged.
  Choices read(size_t blocks, size_t rows, Tally& tally) const;

 private:
  std::filesystem::path file(size_t block) const;
  bool take(size_t block, std::vector<uint32_t>& numbers, Tally& tally) const;
  std::filesystem::path folder_;
  std::string key_;
};

}  // namespace akin::mine
