// See layout.h. The known names are those of FlagEmbedding, sentence-transformers, uniem and of
// data sets on the Hugging Face hub.
#include "data/layout.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace akin::data {
namespace {

constexpr std::pair<std::string_view, std::string_view> kPairs[] = {
    {"query", "positive"},  {"query", "pos"},
    {"anchor", "positive"}, {"anchor", "entailment"},
    {"text", "text_pos"},   {"sentence1", "sentence2"},
    {"text1", "text2"},     {"s1", "s2"},
    {"query", "document"},  {"question", "answer"},
    {"query", "answer"},    {"title", "body"},
    {"title", "abstract"},  {"sentence_A", "sentence_B"}};
constexpr std::string_view kNegatives[] = {"negatives", "negative", "neg", "text_neg"};
constexpr std::string_view kLabels[] = {"label", "score", "similarity_score", "similarity"};

// "negative_1", "negative_12".
bool numbered_negative(std::string_view name) {
  constexpr std::string_view kStem = "negative_";
  if (!name.starts_with(kStem) || name.size() == kStem.size()) return false;
  name.remove_prefix(kStem.size());
  return std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string alternatives(std::span<const std::string_view> names) {
  return fmt::format("{}?", fmt::join(names, "|"));
}

std::string quoted_list(std::span<const std::string> columns) {
  constexpr size_t kMost = 24;
  std::string out;
  for (size_t i = 0; i < std::min(columns.size(), kMost); ++i) {
    out += (i == 0 ? "" : ", ") + quote(columns[i], 40);
  }
  if (columns.size() > kMost) out += fmt::format(" and {} more", columns.size() - kMost);
  return out.empty() ? "none" : out;
}

}  // namespace

Layout known_layout(std::span<const std::string> columns, const std::string& where) {
  const auto has = [&](std::string_view name) {
    return std::find(columns.begin(), columns.end(), name) != columns.end();
  };
  const auto* pair = std::find_if(std::begin(kPairs), std::end(kPairs), [&](const auto& names) {
    return has(names.first) && has(names.second);
  });
  if (pair == std::end(kPairs)) {
    throw_error(ErrorKind::bad_format, where,
                "no known pair of columns; the columns are: {}. Say which is which: --map "
                "query=COLUMN,positive=COLUMN",
                quoted_list(columns));
  }
  Layout out;
  out.query = pair->first;
  out.positive = pair->second;
  out.words = fmt::format("{}, {}", pair->first, pair->second);
  const auto add_words = [&](std::string_view name) {
    if (has(name)) out.words += fmt::format(", {}", name);
  };
  out.negatives.push_back(alternatives(kNegatives));
  for (const auto name : kNegatives) add_words(name);
  for (const auto& name : columns) {
    if (!numbered_negative(name)) continue;
    out.negatives.push_back(name + "?");
    add_words(name);
  }
  out.label = alternatives(kLabels);
  for (const auto name : kLabels) add_words(name);
  out.scores = "scores?";
  out.positive_scores = "pos_scores?";
  out.negative_scores = "neg_scores?";
  out.task = "task?";
  out.source = "source?";
  for (const auto name : {"scores", "pos_scores", "neg_scores", "task", "source"}) add_words(name);
  return out;
}

Layout mapped_layout(std::span<const std::string> map) {
  Layout out;
  for (const auto& entry : map) {
    const size_t equals = entry.find('=');
    const std::string field = entry.substr(0, equals);
    if (equals == std::string::npos || equals + 1 == entry.size()) {
      throw_error(ErrorKind::usage, "--map", "{} is not FIELD=COLUMN", quote(entry));
    }
    const std::string column = entry.substr(equals + 1);
    out.words += fmt::format("{}{} = {}", out.words.empty() ? "" : ", ", field, quote(column));
    if (field == "negatives") {
      out.negatives.push_back(column);
      continue;
    }
    const std::pair<std::string_view, std::string*> fields[] = {
        {"query", &out.query},   {"positive", &out.positive}, {"label", &out.label},
        {"scores", &out.scores}, {"task", &out.task},         {"source", &out.source}};
    const auto* found = std::find_if(std::begin(fields), std::end(fields),
                                     [&](const auto& row) { return row.first == field; });
    if (found == std::end(fields)) {
      throw_error(ErrorKind::usage, "--map",
                  "{} is not a field of a record; the fields are query, positive, negatives, "
                  "label, scores, task, source",
                  quote(field));
    }
    *found->second = column;
  }
  if (out.query.empty() || out.positive.empty()) {
    throw_error(ErrorKind::usage, "--map",
                "a record needs both: --map query=COLUMN,positive=COLUMN");
  }
  return out;
}

}  // namespace akin::data
