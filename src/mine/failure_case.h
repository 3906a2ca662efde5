// What a failure case is: a way in which embedding models go wrong, and how rows that show it are
// made of a user's own rows without any model. A case has no header of its own: it is one .cc in
// failure/ that exports make_<name>_case(), and one line in failure_cases.def.
//
// Source  the failure analysis F1 to F4 of jina-embeddings-v3, arXiv:2409.10173 section 4.3.4,
//         which had its rows written by a language model. The makers here are ours.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "mine/corpus.h"
#include "mine/term_index.h"
#include "mine/words.h"

namespace akin::mine {

struct CaseNegative {
  std::string text;
  std::string_view kind;  // how it was made: a literal
};

// A row that shows a case: usually the query and positives of the row it comes from.
struct CaseLine {
  std::string query;
  std::vector<std::string> positives;
  std::vector<CaseNegative> negatives;
};

struct CaseRow {
  std::string_view query;
  uint32_t query_number = 0;
  std::span<const uint32_t> positives;  // numbers of documents; at least one
  size_t negatives = 0;                 // at most so many
  bool held_out = false;  // for evaluation: other fixed wording than in rows for training
};

// What makers share. Thread-safe.
struct CaseTools {
  const Corpus& corpus;
  const WordWeights& weights;  // of terms
  const TermIndex& documents;
  const TermIndex& queries;
  const WordSets& document_words;
  const WordSets& query_words;
  double near = 0.7, overlap = 0.8;  // as GuardOptions

  // From 1, in most texts, to 15.
  uint32_t level(uint64_t term) const { return weights.level(weight_key(term)); }
  // Not an answer of the query, nor nearly one by its words, nor the answer of a nearly equal one.
  bool may_be_negative(const CaseRow& row, uint32_t document) const;
  bool nearly_same_query(uint32_t a, uint32_t b) const;
};

// Immutable and thread-safe; random choices are rng's alone.
class FailureCase {
 public:
  virtual ~FailureCase() = default;
  // Appends the lines that the row gives: none where it cannot show the case.
  virtual void make(const CaseRow& row, const CaseTools& tools, Rng& rng,
                    std::vector<CaseLine>& out) const = 0;
};

struct FailureCaseInfo {
  std::string_view name, summary;
};
std::vector<FailureCaseInfo> failure_case_infos();
// Errors: usage, naming the known cases.
std::unique_ptr<FailureCase> make_failure_case(std::string_view name);

// At least this level: a term that says what a text is about.
inline constexpr uint32_t kContentLevel = 3;

// The distinct terms of a text, rising.
std::vector<uint64_t> term_set(std::string_view text);
bool contains(std::span<const uint64_t> set, uint64_t term);

}  // namespace akin::mine
