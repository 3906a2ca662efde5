// Length: texts that are too short to mean anything, or too long for the model.
//
// Computes  the number of characters (code points) of query and positive.
// Data      any record; negatives outside the bounds do not count.
// Options   min_chars (default 1), max_chars (0: none).
// Removes   too short, too long.
// Errors    usage, if the upper bound lies below the lower.
// Source    ours.
#include "base/error.h"
#include "data/filter.h"
#include "text/utf8.h"

namespace akin::data {
namespace {

class Length final : public RecordFilter {
 public:
  explicit Length(const FilterOptions& options)
      : least_(options.min_chars), most_(options.max_chars) {
    if (most_ != 0 && most_ < least_) {
      throw_error(ErrorKind::usage, "--max-chars", "{} is less than --min-chars {}", most_, least_);
    }
  }
  Verdict judge_record(Record& record) const override {
    for (const std::string* text : {&record.query, &record.positive}) {
      if (!record.is_pair() && text == &record.positive) break;
      // Bytes bound characters from both sides, so most texts need no count.
      if (text->size() / 4 >= least_ && (most_ == 0 || text->size() <= most_)) continue;
      const size_t chars = text::count_code_points(*text);
      if (chars < least_) return {.reason = "too short"};
      if (most_ != 0 && chars > most_) return {.reason = "too long"};
    }
    return {};
  }

 private:
  const uint64_t least_, most_;
};

}  // namespace

std::unique_ptr<Filter> make_length_filter(const FilterOptions& options) {
  return std::make_unique<Length>(options);
}

}  // namespace akin::data
