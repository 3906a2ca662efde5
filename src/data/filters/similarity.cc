// Similarity: pairs whose two sides a model finds too different.
//
// Computes  the cosine of query and positive by the model.
// Data      any record; one with a label stays, since a low similarity may be what it teaches.
// Options   encoder (required), min_similarity (default 0.43; it belongs to the model: look at the
//           samples of the report before trusting a value).
// Removes   not similar; the match is the cosine.
// Errors    usage, without an encoder or for a value out of range; those of encoding.
// Source    C-Pack, arXiv:2309.07597: 0.43 by Text2Vec-Chinese.
// See also  consistency.cc, which needs no threshold that fits the model.
#include "base/error.h"
#include "data/filter.h"
#include "data/pair_encoder.h"

namespace akin::data {
namespace {

class Similarity final : public Filter {
 public:
  explicit Similarity(const FilterOptions& options)
      : encoder_(options, "similarity"), least_(options.min_similarity) {
    if (!(least_ >= -1 && least_ <= 1)) {
      throw_error(ErrorKind::usage, "--min-similarity", "{} is not between -1 and 1", least_);
    }
  }

  FilterPlan plan() const override { return {.pairs = true}; }

  void judge(std::span<Record* const> records, std::span<Verdict> verdicts) const override {
    const Mat<float> queries = encoder_.queries(query_texts(records));
    const Mat<float> positives = encoder_.documents(positive_texts(records));
    for (size_t i = 0; i < records.size(); ++i) {
      const float value = cosine(queries.row(i), positives.row(i), encoder_.dims());
      if (records[i]->label || value >= least_) continue;
      verdicts[i].reason = "not similar";
      verdicts[i].match = fmt::format("cosine {:.3f}", value);
    }
  }

 private:
  const PairEncoder encoder_;
  const double least_;
};

}  // namespace

std::unique_ptr<Filter> make_similarity_filter(const FilterOptions& options) {
  return std::make_unique<Similarity>(options);
}

}  // namespace akin::data
