// Consistency: pairs whose positive a model does not find again among other passages.
//
// Computes  the number of passages p' with s(query, p') > s(query, positive), s the cosine by the
//           model, among a sample of the different positives of the record's source.
// Data      any record; one with a label stays, since it may be a pair that does not belong
//           together.
// Options   encoder (required), pool (passages of a source, default 1,000,000; all, where there are
//           fewer), top (default 2), seed. The model must be one that was not trained on these
//           pairs, and good at retrieval: a weak one removes true pairs.
// Removes   outranked: `top` or more passages are nearer. Counting stops there.
// Memory    4 bytes a dim of each passage of the sample, for all sources together.
// Errors    usage, without an encoder, for options out of range or too many sources; those of
//           encoding.
// Source    the consistency filter of Jina Embeddings v1, arXiv:2307.11224, after E5,
//           arXiv:2212.03533. By source, and different passages only, are ours.
// See also  passage_pool.h
#include <map>

#include "base/error.h"
#include "base/progress.h"
#include "data/filter.h"
#include "data/passage_pool.h"

namespace akin::data {
namespace {

constexpr size_t kMostSources = 65'536;

class Consistency final : public Filter {
 public:
  explicit Consistency(const FilterOptions& options)
      : encoder_(options, "consistency"),
        most_(options.pool),
        top_(options.top),
        seed_(options.seed) {
    if (most_ < 1 || most_ > (uint64_t{1} << 32)) {
      throw_error(ErrorKind::usage, "--pool", "{} is not between 1 and 2^32", most_);
    }
    if (top_ < 1 || top_ > 1'000'000) {
      throw_error(ErrorKind::usage, "--top", "{} is not between 1 and 1000000", top_);
    }
  }

  FilterPlan plan() const override { return {.pairs = true, .surveys = true}; }

  // Twice through the records: which passages, then their vectors.
  void survey(const RecordScan& scan, const ProgressSink& progress) override {
    std::map<std::string, TextSample, std::less<>> samples;
    scan([&](const Record& record, uint64_t) {
      auto at = samples.find(record.source);
      if (at == samples.end()) {
        if (samples.size() == kMostSources) {
          throw_error(ErrorKind::usage, "consistency",
                      "there are more than {} sources; give the records fewer names of sources",
                      kMostSources);
        }
        at = samples.try_emplace(record.source, most_, seed_).first;
      }
      at->second.offer(record.positive);
    });
    uint64_t total = 0, done = 0;
    for (auto& [source, sample] : samples) {
      sample.finish();
      total += sample.size();
    }
    pools_.clear();
    scan([&](const Record& record, uint64_t) {
      if (!samples.find(record.source)->second.take(record.positive)) return;
      pools_[record.source].add(record.positive, encoder_);
      if (progress && ++done % PassagePool::kBlock == 0) {
        progress({"embedding", done, total, "passages"});
      }
    });
    for (auto& [source, pool] : pools_) pool.finish(encoder_);
  }

  void judge(std::span<Record* const> records, std::span<Verdict> verdicts) const override {
    std::map<std::string_view, std::vector<size_t>> by_source;
    for (size_t i = 0; i < records.size(); ++i) {
      if (!records[i]->label) by_source[records[i]->source].push_back(i);
    }
    for (const auto& [source, members] : by_source) judge_source(records, members, verdicts);
  }

 private:
  void judge_source(std::span<Record* const> records, const std::vector<size_t>& members,
                    std::span<Verdict> verdicts) const {
    const auto pool = pools_.find(records[members.front()]->source);
    if (pool == pools_.end()) return;
    std::vector<Record*> mine;
    mine.reserve(members.size());
    for (const size_t i : members) mine.push_back(records[i]);
    const Mat<float> queries = encoder_.queries(query_texts(mine));
    const Mat<float> positives = encoder_.documents(positive_texts(mine));
    std::vector<float> scores;
    for (size_t i = 0; i < mine.size(); ++i) {
      scores.push_back(cosine(queries.view().row(i), positives.view().row(i), encoder_.dims()));
    }
    const auto nearer =
        pool->second.count_nearer(queries.view(), scores, static_cast<uint32_t>(top_));
    for (size_t i = 0; i < mine.size(); ++i) {
      if (nearer[i] < top_) continue;
      verdicts[members[i]].reason = "outranked";
      verdicts[members[i]].match =
          fmt::format("cosine {:.3f}; {} or more of {} passages are nearer", scores[i], top_,
                      pool->second.size());
    }
  }

  const PairEncoder encoder_;
  const uint64_t most_, top_, seed_;
  std::map<std::string, PassagePool, std::less<>> pools_;  // by source
};

}  // namespace

std::unique_ptr<Filter> make_consistency_filter(const FilterOptions& options) {
  return std::make_unique<Consistency>(options);
}

}  // namespace akin::data
