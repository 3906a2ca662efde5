// The list of failure cases, and what their makers share.
#include <algorithm>

#include "base/error.h"
#include "data/placed_words.h"
#include "mine/failure_case.h"

namespace akin::mine {

#define AKIN_FAILURE_CASE(name, function, summary) \
  std::unique_ptr<FailureCase> make_##function##_case();
#include "mine/failure_cases.def"
#undef AKIN_FAILURE_CASE

namespace {

struct Entry {
  FailureCaseInfo info;
  std::unique_ptr<FailureCase> (*make)();
};
constexpr Entry kCases[] = {
#define AKIN_FAILURE_CASE(name, function, summary) {{name, summary}, make_##function##_case},
#include "mine/failure_cases.def"
#undef AKIN_FAILURE_CASE
};

}  // namespace

std::vector<FailureCaseInfo> failure_case_infos() {
  std::vector<FailureCaseInfo> out;
  for (const auto& entry : kCases) out.push_back(entry.info);
  return out;
}

std::unique_ptr<FailureCase> make_failure_case(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& entry : kCases) {
    if (entry.info.name == name) return entry.make();
    names.push_back(entry.info.name);
  }
  throw_error(ErrorKind::usage, "--failure-cases", "{} is no failure case; there are {}, or all",
              quote(name), fmt::join(names, ", "));
}

std::vector<uint64_t> term_set(std::string_view text) {
  std::vector<uint64_t> out;
  for (const auto& term : data::placed_terms(text, data::placed_words(text))) {
    out.push_back(term.key);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

bool contains(std::span<const uint64_t> set, uint64_t term) {
  return std::binary_search(set.begin(), set.end(), term);
}

bool CaseTools::nearly_same_query(uint32_t a, uint32_t b) const {
  return corpus.group_of[a] == corpus.group_of[b] ||
         word_similarity(query_words[a], query_words[b]) >= near;
}

bool CaseTools::may_be_negative(const CaseRow& row, uint32_t document) const {
  const auto answers = corpus.answers[corpus.group_of[row.query_number]];
  if (std::binary_search(answers.begin(), answers.end(), document)) return false;
  const WordSet words = document_words[document];
  for (const uint32_t answer : answers) {
    if (word_similarity(words, document_words[answer]) >= near ||
        pair_overlap(words, document_words[answer]) >= overlap) {
      return false;
    }
  }
  const auto owners = corpus.owners[document];
  return std::none_of(owners.begin(), owners.end(),
                      [&](uint32_t query) { return nearly_same_query(row.query_number, query); });
}

}  // namespace akin::mine
