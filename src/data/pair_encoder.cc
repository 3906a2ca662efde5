// See pair_encoder.h.
#include "data/pair_encoder.h"

#include "base/error.h"

namespace akin::data {

PairEncoder::PairEncoder(const FilterOptions& options, std::string_view filter)
    : encoder_(options.encoder),
      query_(options.query_encoding),
      document_(options.document_encoding) {
  if (encoder_ == nullptr) {
    throw_error(ErrorKind::usage, "--model", "the filter {} asks a model; name one", filter);
  }
  query_.normalize = document_.normalize = true;
  dims_ = resolve_dims(encoder_->info(), query_);
  if (resolve_dims(encoder_->info(), document_) != dims_) {
    throw_error(ErrorKind::usage, "--dims", "queries and documents have different lengths");
  }
}

Mat<float> PairEncoder::queries(std::span<const std::string_view> texts) const {
  return encode(texts, query_);
}
Mat<float> PairEncoder::documents(std::span<const std::string_view> texts) const {
  return encode(texts, document_);
}

Mat<float> PairEncoder::encode(std::span<const std::string_view> texts,
                               const EncodeOptions& options) const {
  Mat<float> out(texts.size(), dims_);
  if (!texts.empty()) encoder_->encode(texts, options, out.view());
  return out;
}

std::vector<std::string_view> query_texts(std::span<Record* const> records) {
  std::vector<std::string_view> out;
  for (const Record* record : records) out.emplace_back(record->query);
  return out;
}
std::vector<std::string_view> positive_texts(std::span<Record* const> records) {
  std::vector<std::string_view> out;
  for (const Record* record : records) out.emplace_back(record->positive);
  return out;
}

// Four sums, for speed; always in the same order.
float cosine(const float* a, const float* b, size_t dims) {
  float sums[4] = {};
  size_t i = 0;
  for (; i + 4 <= dims; i += 4) {
    for (size_t j = 0; j < 4; ++j) sums[j] += a[i + j] * b[i + j];
  }
  for (; i < dims; ++i) sums[0] += a[i] * b[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace akin::data
