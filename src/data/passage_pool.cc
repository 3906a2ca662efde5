// See passage_pool.h. Passages are the packed side of the product, in blocks; the queries that have
// met enough nearer passages leave it.
#include "data/passage_pool.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"

namespace akin::data {
namespace {

// Two sums of the same products in different order differ by less; a text equal to the positive is
// not nearer than it.
constexpr float kRounding = 4e-6F;

// The queries that are still in the race.
struct Race {
  std::vector<size_t> numbers;
  kernels::Operand operand;

  void set(MatView<const float> queries, kernels::Backend backend) {
    operand.reserve(backend, numbers.size(), queries.cols());
    for (size_t i = 0; i < numbers.size(); ++i) {
      operand.set_rows(i, queries.row_range(numbers[i], 1));
    }
  }
};

}  // namespace

void TextSample::offer(std::string_view text) {
  const uint64_t hash = hash64(text, seed_);
  if (hash >= below_) return;
  hashes_.push_back(hash);
  if (hashes_.size() >= 2 * most_ + 1024) cut();
}

void TextSample::cut() {
  std::sort(hashes_.begin(), hashes_.end());
  hashes_.erase(std::unique(hashes_.begin(), hashes_.end()), hashes_.end());
  if (hashes_.size() <= most_) return;
  below_ = hashes_[most_];
  hashes_.resize(most_);
}

void TextSample::finish() {
  cut();
  hashes_.shrink_to_fit();
  taken_.assign(hashes_.size(), 0);
}

bool TextSample::take(std::string_view text) {
  const uint64_t hash = hash64(text, seed_);
  const auto at = std::lower_bound(hashes_.begin(), hashes_.end(), hash);
  if (at == hashes_.end() || *at != hash) return false;
  uint8_t& taken = taken_[static_cast<size_t>(at - hashes_.begin())];
  return std::exchange(taken, uint8_t{1}) == 0;
}

void PassagePool::add(std::string_view text, const PairEncoder& encoder) {
  waiting_.emplace_back(text);
  if (waiting_.size() == kBlock) embed(encoder);
}

void PassagePool::finish(const PairEncoder& encoder) {
  if (!waiting_.empty()) embed(encoder);
  waiting_.shrink_to_fit();
}

void PassagePool::embed(const PairEncoder& encoder) {
  const std::vector<std::string_view> texts(waiting_.begin(), waiting_.end());
  const Mat<float> vectors = encoder.documents(texts);
  const auto read = [&](size_t row, std::span<float> out) {
    std::copy_n(vectors.view().row(row), out.size(), out.begin());
  };
  blocks_.emplace_back(kernels::choose_backend(Precision::f32), vectors.rows(), vectors.cols(),
                       read, std::span<const float>{});
  size_ += texts.size();
  waiting_.clear();
}

std::vector<uint32_t> PassagePool::count_nearer(MatView<const float> queries,
                                                std::span<const float> scores,
                                                uint32_t most) const {
  AKIN_CHECK(queries.rows() == scores.size());
  std::vector<uint32_t> out(queries.rows(), 0);
  if (queries.rows() == 0) return out;
  const kernels::Backend backend = kernels::choose_backend(Precision::f32);
  Race race;
  race.numbers.resize(queries.rows());
  std::iota(race.numbers.begin(), race.numbers.end(), size_t{0});
  race.set(queries, backend);
  AlignedArray<float> products(race.numbers.size() * kBlock);
  for (const auto& block : blocks_) {
    const MatView<float> y(products.data(), race.numbers.size(), block.n());
    block.run(race.operand, race.numbers.size(), {}, y);
    size_t left = 0;
    for (size_t i = 0; i < race.numbers.size(); ++i) {
      const size_t number = race.numbers[i];
      const float bar = scores[number] + kRounding;
      const auto nearer =
          std::count_if(y.row(i), y.row(i) + y.cols(), [&](float score) { return score > bar; });
      out[number] += static_cast<uint32_t>(nearer);
      left += out[number] < most ? 1 : 0;
    }
    if (left == 0) break;
    // Packing the operand anew costs something: only where it pays.
    if (4 * left > 3 * race.numbers.size()) continue;
    std::erase_if(race.numbers, [&](size_t number) { return out[number] >= most; });
    race.set(queries, backend);
  }
  return out;
}

}  // namespace akin::data
