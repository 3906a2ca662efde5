// Lexical overlap: pairs that can be told by their words alone teach a model nothing else.
//
// Computes  the share of the words of the shorter text (in words) that occur as substrings of the
//           longer, both folded. A repeated word counts each time.
// Data      query and positive. A record with a label stays: there overlap is what is graded.
// Options   overlap (default 0.8) and overlap_words (default 4): removed when the share is at least
//           the one and the number of words found at least the other.
// Removes   same words.
// Errors    usage, if the share is not in (0, 1].
// Source    jina-embeddings-v3, arXiv:2409.10173. What counts as a word, and that every ideograph
//           and kana is one, is ours.
#include <vector>

#include "base/error.h"
#include "data/filter.h"
#include "data/fold.h"

namespace akin::data {
namespace {

class Overlap final : public RecordFilter {
 public:
  explicit Overlap(const FilterOptions& options)
      : share_(options.overlap), least_(options.overlap_words) {
    if (!(share_ > 0 && share_ <= 1)) {
      throw_error(ErrorKind::usage, "--overlap", "{} is not a share above 0 and up to 1", share_);
    }
  }
  FilterPlan plan() const override { return {.pairs = true}; }
  Verdict judge_record(Record& record) const override {
    if (record.label) return {};
    thread_local std::string query, positive;
    thread_local std::vector<std::string_view> query_words, positive_words;
    query.clear();
    positive.clear();
    query_words.clear();
    positive_words.clear();
    append_folded(record.query, query);
    append_folded(record.positive, positive);
    split_words(query, query_words);
    split_words(positive, positive_words);
    const bool query_shorter = query_words.size() <= positive_words.size();
    const auto& words = query_shorter ? query_words : positive_words;
    const std::string_view longer = query_shorter ? positive : query;
    return too_much(words, longer) ? Verdict{.reason = "same words"} : Verdict{};
  }

 private:
  bool too_much(const std::vector<std::string_view>& words, std::string_view longer) const {
    const auto total = static_cast<double>(words.size());
    size_t found = 0, missing = 0;
    for (const auto word : words) {
      if (longer.find(word) != std::string_view::npos) {
        ++found;
      } else if (total - static_cast<double>(++missing) < share_ * total) {
        return false;  // out of reach
      }
    }
    return found >= least_ && static_cast<double>(found) >= share_ * total;
  }

  const double share_;
  const uint64_t least_;
};

}  // namespace

std::unique_ptr<Filter> make_overlap_filter(const FilterOptions& options) {
  return std::make_unique<Overlap>(options);
}

}  // namespace akin::data
