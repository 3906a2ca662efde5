// F2, names: texts that have a part of the name that the query is about, and texts in which that
// name is another one.
//
// Computes  the names that a query and its positive share: capitalised words in a row (without
//           capitals in the query, those of the positive), pieces joined by a middle dot, or the
//           longest run of ideographs of both. Then documents that hold a part of the name and lack
//           another part; and the positive with one part of the name replaced, everywhere, by that
//           of a name from another row.
// Data      rows whose query names something that its positive names in full.
// Safety    a document with the whole name, or with all its parts, is none; nor is a known answer
//           or nearly one. A changed positive holds the name nowhere.
// Source    arXiv:2409.10173 section 4.3.4, failure F2.
// See also  look_alike.cc.
#include <algorithm>
#include <optional>

#include "data/placed_words.h"
#include "mine/failure_case.h"

namespace akin::mine {
namespace {

using data::PlacedWord;

constexpr size_t kCandidates = 96, kDonors = 24;
constexpr size_t kLeastRun = 4, kMostRun = 10;           // ideographs of a name
constexpr size_t kLeastDonor = 3, kLeastDenseDonor = 6;  // bytes of a part of another name
constexpr std::string_view kDot = "\xC2\xB7", kWideDot = "\xE3\x83\xBB";  // middle dots

struct Name {
  std::vector<std::string> parts;  // as written in the positive; two at least
  std::string joint;               // between the parts of a name in ideographs
  bool dense = false;
};

std::string_view at(std::string_view text, size_t begin, size_t end) {
  return text.substr(begin, end - begin);
}

bool is_joint(std::string_view between) {
  return between == " " || between == "-" || between == kDot;
}

uint32_t level_of(std::string_view part, const CaseTools& tools) {
  uint32_t best = 0;
  for (const uint64_t term : term_set(part)) best = std::max(best, tools.level(term));
  return best;
}

// The words of `run` in `words`, in this order; the place of the first, or none.
std::optional<size_t> find_run(std::span<const PlacedWord> words, std::span<const PlacedWord> run) {
  const auto it =
      std::search(words.begin(), words.end(), run.begin(), run.end(),
                  [](const PlacedWord& a, const PlacedWord& b) { return a.key == b.key; });
  if (it == words.end()) return std::nullopt;
  return static_cast<size_t>(it - words.begin());
}

bool has_content(std::span<const PlacedWord> run, const CaseTools& tools) {
  return std::all_of(run.begin(), run.end(), [&](const PlacedWord& word) {
    return tools.level(word.key) >= kContentLevel;
  });
}

// The longest run of capitalised words of the positive that the query has, too.
Name spaced_name(std::string_view positive, std::span<const PlacedWord> words,
                 std::span<const PlacedWord> query, const CaseTools& tools) {
  std::span<const PlacedWord> best;
  for (size_t begin = 0; begin < words.size(); ++begin) {
    if (!words[begin].capital) continue;
    size_t end = begin + 1;
    while (end < words.size() && words[end].capital && end - begin < 5 &&
           is_joint(at(positive, words[end - 1].end, words[end].begin))) {
      ++end;
    }
    for (size_t stop = end; stop > begin + 1 && stop - begin > best.size(); --stop) {
      const auto run = words.subspan(begin, stop - begin);
      if (has_content(run, tools) && find_run(query, run)) {
        best = run;
        break;
      }
    }
  }
  Name out;
  for (const auto& word : best) out.parts.emplace_back(at(positive, word.begin, word.end));
  return out;
}

// Pieces in ideographs joined by middle dots, around the one at this place of the text.
Name dotted_name(std::string_view positive, std::span<const PlacedWord> words,
                 std::span<const PlacedWord> query) {
  const auto dotted = [&](size_t i) {  // a dot between word i and the next
    if (i + 1 >= words.size()) return false;
    const auto between = at(positive, words[i].end, words[i + 1].begin);
    return between == kDot || between == kWideDot;
  };
  for (size_t i = 0; i < words.size(); ++i) {
    if (!dotted(i) || !words[i].dense) continue;
    // Pieces end where the query's spelling does: no dictionary says where the name begins.
    for (size_t begin = i >= 5 ? i - 5 : 0; begin <= i; ++begin) {
      for (size_t end = std::min(words.size(), i + 8); end > i + 2; --end) {
        const auto run = words.subspan(begin, end - begin);
        const auto found = find_run(query, run);
        if (!found) continue;
        Name out{{std::string(at(positive, words[begin].begin, words[i].end)),
                  std::string(at(positive, words[i + 1].begin, words[end - 1].end))},
                 std::string(at(positive, words[i].end, words[i + 1].begin)),
                 true};
        if (i > begin && out.parts[1].find(out.joint) == std::string::npos) return out;
      }
    }
  }
  return {};
}

// The longest run of ideographs that both have, cut in two, of which few texts have either half.
Name dense_name(std::string_view positive, std::span<const PlacedWord> words,
                std::span<const PlacedWord> query, const CaseTools& tools) {
  const auto joined = [](std::span<const PlacedWord> list, size_t i) {
    return i + 1 < list.size() && list[i + 1].dense && list[i].end == list[i + 1].begin;
  };
  size_t best_begin = 0, best = 0;
  for (size_t i = 0; i < query.size(); ++i) {
    if (!query[i].dense) continue;
    for (size_t j = 0; j < words.size(); ++j) {
      if (words[j].key != query[i].key) continue;
      size_t n = 1;
      while (n < kMostRun && joined(query, i + n - 1) && joined(words, j + n - 1) &&
             query[i + n].key == words[j + n].key) {
        ++n;
      }
      if (n > best) {
        best = n;
        best_begin = j;
      }
    }
  }
  if (best < kLeastRun) return {};
  const auto run = words.subspan(best_begin, best);
  const size_t cut = best / 2;
  const auto first = at(positive, run.front().begin, run[cut - 1].end);
  const auto last = at(positive, run[cut].begin, run.back().end);
  if (std::min(level_of(first, tools), level_of(last, tools)) < kContentLevel + 2) return {};
  return {{std::string(first), std::string(last)}, "", true};
}

Name name_of(std::string_view query, std::string_view positive, const CaseTools& tools) {
  const auto in_query = data::placed_words(query), words = data::placed_words(positive);
  if (Name out = spaced_name(positive, words, in_query, tools); out.parts.size() > 1) return out;
  if (Name out = dotted_name(positive, words, in_query); out.parts.size() > 1) return out;
  return dense_name(positive, words, in_query, tools);
}

bool has_part(std::string_view text, std::span<const uint64_t> terms, const std::string& part,
              bool dense) {
  if (dense) return text.find(part) != std::string_view::npos;
  const auto wanted = term_set(part);
  return std::all_of(wanted.begin(), wanted.end(),
                     [&](uint64_t term) { return contains(terms, term); });
}

// The text with every `part` as a word of its own (or a run of ideographs) replaced.
std::string replaced(std::string_view text, const std::string& part, const std::string& by,
                     bool dense) {
  std::string out;
  if (dense) {
    for (size_t from = 0;;) {
      const size_t place = text.find(part, from);
      out += text.substr(from, place - from);
      if (place == std::string_view::npos) return out;
      out += by;
      from = place + part.size();
    }
  }
  const uint64_t key = data::placed_words(part).front().key;
  size_t from = 0;
  for (const auto& word : data::placed_words(text)) {
    if (word.key != key) continue;
    out += text.substr(from, word.begin - from);
    out += by;
    from = word.end;
  }
  out += text.substr(from);
  return out;
}

class Entity final : public FailureCase {
 public:
  void make(const CaseRow& row, const CaseTools& tools, Rng& rng,
            std::vector<CaseLine>& out) const override {
    const std::string_view positive = tools.corpus.documents[row.positives.front()];
    const Name name = name_of(row.query, positive, tools);
    if (name.parts.size() < 2) return;
    std::vector<CaseNegative> partial, misnamed;
    find_partial(row, name, tools, partial);
    make_misnamed(row, name, positive, tools, rng, misnamed);
    CaseLine line{std::string(row.query), {}, {}};
    for (size_t i = 0; i < std::max(partial.size(), misnamed.size()); ++i) {
      for (auto* list : {&partial, &misnamed}) {
        if (i < list->size() && line.negatives.size() < row.negatives) {
          line.negatives.push_back(std::move((*list)[i]));
        }
      }
    }
    out.push_back(std::move(line));
  }

