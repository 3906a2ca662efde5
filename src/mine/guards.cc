#include "mine/guards.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace akin::mine {
namespace {

constexpr std::array<std::string_view, kFates> kNames = {"passes",
                                                         "own query",
                                                         "known answer",
                                                         "answer of a nearly equal query",
                                                         "near duplicate of an answer",
                                                         "vector like an answer's",
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

Fate TextGuards::against(uint32_t document, const WordSet& words, std::span<const uint32_t> answers,
                         uint32_t left_out) const {
  for (const uint32_t answer : answers) {
    if (answer == left_out) continue;
    const WordSet other = document_words_[answer];
    if (word_similarity(words, other) >= options_.near ||
        pair_overlap(words, other) >= options_.overlap) {
      return Fate::near_answer;
    }
  }
  if (options_.alike > 1) return Fate::passes;
  const float* const vector = documents_.row(document);
  for (const uint32_t answer : answers) {
    if (answer != left_out &&
        cosine(vector, documents_.row(answer), documents_.dims()) >= options_.alike) {
      return Fate::alike_answer;
    }
  }
  return Fate::passes;
}

Fate TextGuards::judge_texts(uint32_t query, uint32_t document, const Answers& answers,
                             uint32_t left_out) const {
  const WordSet words = document_words_[document];
  const Fate own = against(document, words, answers.own, left_out);
  if (own != Fate::passes) return own;
  const Fate neighbour = against(document, words, answers.neighbours, left_out);
  if (neighbour != Fate::passes) return neighbour;
  // What has no words at all is equal only where it is equal as a text, and so one document.
  return word_similarity(words, query_words_[query]) >= options_.near ? Fate::own_query
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
