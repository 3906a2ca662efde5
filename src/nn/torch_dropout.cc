// The hash of (row key, column) is a 32-bit finaliser of the xorshift-multiply kind; keys come from
// xxHash over (seed, text, place, row).
#include "nn/torch_dropout.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/hash.h"

namespace akin::nn {
namespace {

// x ^ (x >>> shift) on 32-bit words, which torch shifts with their sign.
at::Tensor fold(const at::Tensor& x, int64_t shift) {
  const int64_t mask = (int64_t{1} << (32 - shift)) - 1;
  return x.bitwise_xor(x.bitwise_right_shift(shift).bitwise_and(mask));
}

int32_t wrap(uint64_t value) { return static_cast<int32_t>(static_cast<uint32_t>(value)); }

uint32_t row_key(uint64_t base, uint64_t row) {
  uint64_t z = base + row * 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return static_cast<uint32_t>(z >> 32);
}

}  // namespace

at::Tensor dropout_keys(const DropoutSeed& seed, const std::vector<uint64_t>& texts,
                        const std::vector<int64_t>& rows_per_text, int64_t blocks, uint64_t place) {
  AKIN_CHECK(texts.size() == rows_per_text.size());
  int64_t total = 0;
  for (const int64_t rows : rows_per_text) total += rows;
  at::Tensor keys = at::empty({total * blocks}, at::kInt);
  int32_t* out = keys.data_ptr<int32_t>();
  for (size_t b = 0; b < texts.size(); ++b) {
    const uint64_t words[] = {seed.seed, seed.first_text + texts[b], place};
    const uint64_t base =
        hash64(std::string_view(reinterpret_cast<const char*>(words), sizeof(words)));
    for (int64_t block = 0; block < blocks; ++block) {
      for (int64_t r = 0; r < rows_per_text[b]; ++r)
        *out++ = wrap(row_key(base, static_cast<uint64_t>((block << 32) + r)));
    }
  }
  return keys;
}

at::Tensor dropout_keys(const DropoutSeed& seed, const TokenBatch& batch, uint64_t place) {
  std::vector<uint64_t> texts;
  std::vector<int64_t> rows;
  for (size_t b = 0; b < batch.size(); ++b) {
    texts.push_back(b);
    rows.push_back(static_cast<int64_t>(batch.text(b).size()));
  }
  return dropout_keys(seed, texts, rows, 1, place);
}

at::Tensor drop(const at::Tensor& x, const at::Tensor& keys, double p) {
  if (!keys.defined() || p <= 0) return x;
  const int64_t columns = x.size(-1);
  at::Tensor hash = at::arange(columns, keys.options()).mul(wrap(0x9E3779B1U)).unsqueeze(0);
  hash = fold(hash + keys.unsqueeze(1), 16).mul_(wrap(0x7FEB352DU));
  hash = fold(hash, 15).mul_(wrap(0x846CA68BU));
  hash = fold(hash, 16);
  const double low = std::numeric_limits<int32_t>::min();
  const at::Tensor kept = hash.ge(static_cast<int64_t>(std::llround(low + p * 0x1p32)));
  return x * kept.view(x.sizes()).to(x.scalar_type()).mul_(1.0 / (1.0 - p));
}

}  // namespace akin::nn