 private:
  static void find_partial(const CaseRow& row, const Name& name, const CaseTools& tools,
                           std::vector<CaseNegative>& out) {
    std::vector<uint64_t> wanted;
    for (const auto& part : name.parts) {
      for (const uint64_t term : term_set(part)) wanted.push_back(term);
    }
    for (const auto& hit : tools.documents.find(wanted, kCandidates)) {
      if (out.size() == row.negatives) return;
      const std::string_view text = tools.corpus.documents[hit.text];
      const auto terms = term_set(text);
      const auto has = std::count_if(
          name.parts.begin(), name.parts.end(),
          [&](const std::string& part) { return has_part(text, terms, part, name.dense); });
      if (has == 0 || static_cast<size_t>(has) == name.parts.size()) continue;
      if (tools.may_be_negative(row, hit.text))
        out.push_back({std::string(text), "part of the name"});
    }
  }

  // The part of a name from another row that stands where this one does.
  static std::string donor(const CaseRow& row, const Name& name, size_t place,
                           const CaseTools& tools, Rng& rng) {
    for (size_t i = 0; i < kDonors; ++i) {
      const Row& other = tools.corpus.rows[rng.below(tools.corpus.rows.size())];
      const auto documents = tools.corpus.positives(other);
      if (other.query == row.query_number || documents.empty()) continue;
      const Name found = name_of(tools.corpus.queries[other.query],
                                 tools.corpus.documents[documents.front()], tools);
      if (found.parts.size() < 2 || found.dense != name.dense) continue;
      const bool last = place + 1 == name.parts.size();
      const std::string& part = last ? found.parts.back() : found.parts.front();
      if (part.size() >= (name.dense ? kLeastDenseDonor : kLeastDonor)) return part;
    }
    return {};
  }

  static void make_misnamed(const CaseRow& row, const Name& name, std::string_view positive,
                            const CaseTools& tools, Rng& rng, std::vector<CaseNegative>& out) {
    const auto terms = term_set(positive);
    for (size_t i = 0; i < 2 * name.parts.size() && out.size() < (row.negatives + 1) / 2; ++i) {
      const size_t place = i % name.parts.size();
      const std::string& part = name.parts[place];
      const std::string by = donor(row, name, place, tools, rng);
      if (by.empty() || has_part(positive, terms, by, name.dense) ||
          row.query.find(by) != std::string_view::npos) {
        continue;
      }
      std::string text = replaced(positive, part, by, name.dense);
      if (std::any_of(out.begin(), out.end(), [&](const auto& n) { return n.text == text; }))
        continue;
      // The new text must not name it after all, as where the new part holds the old one.
      if (has_part(text, term_set(text), part, name.dense)) continue;
      out.push_back({std::move(text), "another name"});
    }
  }
};

}  // namespace

std::unique_ptr<FailureCase> make_entity_case() { return std::make_unique<Entity>(); }

}  // namespace akin::mine
