#include "mine/miner.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string>

#include "base/hash.h"
#include "base/rng.h"

namespace akin::mine {
namespace {

constexpr size_t kMostShown = 1200;  // bytes of a text in a sample
constexpr size_t kMostHidden = 4;    // answers of a query that are hidden by turns

std::string beginning(std::string_view text) {
  if (text.size() <= kMostShown) return std::string(text);
  size_t end = kMostShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + " …";
}

uint64_t order_of(uint64_t a, uint64_t b) {
  const std::array<uint64_t, 2> both = {a, b};
  return hash64({reinterpret_cast<const char*>(both.data()), sizeof both});
}

bool among(std::span<const uint32_t> list, uint32_t number) {
  return std::find(list.begin(), list.end(), number) != list.end();
}

}  // namespace

std::span<const std::string_view> choices(ShortRows) {
  static constexpr std::array<std::string_view, 3> kNames = {"keep", "fill", "drop"};
  return kNames;
}
std::span<const std::string_view> choices(Judge) {
  static constexpr std::array<std::string_view, 2> kNames = {"teacher", "model"};
  return kNames;
}

// A hit of the window.
struct Miner::Candidate {
  uint32_t document, rank;
  Fate fate;           // by text and vector; the score rules are a row's
  float score, other;  // by the model that decides, by the other one
};

// A query with all that its rows share.
struct Miner::Asked {
  uint32_t query;
  std::span<const index::Hit> hits;
  Answers answers;
  std::vector<Candidate> candidates;
  uint64_t seed;
};

Miner::Miner(const Corpus& corpus, const TextGuards& guards, const GuardOptions& guard_options,
             ModelVectors model, ModelVectors teacher, const SelectOptions& options)
    : corpus_(corpus), guards_(guards), guard_options_(guard_options), options_(options) {
  const bool taught = teacher.documents != nullptr;
  decider_ = taught && options.judge == Judge::teacher ? teacher : model;
  if (taught) other_ = options.judge == Judge::teacher ? model : teacher;
}

float Miner::lowest(const ModelVectors& vectors, const Row& row) const {
  float out = std::numeric_limits<float>::infinity();
  for (const uint32_t positive : corpus_.positives(row)) {
    out = std::min(out, vectors.score(row.query, positive));
  }
  return out;
}

void Miner::mine(uint32_t query, std::span<const index::Hit> hits, Tally& tally,
                 std::vector<Choice>& out) const {
  Asked asked{
      query, hits, guards_.answers(query, hits), {}, hash64(corpus_.queries[query], options_.seed)};
  for (size_t rank = options_.skip; rank < hits.size(); ++rank) {
    Candidate candidate{hits[rank].doc, static_cast<uint32_t>(rank + 1),
                        guards_.judge(query, hits[rank].doc, asked.answers),
                        decider_.score(query, hits[rank].doc), 0};
    if (other_.documents != nullptr) candidate.other = other_.score(query, hits[rank].doc);
    asked.candidates.push_back(candidate);
  }
  uint64_t ordinal = 0;
  for (const uint32_t row : corpus_.query_rows[query]) {
    asked.seed += 0x9E3779B97F4A7C15ULL * (ordinal++ == 0 ? 0 : 1);
    out.push_back(mine_row(row, asked, tally));
  }
  count_hidden(asked, tally);
}

Choice Miner::mine_row(uint32_t number, const Asked& asked, Tally& tally) const {
  const Row& row = corpus_.rows[number];
  const ScoreRules rules(guard_options_, lowest(decider_, row));
  const auto old = options_.keep_negatives ? corpus_.true_negatives(row) : std::vector<uint32_t>();
  const size_t wanted = options_.negatives - std::min(options_.negatives, old.size());
  std::vector<Fate> fates;
  std::vector<uint32_t> passing;
  for (size_t i = 0; i < asked.candidates.size(); ++i) {
    const Candidate& candidate = asked.candidates[i];
    fates.push_back(candidate.fate == Fate::passes ? rules.judge(candidate.score) : candidate.fate);
    ++tally.fates[static_cast<size_t>(fates[i])];
    if (fates[i] == Fate::passes && !among(old, candidate.document)) {
      passing.push_back(static_cast<uint32_t>(i));
    }
  }
  Choice out{number, {}};
  const float other_positive = other_.documents == nullptr ? 0 : lowest(other_, row);
  for (const uint32_t i : select(options_.sampling, passing.size(), wanted, asked.seed)) {
    const Candidate& candidate = asked.candidates[passing[i]];
    out.documents.push_back(candidate.document);
    tally.rank_sum += candidate.rank;
    tally.negatives.add(candidate.score);
    if (other_.documents == nullptr) continue;
    ++tally.order_broken[0];
    tally.order_broken[1] += candidate.other > other_positive ? 1 : 0;
  }
  count_plain(row, asked.candidates, fates, other_positive, asked.seed, tally);
  const size_t searched = out.documents.size();
  if (options_.short_rows == ShortRows::fill || options_.sampling == Sampling::corpus) {
    while (out.documents.size() < wanted) {
      const size_t before = out.documents.size();
      fill(row, asked, rules, asked.seed ^ out.documents.size(), out.documents);
      if (out.documents.size() == before) break;
    }
  }
  for (const uint32_t positive : corpus_.positives(row)) {
    tally.positives.add(decider_.score(row.query, positive));
  }
  ++tally.rows;
  tally.window += asked.candidates.size();
  tally.kept += out.documents.size();
  tally.filled += out.documents.size() - searched;
  tally.short_rows += out.documents.size() < wanted ? 1 : 0;
  tally.bare_rows += out.documents.empty() && old.empty() ? 1 : 0;
  sample(row, number, asked, fates, out, tally);
  return out;
}

// One more random document that passes, if a few dozen draws meet one.
void Miner::fill(const Row& row, const Asked& asked, const ScoreRules& rules, uint64_t seed,
                 std::vector<uint32_t>& out) const {
  constexpr size_t kDraws = 64;
  Rng rng(seed);
  for (size_t i = 0; i < kDraws; ++i) {
    const auto document = static_cast<uint32_t>(rng.below(corpus_.documents.size()));
    if (among(out, document)) continue;
    if (options_.keep_negatives && among(corpus_.negatives(row), document)) continue;
    if (rules.judge(decider_.score(asked.query, document)) != Fate::passes ||
        guards_.judge_any(asked.query, document, asked.answers) != Fate::passes) {
      continue;
    }
    out.push_back(document);
    return;
  }
}

// What the same choice takes when only the row's own positives are left out.
void Miner::count_plain(const Row& row, std::span<const Candidate> candidates,
                        std::span<const Fate> fates, float other_positive, uint64_t seed,
                        Tally& tally) const {
  std::vector<uint32_t> all;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!among(corpus_.positives(row), candidates[i].document)) {
      all.push_back(static_cast<uint32_t>(i));
    }
  }
  for (const uint32_t i : select(options_.sampling, all.size(), options_.negatives, seed)) {
    ++tally.plain[static_cast<size_t>(fates[all[i]])];
    if (other_.documents == nullptr) continue;
    ++tally.plain_judged;
    tally.order_broken[2] += candidates[all[i]].other > other_positive ? 1 : 0;
  }
}

