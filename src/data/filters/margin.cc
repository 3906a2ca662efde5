// Margin: negatives that a model does not find clearly worse than the positive are likely true
// answers, or say nothing.
//
// Computes  s(query, positive) - s(query, negative) for each negative, s the cosine by the model.
// Data      records with negatives; the others stay.
// Options   encoder (required), margin (default 0.2), keep_without_negatives.
// Removes   negatives whose difference is not above the margin, with their scores; and records that
//           have none left, "no negative left", unless keep_without_negatives.
// Errors    usage, without an encoder or for a margin out of range; those of encoding.
// Source    the triplet check of Jina Embeddings v1, arXiv:2307.11224, which asks a cross-encoder;
//           any encoder here, and whole lists of negatives.
#include "base/error.h"
#include "data/filter.h"
#include "data/negatives.h"
#include "data/pair_encoder.h"

namespace akin::data {
namespace {

class Margin final : public Filter {
 public:
  explicit Margin(const FilterOptions& options)
      : encoder_(options, "margin"),
        margin_(options.margin),
        keep_(options.keep_without_negatives) {
    if (!(margin_ >= -2 && margin_ <= 2)) {
      throw_error(ErrorKind::usage, "--margin", "{} is not between -2 and 2", margin_);
    }
  }

  FilterPlan plan() const override { return {.pairs = true}; }

  void judge(std::span<Record* const> records, std::span<Verdict> verdicts) const override {
    std::vector<std::string_view> queries, documents;
    for (const Record* record : records) {
      if (record->negatives.empty()) continue;
      queries.emplace_back(record->query);
      documents.emplace_back(record->positive);
      documents.insert(documents.end(), record->negatives.begin(), record->negatives.end());
    }
    const Mat<float> query_rows = encoder_.queries(queries);
    const Mat<float> document_rows = encoder_.documents(documents);
    const size_t dims = encoder_.dims();
    size_t query = 0, document = 0;
    for (size_t i = 0; i < records.size(); ++i) {
      const size_t count = records[i]->negatives.size();
      if (count == 0) continue;
      const float* const row = query_rows.row(query++);
      const float positive = cosine(row, document_rows.row(document), dims);
      const auto kept = [&](size_t negative) {
        const float score = cosine(row, document_rows.row(document + 1 + negative), dims);
        return static_cast<double>(positive) - score > margin_;
      };
      settle(*records[i], kept, verdicts[i]);
      document += 1 + count;
    }
  }

 private:
  // A record that goes is left as it came, so that samples show why.
  template <typename Kept>
  void settle(Record& record, const Kept& kept, Verdict& verdict) const {
    std::vector<uint8_t> stays;
    size_t left = 0;
    for (size_t i = 0; i < record.negatives.size(); ++i) left += stays.emplace_back(kept(i));
    if (left == 0 && !keep_) {
      verdict.reason = "no negative left";
      return;
    }
    verdict.changed = keep_negatives(record, [&](size_t i) { return stays[i] != 0; }) > 0;
  }

  const PairEncoder encoder_;
  const double margin_;
  const bool keep_;
};

}  // namespace

std::unique_ptr<Filter> make_margin_filter(const FilterOptions& options) {
  return std::make_unique<Margin>(options);
}

}  // namespace akin::data
