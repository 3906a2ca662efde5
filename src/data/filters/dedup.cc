// Exact dedup, the first step of cleaning in Jina Embeddings v1.
//
// Computes  a 128-bit hash of query, positive and negatives, each folded (case and white space).
// Data      any record; label, scores, task and source do not count.
// Options   none.
// Removes   empty (a side has no text), identical (both sides fold to one text), repeated (an
//           earlier record has the same key).
// Source    arXiv:2307.11224. It names neither the hash nor what is hashed; that is ours.
// See also  chain.h (how the first of each key is found in bounded memory).
#include <string>

#include "base/hash.h"
#include "data/filter.h"
#include "data/fold.h"

namespace akin::data {
namespace {

constexpr uint64_t kHighSeed = 0x616B696E, kLowSeed = 0x70726570;

class Dedup final : public RecordFilter {
 public:
  Verdict judge_record(Record& record) const override {
    thread_local std::string query, positive;
    query.clear();
    positive.clear();
    append_folded(record.query, query);
    if (!record.is_pair()) return query.empty() ? Verdict{.reason = "empty"} : Verdict{};
    append_folded(record.positive, positive);
    if (query.empty() || positive.empty()) return {.reason = "empty"};
    if (query == positive) return {.reason = "identical"};
    return {};
  }
  FilterPlan plan() const override { return {.keys = 1}; }
  // Each text is followed by its length, so that texts cannot run into each other.
  void append_keys(const Record& record, std::vector<RecordKey>& keys,
                   std::string& /*signature*/) const override {
    thread_local std::string bytes;
    bytes.clear();
    add(record.query, bytes);
    add(record.positive, bytes);
    for (const auto& negative : record.negatives) add(negative, bytes);
    keys.push_back({hash64(bytes, kHighSeed), hash64(bytes, kLowSeed)});
  }

 private:
  static void add(const std::string& text, std::string& bytes) {
    const size_t before = bytes.size();
    append_folded(text, bytes);
    const uint64_t length = bytes.size() - before;
    bytes.append(reinterpret_cast<const char*>(&length), sizeof length);
  }
};

}  // namespace

std::unique_ptr<Filter> make_dedup_filter(const FilterOptions& /*options*/) {
  return std::make_unique<Dedup>();
}

}  // namespace akin::data