// Each of a query's answers by turns as if nobody had labelled it: would it become a negative?
void Miner::count_hidden(const Asked& asked, Tally& tally) const {
  const auto answers = asked.answers.own;
  if (answers.size() < 2) return;
  for (size_t i = 0; i < std::min(answers.size(), kMostHidden); ++i) {
    const uint32_t hidden = answers[i];
    ++tally.hidden.tried;
    const auto at = std::find_if(asked.candidates.begin(), asked.candidates.end(),
                                 [&](const Candidate& c) { return c.document == hidden; });
    if (at == asked.candidates.end()) {
      ++tally.hidden.outside;
      continue;
    }
    float lowest_score = std::numeric_limits<float>::infinity();
    for (const uint32_t answer : answers) {
      if (answer != hidden) {
        lowest_score = std::min(lowest_score, decider_.score(asked.query, answer));
      }
    }
    const bool passes = guards_.judge_hidden(asked.query, hidden, asked.answers) == Fate::passes &&
                        ScoreRules(guard_options_, lowest_score).judge(at->score) == Fate::passes;
    ++(passes ? tally.hidden.passed : tally.hidden.cut);
  }
}

nlohmann::ordered_json Miner::shown(const Row& row, uint32_t document,
                                    const Candidate* candidate) const {
  nlohmann::ordered_json out = {{"text", beginning(corpus_.documents[document])},
                                {"score", decider_.score(row.query, document)}};
  if (other_.documents != nullptr) out["other_score"] = other_.score(row.query, document);
  if (candidate != nullptr) out["rank"] = candidate->rank;
  return out;
}

void Miner::sample(const Row& row, uint32_t number, const Asked& asked, std::span<const Fate> fates,
                   const Choice& choice, Tally& tally) const {
  const auto question = [&] {
    nlohmann::ordered_json out = {{"query", beginning(corpus_.queries[row.query])}};
    out["positive"] = shown(row, corpus_.positives(row).front(), nullptr);
    return out;
  };
  for (size_t i = 0; i < fates.size(); ++i) {
    const Candidate& candidate = asked.candidates[i];
    const uint64_t order = order_of(number, candidate.document);
    if (fates[i] == Fate::passes || !tally.wants_fate(fates[i], order)) continue;
    if (fates[i] == Fate::answer && among(corpus_.positives(row), candidate.document)) continue;
    auto sample_shown = question();
    sample_shown["removed"] = shown(row, candidate.document, &candidate);
    tally.add_fate(fates[i], order, std::move(sample_shown));
  }
  const uint64_t order = order_of(number, UINT64_MAX);
  if (choice.documents.empty() || !tally.wants_row(order)) return;
  auto row_shown = question();
  auto& negatives = row_shown["negatives"] = nlohmann::ordered_json::array();
  for (const uint32_t document : choice.documents) {
    const auto at = std::find_if(asked.candidates.begin(), asked.candidates.end(),
                                 [&](const Candidate& c) { return c.document == document; });
    negatives.push_back(shown(row, document, at == asked.candidates.end() ? nullptr : &*at));
  }
  tally.add_row(order, std::move(row_shown));
}

}  // namespace akin::mine
