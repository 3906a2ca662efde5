// A supervised fastText model as numbers: what a .bin or .ftz file holds, checked. It does not
// classify: that is language_fasttext.cc. Every size is checked before it is believed, since the
// files come from anywhere. Follows the layout that fastText 0.9 writes (version 12). Internal to
// data/.
//
// Shapes: V words, B buckets of n-grams, L labels, D dims.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/hash_map.h"

namespace akin::data {

// A matrix that is stored plainly or product-quantised; row() gives floats either way.
class FastTextMatrix {
 public:
  size_t rows() const { return rows_; }
  size_t cols() const { return cols_; }
  void add_row(size_t row, std::span<float> out) const;  // out += row

 private:
  friend class FastTextReader;
  struct Quantizer {
    size_t parts = 0, part_dims = 0, last_dims = 0;
    std::vector<float> centroids;
  };
  size_t rows_ = 0, cols_ = 0;
  std::vector<float> values_;  // empty when quantised
  std::vector<uint8_t> codes_, norm_codes_;
  Quantizer quantizer_, norms_;
};

enum class FastTextLoss : uint8_t { hierarchical = 1, negative = 2, softmax = 3, one_vs_all = 4 };

struct FastTextFile {
  uint32_t word_ngrams = 1, bucket = 0, min_chars = 0, max_chars = 0;
  FastTextLoss loss = FastTextLoss::softmax;
  std::unordered_map<std::string, uint32_t> words;  // to rows of `input`
  uint32_t word_count = 0;
  std::vector<std::string> labels;
  std::vector<int64_t> label_counts;
  bool pruned = false;           // only the n-grams of `kept` have a row
  HashMap kept;                  // bucket + 1 -> row behind the words
  FastTextMatrix input, output;  // [V + B or kept, D], [L, D]
};

// Errors: not_found, io, bad_format; unsupported (not a classifier, another version).
FastTextFile read_fasttext_file(const std::filesystem::path& path);

}  // namespace akin::data
