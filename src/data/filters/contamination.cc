// Contamination: nothing that meets an evaluation text may be trained on.
//
// Computes  whether query, positive or a negative has the same words as an evaluation text, or
//           shares a run of eval_words words with one, or has nearly the words of one: a Jaccard
//           similarity of eval_near or more of the sets of their words. Words are compared in lower
//           case, without punctuation; an ideograph or kana is a word.
// Data      any record.
// Options   eval_texts (files or folders, required), eval_columns, eval_words (default 13),
//           eval_near (default 0.8; 0: only equal texts and runs count).
// Removes   equal to an evaluation text, shares words with an evaluation text, nearly equal to an
//           evaluation text; the match names the file and line of the evaluation text. Texts of
//           fewer than 5 different words are nearly equal to none, of more than 1000 neither: there
//           the runs decide.
// Memory    32 to 64 bytes a different text, run or word of the evaluation sets, and 4 to 5 a
//           different word of each text.
// Errors    usage, without files; those of reading them.
// Source    runs of 13 words: appendix C of arXiv:2005.14165. Equality after folding catches the
//           shorter texts. Hashes stand for words and runs: 64 bits, so a false hit needs billions
//           of runs.
// See also  eval_texts.h (which columns are read).
#include <limits>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "data/eval_texts.h"
#include "data/filter.h"
#include "data/fold.h"
#include "data/hash_map.h"
#include "data/near_sets.h"

namespace akin::data {
namespace {

constexpr uint64_t kBase = 0x9FB21C651E98DF25ULL;  // odd: of the rolling polynomial, mod 2^64

uint64_t hash_all(const std::vector<uint64_t>& words) {
  return hash64({reinterpret_cast<const char*>(words.data()), words.size() * sizeof(uint64_t)});
}

class Contamination final : public RecordFilter {
 public:
  explicit Contamination(const FilterOptions& options)
      : run_(options.eval_words), near_(options.eval_near), sets_(options.eval_near) {
    if (options.eval_texts.empty()) {
      throw_error(ErrorKind::usage, "--eval-texts",
                  "the filter contamination needs the files of the evaluation sets");
    }
    if (run_ < 2 || run_ > 1000) {
      throw_error(ErrorKind::usage, "--eval-words", "{} is not between 2 and 1000", run_);
    }
    if (near_ != 0 && !(near_ >= 0.5 && near_ <= 1)) {
      throw_error(ErrorKind::usage, "--eval-near", "{} is neither 0 nor between 0.5 and 1", near_);
    }
    for (uint64_t i = 1; i < run_; ++i) top_ *= kBase;
    std::vector<uint64_t> words;
    each_eval_text(
        options.eval_texts, options.eval_columns,
        [&](std::string_view text, const std::string& where) { add(text, where, words); });
    if (near_ > 0) sets_.finish();
  }

  Verdict judge_record(Record& record) const override {
    Verdict out = judge_text(record.query);
    if (out.reason.empty() && record.is_pair()) out = judge_text(record.positive);
    for (size_t i = 0; out.reason.empty() && i < record.negatives.size(); ++i) {
      out = judge_text(record.negatives[i]);
    }
    return out;
  }

 private:
  // Calls f(hash) for each run of run_ words; stops when it returns true.
  template <typename F>
  void each_run(const std::vector<uint64_t>& words, const F& f) const {
    if (words.size() < run_) return;
    uint64_t hash = 0;
    for (size_t i = 0; i < words.size(); ++i) {
      if (i >= run_) hash -= words[i - run_] * top_;
      hash = hash * kBase + words[i];
      if (i + 1 >= run_ && f(hash)) return;
    }
  }

  void add(std::string_view text, const std::string& where, std::vector<uint64_t>& words) {
    words.clear();
    append_word_hashes(text, words);
    if (words.empty()) return;
    if (places_.empty() || places_.back() != where) {
      AKIN_CHECK(places_.size() < std::numeric_limits<uint32_t>::max());
      places_.push_back(where);
    }
    const auto place = static_cast<uint32_t>(places_.size() - 1);
    texts_.add(hash_all(words), place);
    if (near_ > 0) sets_.add(words, place);
    each_run(words, [&](uint64_t hash) {
      runs_.add(hash, place);
      return false;
    });
  }

  Verdict judge_text(std::string_view text) const {
    thread_local std::vector<uint64_t> words;
    words.clear();
    append_word_hashes(text, words);
    if (words.empty()) return {};
    if (const auto place = texts_.find(hash_all(words))) {
      return {.reason = "equal to an evaluation text", .match = places_[*place]};
    }
    std::optional<uint32_t> met;
    each_run(words, [&](uint64_t hash) { return (met = runs_.find(hash)).has_value(); });
    if (met) return {.reason = "shares words with an evaluation text", .match = places_[*met]};
    const auto near = near_ > 0 ? sets_.find(words) : std::nullopt;
    if (!near) return {};
    return {.reason = "nearly equal to an evaluation text",
            .match = fmt::format("{} (similarity {:.2f})", places_[near->value], near->similarity)};
  }

  const uint64_t run_;
  uint64_t top_ = 1;  // kBase to the power run_ - 1
  const double near_;
  HashMap texts_, runs_;
  NearSets sets_;
  std::vector<std::string> places_;
};

}  // namespace

std::unique_ptr<Filter> make_contamination_filter(const FilterOptions& options) {
  return std::make_unique<Contamination>(options);
}

}  // namespace akin::data
