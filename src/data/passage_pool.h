// The passages of one source that stand against a pair's positive: a sample, embedded once, and the
// count of those nearer to a query. Internal to data/.
//
// Shapes: N passages, Q queries, E dims.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mat.h"
#include "data/pair_encoder.h"
#include "kernels/linear.h"

namespace akin::data {

// Of the different texts that pass by, those with the smallest hashes: the same sample in whatever
// order they come. Memory: 16 bytes a text of the sample.
class TextSample {
 public:
  TextSample(uint64_t most, uint64_t seed) : most_(most), seed_(seed) {}
  void offer(std::string_view text);
  void finish();  // no more offers; now takes
  // True once for each text of the sample.
  bool take(std::string_view text);
  size_t size() const { return hashes_.size(); }

 private:
  void cut();
  const uint64_t most_, seed_;
  uint64_t below_ = UINT64_MAX;  // hashes from here on need not be offered
  std::vector<uint64_t> hashes_;
  std::vector<uint8_t> taken_;
};

// Immutable once filled. Memory: 4 E bytes a passage.
class PassagePool {
 public:
  static constexpr size_t kBlock = 1024;

  void add(std::string_view text, const PairEncoder& encoder);  // not thread-safe
  void finish(const PairEncoder& encoder);
  size_t size() const { return size_; }

  // For each query the number of passages that are nearer to it than its score, by more than
  // rounding; counting stops at `most`. queries: [Q, E]; scores: Q. Thread-safe.
  std::vector<uint32_t> count_nearer(MatView<const float> queries, std::span<const float> scores,
                                     uint32_t most) const;

 private:
  void embed(const PairEncoder& encoder);
  std::vector<std::string> waiting_;
  std::vector<kernels::PackedLinear> blocks_;
  size_t size_ = 0;
};

}  // namespace akin::data
