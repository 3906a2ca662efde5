// The model that filters ask about pairs: unit vectors of queries and documents, with the prompts
// of each side. Borrows the encoder. Internal to data/.
//
// Shapes: B texts, E dims.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/mat.h"
#include "data/filter.h"

namespace akin::data {

// Thread-safe.
class PairEncoder {
 public:
  // Errors: usage, naming the filter, when the options hold no encoder.
  PairEncoder(const FilterOptions& options, std::string_view filter);

  size_t dims() const { return dims_; }
  Mat<float> queries(std::span<const std::string_view> texts) const;    // [B, E]
  Mat<float> documents(std::span<const std::string_view> texts) const;  // [B, E]

 private:
  Mat<float> encode(std::span<const std::string_view> texts, const EncodeOptions& options) const;
  Encoder* encoder_;
  EncodeOptions query_, document_;
  size_t dims_;
};

std::vector<std::string_view> query_texts(std::span<Record* const> records);
std::vector<std::string_view> positive_texts(std::span<Record* const> records);

// Cosine of two unit vectors of `dims` floats.
float cosine(const float* a, const float* b, size_t dims);

}  // namespace akin::data
