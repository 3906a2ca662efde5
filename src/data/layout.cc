// See layout.h. The known names are those of FlagEmbedding, sentence-transformers, uniem and of
// data sets on the Hugging Face hub.
#include "data/layout.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace akin::data {
namespace {

constexpr std::pair<std::string_view, std::string_view> kPairs[] = {{"query", "positive"},
                                                                    {"query", "pos"},
                                                                    {"anchor", "positive"},
                                                                    {"anchor", "entailment"},
                                                                    {"text", "text_pos"},
                                                                    {"sentence1", "sentence2"},
                                                                    {"text1", "text2"},
                                                                    {"s1", "s2"},
                                                                    {"query", "document"},
                                                                    {"question", "answer"},
                                                                    {"query", "answer"},
                                                                    {"title", "body"},
                                                                    {"title", "abstract"},
                                                                    {"sentence_A", "sentence_B"},
                                                                    {"query", "answers"},
                                                                    {"instruction", "output"},
                                                                    {"en", "zh"}};
constexpr std::string_view kGroups[] = {"captions", "sentences"};
constexpr std::string_view kTexts[] = {"text", "query", "sentence", "content"};
// Of these a file may consist; a lone "query" is rather a pair whose other side has another name.
constexpr std::string_view kLoneTexts[] = {"text", "sentence", "content"};
constexpr std::string_view kClasses[] = {"label", "label_text", "class", "category"};
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

class KnownColumns {
 public:
  KnownColumns(std::span<const std::string> columns, const std::string& where)
      : columns_(columns), where_(where) {}

  bool has(std::string_view name) const {
    return std::find(columns_.begin(), columns_.end(), name) != columns_.end();
  }
  // The first of the names that there is; empty: none.
  std::string_view first(std::span<const std::string_view> names) const {
    const auto found =
        std::find_if(names.begin(), names.end(), [&](auto name) { return has(name); });
    return found == names.end() ? std::string_view() : *found;
  }
  // The first known pair of which both are there; null: none.
  const std::pair<std::string_view, std::string_view>* pair() const {
    const auto* found = std::find_if(std::begin(kPairs), std::end(kPairs), [&](const auto& names) {
      return has(names.first) && has(names.second);
    });
    return found == std::end(kPairs) ? nullptr : found;
  }
  [[noreturn]] void fail(std::string_view lacking, std::string_view map) const {
    throw_error(ErrorKind::bad_format, where_,
                "no known {}; the columns are: {}. Say which is which: --map {}", lacking,
                quote_some(columns_), map);
  }

 private:
  std::span<const std::string> columns_;
  const std::string& where_;
};

Layout pair_layout(std::span<const std::string> columns, const KnownColumns& known) {
  Layout out;
  const auto* const pair = known.pair();
  if (pair == nullptr) {
    out.group = known.first(kGroups);
    if (out.group.empty()) known.fail("pair of columns", "query=COLUMN,positive=COLUMN");
    out.words = fmt::format("{} (a record for each text and the next)", out.group);
    return out;
  }
  out.query = pair->first;
  out.positive = pair->second;
  out.words = fmt::format("{}, {}", pair->first, pair->second);
  const auto add_words = [&](std::string_view name) {
    if (known.has(name)) out.words += fmt::format(", {}", name);
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
  for (const auto name : {"scores", "pos_scores", "neg_scores"}) add_words(name);
  return out;
}

}  // namespace

Layout known_layout(std::span<const std::string> columns, RowShape shape,
                    const std::string& where) {
  const KnownColumns known(columns, where);
  Layout out;
  if (shape == RowShape::pair) {
    out = pair_layout(columns, known);
  } else {
    out.query = known.first(kTexts);
    if (out.query.empty()) known.fail("column of texts", "query=COLUMN");
    out.words = out.query;
    if (shape == RowShape::classes) {
      out.positive = known.first(kClasses);
      if (out.positive.empty()) known.fail("column of classes", "query=COLUMN,positive=COLUMN");
      out.words += fmt::format(", {} (the class)", out.positive);
    }
  }
  for (const auto& [name, request] : {std::pair{"task", &out.task}, {"source", &out.source}}) {
    *request = fmt::format("{}?", name);
    if (known.has(name)) out.words += fmt::format(", {}", name);
  }
  return out;
}

RowShape shape_of_columns(std::span<const std::string> columns) {
  const std::string where;
  const KnownColumns known(columns, where);
  if (known.pair() != nullptr || !known.first(kGroups).empty() || known.first(kLoneTexts).empty()) {
    return RowShape::pair;
  }
  if (!known.first(kClasses).empty()) return RowShape::classes;
  return known.first(kLabels).empty() ? RowShape::single : RowShape::pair;
}

RowShape shape_of_map(std::span<const std::string> map) {
  const auto names = [&](std::string_view field) {
    return std::any_of(map.begin(), map.end(),
                       [&](const auto& entry) { return entry.starts_with(field); });
  };
  if (names("class=")) return RowShape::classes;
  return names("positive=") ? RowShape::pair : RowShape::single;
}

Layout mapped_layout(std::span<const std::string> map, RowShape shape) {
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
        {"query", &out.query},  {"positive", &out.positive}, {"class", &out.positive},
        {"label", &out.label},  {"scores", &out.scores},     {"task", &out.task},
        {"source", &out.source}};
    const auto* found = std::find_if(std::begin(fields), std::end(fields),
                                     [&](const auto& row) { return row.first == field; });
    if (found == std::end(fields)) {
      throw_error(ErrorKind::usage, "--map",
                  "{} is not a field of a record; the fields are query, positive, negatives, "
                  "label, scores, task, source, and class beside a query alone",
                  quote(field));
    }
    if (field == "class" && (shape != RowShape::classes || !out.positive.empty())) {
      throw_error(ErrorKind::usage, "--map",
                  "class={} is for rows of a text and its class; a pair has a positive, and a "
                  "source of a recipe says classes = true",
                  column);
    }
    *found->second = column;
  }
  if (out.query.empty()) {
    throw_error(ErrorKind::usage, "--map", "a record needs a query: --map query=COLUMN");
  }
  if (out.positive.empty() && shape != RowShape::single) {
    throw_error(ErrorKind::usage, "--map",
                "a record needs both: --map query=COLUMN,positive=COLUMN");
  }
  return out;
}

}  // namespace akin::data
