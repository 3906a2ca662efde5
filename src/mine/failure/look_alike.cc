// F1, look-alikes: texts with the words and the form of the query that are about something else.
//
// Computes  for a query and its positive, the content words that they share; of the texts of the
//           corpus that share most words with the query, those that lack the rarest of these and
//           at least half of their weight: documents, other queries of the same form, and what
//           answers these.
// Data      rows whose positive has most of the query's content words, so that what both are about
//           can be told.
// Safety    what the query and its answer are both about is missing; known answers, texts that are
//           nearly answers by their words, and answers of nearly equal queries are left out.
// Source    arXiv:2409.10173 section 4.3.4, failure F1.
// See also  entity.cc, where the words that stay are part of a name.
#include <algorithm>

#include "mine/failure_case.h"

namespace akin::mine {
namespace {

constexpr size_t kCandidates = 96;
constexpr double kLeastShared = 0.4;  // of the query's terms
constexpr double kMostKeys = 0.5;     // of the weight of what query and positive share
constexpr double kLeastKeys = 0.5;    // of the weight of the query's content that they share

struct Keys {
  std::vector<uint64_t> query, shared;  // terms, rising
  uint64_t rarest = 0;
  uint32_t weight = 0;  // of shared
};

Keys keys_of(const CaseRow& row, const CaseTools& tools) {
  Keys out;
  out.query = term_set(row.query);
  uint32_t best = 0, content = 0;
  for (const uint64_t term : out.query) {
    const uint32_t level = tools.level(term);
    if (level < kContentLevel) continue;
    content += level;
    const bool everywhere =
        std::all_of(row.positives.begin(), row.positives.end(), [&](uint32_t document) {
          return contains(term_set(tools.corpus.documents[document]), term);
        });
    if (!everywhere) continue;
    out.shared.push_back(term);
    out.weight += level;
    if (level > best) out.rarest = term;
    best = std::max(best, level);
  }
  if (out.weight < kLeastKeys * content) out.shared.clear();
  return out;
}

// Of the query's form, but without what it is about.
bool looks_alike(const Keys& keys, std::string_view text, const CaseTools& tools) {
  const auto terms = term_set(text);
  if (contains(terms, keys.rarest)) return false;
  uint32_t weight = 0;
  for (const uint64_t term : keys.shared) weight += contains(terms, term) ? tools.level(term) : 0;
  if (weight >= kMostKeys * keys.weight) return false;
  const auto shared = std::count_if(keys.query.begin(), keys.query.end(),
                                    [&](uint64_t term) { return contains(terms, term); });
  return static_cast<double>(shared) >= kLeastShared * static_cast<double>(keys.query.size());
}

class LookAlike final : public FailureCase {
 public:
  void make(const CaseRow& row, const CaseTools& tools, Rng& /*rng*/,
            std::vector<CaseLine>& out) const override {
    const Keys keys = keys_of(row, tools);
    if (keys.shared.empty()) return;
    std::vector<uint32_t> seen;
    std::vector<CaseNegative> documents, questions, answers;
    const auto take = [&](uint32_t document, std::string_view kind,
                          std::vector<CaseNegative>& list) {
      const std::string_view text = tools.corpus.documents[document];
      if (list.size() == row.negatives ||
          std::find(seen.begin(), seen.end(), document) != seen.end() ||
          !tools.may_be_negative(row, document)) {
        return;
      }
      seen.push_back(document);
      list.push_back({std::string(text), kind});
    };
    for (const auto& hit : tools.queries.find(keys.query, kCandidates)) {
      if (questions.size() == row.negatives && answers.size() == row.negatives) break;
      if (tools.nearly_same_query(row.query_number, hit.text)) continue;
      const std::string_view question = tools.corpus.queries[hit.text];
      if (!looks_alike(keys, question, tools)) continue;
      if (questions.size() < row.negatives)
        questions.push_back({std::string(question), "question"});
      for (const uint32_t document : tools.corpus.answers[tools.corpus.group_of[hit.text]]) {
        if (contains(term_set(tools.corpus.documents[document]), keys.rarest)) continue;
        take(document, "answer of a look-alike", answers);
      }
    }
    for (const auto& hit : tools.documents.find(keys.query, kCandidates)) {
      if (documents.size() == row.negatives) break;
      if (looks_alike(keys, tools.corpus.documents[hit.text], tools)) {
        take(hit.text, "document", documents);
      }
    }
    CaseLine line{std::string(row.query), {}, {}};
    for (size_t i = 0; line.negatives.size() < row.negatives; ++i) {
      const size_t before = line.negatives.size();
      for (auto* list : {&documents, &answers, &questions}) {
        if (i < list->size() && line.negatives.size() < row.negatives) {
          line.negatives.push_back(std::move((*list)[i]));
        }
      }
      if (line.negatives.size() == before) break;
    }
    out.push_back(std::move(line));
  }
};

}  // namespace

std::unique_ptr<FailureCase> make_look_alike_case() { return std::make_unique<LookAlike>(); }

}  // namespace akin::mine
