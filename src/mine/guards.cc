#include "mine/guards.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/rng.h"

namespace akin::mine {
namespace {

constexpr std::array<std::string_view, kFates> kNames = {"passes",
                                                         "own query",
                                                         "known answer",
                                                         "answer of a nearly equal query",
                                                         "near duplicate of an answer",
                                                         "vector like an answer's",
                                                         "near to query and answer at once",
                                                         "score above the highest",
                                                         "score below the lowest",
                                                         "within the margin",
                                                         "above the share of the positive's score"};

bool holds(std::span<const uint32_t> list, uint32_t number) {
  return std::binary_search(list.begin(), list.end(), number);
}

double cosine(const float* a, const float* b, size_t dims) {
  const double norms = std::sqrt(double{dot(a, a, dims)} * double{dot(b, b, dims)});
  return norms > 0 ? double{dot(a, b, dims)} / norms : 0;
}

}  // namespace

std::string_view fate_name(Fate fate) { return kNames[static_cast<size_t>(fate)]; }

// Sums in eight lanes, in one order.
float dot(const float* a, const float* b, size_t dims) {
  constexpr size_t kLanes = 8;
  float sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= dims; i += kLanes) {
    for (size_t j = 0; j < kLanes; ++j) sums[j] += a[i + j] * b[i + j];
  }
  for (; i < dims; ++i) sums[i % kLanes] += a[i] * b[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

double nearness(double query_text, double answer_text, double query_answer,
                const Background& background) {
  const auto above = [](double cosine, double from) { return (cosine - from) / (1 - from); };
  // A pair that is further apart than any two texts says nothing of where its middle is.
  const double apart = std::max(0.0, above(query_answer, background.query));
  return (above(query_text, background.query) + above(answer_text, background.document)) /
         (1 + apart);
}

Background find_background(const TextVectors& queries, const TextVectors& documents) {
  constexpr size_t kPairs = 2000;
  constexpr uint64_t kSeed = 77;
  constexpr double kMost = 0.99;  // of a model for which all texts are one
  Rng rng(kSeed);
  double query = 0, document = 0;
  for (size_t i = 0; i < kPairs; ++i) {
    const size_t first = rng.below(documents.rows());
    const size_t second = (first + 1 + rng.below(documents.rows() - 1)) % documents.rows();
    query += cosine(queries.row(rng.below(queries.rows())), documents.row(first), documents.dims());
    document += cosine(documents.row(first), documents.row(second), documents.dims());
  }
  return {std::min(kMost, query / kPairs), std::min(kMost, document / kPairs)};
}

ScoreRules::ScoreRules(const GuardOptions& options, float positive)
    : options_(options),
      margin_bound_(options.margin ? positive - *options.margin
                                   : std::numeric_limits<double>::infinity()),
      share_bound_(options.share == 0 ? std::numeric_limits<double>::infinity()
                   : positive > 0     ? positive * options.share
                                      : positive) {}

Fate ScoreRules::judge(float score) const {
  if (options_.max_score && !(score < *options_.max_score)) return Fate::max_score;
  if (options_.min_score && !(score >= *options_.min_score)) return Fate::min_score;
  if (!(score < margin_bound_)) return Fate::margin;
  if (!(score < share_bound_)) return Fate::share;
  return Fate::passes;
}

bool TextGuards::nearly_same_query(uint32_t a, uint32_t b) const {
  if (word_similarity(query_words_[a], query_words_[b]) >= options_.near) return true;
  return options_.alike <= 1 &&
         cosine(queries_.row(a), queries_.row(b), queries_.dims()) >= options_.alike;
}

bool TextGuards::answers_neighbour(uint32_t query, uint32_t document) const {
  const auto owners = corpus_.owners[document];
  const uint32_t group = corpus_.group_of[query];
  return std::any_of(owners.begin(), owners.end(), [&](uint32_t owner) {
    return owner == group || nearly_same_query(query, owner);
  });
}

Answers TextGuards::answers(uint32_t query, std::span<const index::Hit> hits) const {
  const uint32_t group = corpus_.group_of[query];
  std::vector<uint32_t> others;
  for (const auto& hit : hits) {
    const auto owners = corpus_.owners[hit.doc];
    others.insert(others.end(), owners.begin(), owners.end());
  }
  std::sort(others.begin(), others.end());
  others.erase(std::unique(others.begin(), others.end()), others.end());
  Answers out{corpus_.answers[group], {}};
  for (const uint32_t other : others) {
    if (other == group || !nearly_same_query(query, other)) continue;
    const auto more = corpus_.answers[other];
    out.neighbours.insert(out.neighbours.end(), more.begin(), more.end());
  }
  std::sort(out.neighbours.begin(), out.neighbours.end());
  out.neighbours.erase(std::unique(out.neighbours.begin(), out.neighbours.end()),
                       out.neighbours.end());
  return out;
}

Fate TextGuards::against(uint32_t query, uint32_t document, std::span<const uint32_t> answers,
                         uint32_t left_out) const {
  const WordSet words = document_words_[document];
  for (const uint32_t answer : answers) {
    if (answer == left_out) continue;
    const WordSet other = document_words_[answer];
    if (word_similarity(words, other) >= options_.near ||
        pair_overlap(words, other) >= options_.overlap) {
      return Fate::near_answer;
    }
  }
  return options_.alike <= 1 || together_ ? against_vectors(query, document, answers, left_out)
                                          : Fate::passes;
}

Fate TextGuards::against_vectors(uint32_t query, uint32_t document,
                                 std::span<const uint32_t> answers, uint32_t left_out) const {
  const size_t dims = documents_.dims();
  const float* const text = documents_.row(document);
  const double query_text = together_ ? cosine(queries_.row(query), text, dims) : 0;
  Fate fate = Fate::passes;
  for (const uint32_t answer : answers) {
    if (answer == left_out) continue;
    const float* const other = documents_.row(answer);
    const double answer_text = cosine(text, other, dims);
    if (answer_text >= options_.alike) return Fate::alike_answer;
    if (!together_ || fate != Fate::passes) continue;
    const double query_answer = cosine(queries_.row(query), other, dims);
    if (nearness(query_text, answer_text, query_answer, background_) >= options_.together)
      fate = Fate::together;
  }
  return fate;
}

Fate TextGuards::judge_texts(uint32_t query, uint32_t document, const Answers& answers,
                             uint32_t left_out) const {
  const Fate own = against(query, document, answers.own, left_out);
  if (own != Fate::passes) return own;
  const Fate neighbour = against(query, document, answers.neighbours, left_out);
  if (neighbour != Fate::passes) return neighbour;
  // What has no words at all is equal only where it is equal as a text, and so one document.
  return word_similarity(document_words_[document], query_words_[query]) >= options_.near
             ? Fate::own_query
             : Fate::passes;
}

Fate TextGuards::judge(uint32_t query, uint32_t document, const Answers& answers) const {
  if (holds(answers.own, document)) return Fate::answer;
  if (holds(answers.neighbours, document)) return Fate::neighbour_answer;
  return judge_texts(query, document, answers, UINT32_MAX);
}

Fate TextGuards::judge_any(uint32_t query, uint32_t document, const Answers& answers) const {
  const Fate fate = judge(query, document, answers);
  if (fate == Fate::passes && answers_neighbour(query, document)) return Fate::neighbour_answer;
  return fate;
}

Fate TextGuards::judge_hidden(uint32_t query, uint32_t document, const Answers& answers) const {
  if (holds(answers.neighbours, document)) return Fate::neighbour_answer;
  return judge_texts(query, document, answers, document);
}

void check_guards(const GuardOptions& options) {
  const auto within = [](std::string_view flag, double value, double least, double most) {
    if (value >= least && value <= most) return;
    throw_error(ErrorKind::usage, flag, "{} is not between {} and {}", value, least, most);
  };
  within("--near", options.near, 0.2, 2);
  within("--overlap", options.overlap, 0.2, 2);
  within("--alike", options.alike, 0.2, 2);
  within("--together", options.together, 0.1, 2);
  within("--share", options.share, 0, 2);
  if (options.margin) within("--margin", *options.margin, -1e6, 1e6);
  const double highest = options.max_score.value_or(std::numeric_limits<double>::infinity());
  const double lowest = options.min_score.value_or(-std::numeric_limits<double>::infinity());
  if (!(lowest < highest)) {
    throw_error(ErrorKind::usage, "--min-score",
                "{} is not below --max-score {}, so no negative could pass", lowest, highest);
  }
}

}  // namespace akin::mine
