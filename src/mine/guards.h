// Which candidates may be negatives of a query, and which are likely answers that nobody labelled.
// Chooses none: that is select.h.
//
// Source  score rules: TopK-Abs, TopK-MarginPos and TopK-PercPos of NV-Retriever, arXiv:2407.15831.
//         The guards by text and by vector are ours.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "index/flat.h"
#include "mine/corpus.h"
#include "mine/vectors.h"
#include "mine/words.h"

namespace akin::mine {

// What becomes of a candidate: the first of these that holds.
enum class Fate : uint8_t {
  passes,
  own_query,         // its text is the query's, or nearly
  answer,            // it answers the query, by any row of the same query
  neighbour_answer,  // it answers a query that is nearly the same
  near_answer,       // nearly the same words as an answer, or a piece of one, or one with more
  alike_answer,      // nearly the same vector as an answer
  together,          // near to the query and to an answer at once: likely an answer in other words
  max_score,
  min_score,
  margin,
  share,
};
inline constexpr size_t kFates = 11;
std::string_view fate_name(Fate fate);

struct GuardOptions {
  double near = 0.7;     // word_similarity from which texts say the same; above 1: off
  double overlap = 0.8;  // pair_overlap from which one text is a piece of the other; above 1: off
  double alike = 0.95;   // cosine from which texts say the same; above 1: off
  // nearness() to query and answer from which a text says the same; above 1: off
  double together = 0.55;
  double share = 0.95;  // a negative scores below this share of the positive's score; 0: off
  std::optional<double> margin;     // and below it by more than this
  std::optional<double> max_score;  // and below this
  std::optional<double> min_score;  // and not below this
};

float dot(const float* a, const float* b, size_t dims);

// How near a text is to a query and its answer at once, 1 being as near as they are themselves:
// (c(query, text) + c(answer, text)) / (1 + c(query, answer)), which is the cosine with the middle
// of the two over the query's own. c is a cosine counted from its background, the mean cosine of
// texts that have nothing to do with each other: 0 there, 1 for equal texts.
struct Background {
  double query = 0, document = 0;  // of queries with documents, of documents with documents
};
double nearness(double query_text, double answer_text, double query_answer,
                const Background& background);
// Of so few documents none would be a sample.
inline constexpr size_t kLeastForBackground = 32;
// From pairs drawn at random, the same ones for the same vectors.
Background find_background(const TextVectors& queries, const TextVectors& documents);

// Where the score of a negative must lie, by the scores of a row's positives.
class ScoreRules {
 public:
  // positive: the lowest of the row's. A share of a negative score would be above it, so there the
  // positive's score itself is the bound.
  ScoreRules(const GuardOptions& options, float positive);
  Fate judge(float score) const;

 private:
  const GuardOptions& options_;
  double margin_bound_, share_bound_;
};

// All that is known to answer one query; the lists rise.
struct Answers {
  std::span<const uint32_t> own;
  std::vector<uint32_t> neighbours;  // of queries that are nearly the same
};

// Thread-safe.
class TextGuards {
 public:
  TextGuards(const Corpus& corpus, const WordSets& document_words, const WordSets& query_words,
             const TextVectors& documents, const TextVectors& queries, const GuardOptions& options)
      : corpus_(corpus),
        document_words_(document_words),
        query_words_(query_words),
        documents_(documents),
        queries_(queries),
        options_(options) {
    together_ = options.together <= 1 && documents.rows() >= kLeastForBackground;
    if (together_) background_ = find_background(queries, documents);
  }

  // Queries that are nearly the same are looked for among those that the hits answer: a document
  // that answers such a query, or is nearly equal to one that does, lies near to both queries.
  Answers answers(uint32_t query, std::span<const index::Hit> hits) const;
  Fate judge(uint32_t query, uint32_t document, const Answers& answers) const;
  // The same for a document that is no hit: also looks at whose answer it is.
  Fate judge_any(uint32_t query, uint32_t document, const Answers& answers) const;
  // The same as judge(), as if the document, which answers the query, were not known to.
  Fate judge_hidden(uint32_t query, uint32_t document, const Answers& answers) const;

 private:
  bool nearly_same_query(uint32_t a, uint32_t b) const;
  bool answers_neighbour(uint32_t query, uint32_t document) const;
  Fate against(uint32_t query, uint32_t document, std::span<const uint32_t> answers,
               uint32_t left_out) const;
  Fate against_vectors(uint32_t query, uint32_t document, std::span<const uint32_t> answers,
                       uint32_t left_out) const;
  Fate judge_texts(uint32_t query, uint32_t document, const Answers& answers,
                   uint32_t left_out) const;
  const Corpus& corpus_;
  const WordSets& document_words_;
  const WordSets& query_words_;
  const TextVectors& documents_;
  const TextVectors& queries_;
  const GuardOptions& options_;
  bool together_ = false;
  Background background_;
};

// Errors: usage, naming the flag.
void check_guards(const GuardOptions& options);

}  // namespace akin::mine
