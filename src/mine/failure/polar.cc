// F3, yes/no questions: related texts that leave the question open, and texts that deny a claim.
//
// Computes  for a yes/no question and its positive: the positive without the sentence that is
//           nearest to the question, and texts that share the rarest word of the question but
//           little of the rest. Where the row asks something else, a question is made of a plain
//           sentence of the positive ("X is Y." -> "Is X Y?", with 吗 in Chinese) and treated the
//           same. And of a sentence that can be denied, a row whose query is the sentence, whose
//           positive is the text, and whose negative is the text with that sentence denied.
// Data      positives of two sentences or more; questions and sentences in English or Chinese.
//           A sentence counts only where few texts have its rarest word.
// Safety    a text without the sentence says less of what is asked; a denied sentence contradicts
//           the claim. The denied text is never the negative of a question: "Is X Y?" does not say
//           which of the two is true, and no model could learn it from that.
// Source    arXiv:2409.10173 section 4.3.4, failure F3.
// See also  eval/tasks/negation.cc.
#include <algorithm>
#include <array>
#include <optional>

#include "data/fold.h"
#include "data/placed_words.h"
#include "mine/failure_case.h"

namespace akin::mine {
namespace {

using data::Place;
using data::PlacedWord;

constexpr size_t kCandidates = 64, kMostQuestionBytes = 200;
constexpr size_t kMostHolders = 8;   // texts with the rarest word of a sentence that stands for one
constexpr size_t kMostSubject = 8;   // words before the verb of a sentence
constexpr size_t kLeastRest = 3;     // words behind it
constexpr double kLeastNear = 0.34;  // share of the question's content in its sentence
constexpr double kMostShared = 0.5;  // of a question's content in a text beside the point

template <size_t N>
bool is_one_of(std::string_view word, const std::array<std::string_view, N>& list) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

constexpr std::array<std::string_view, 22> kAuxiliaries = {
    "is",     "are",   "was", "were",  "do",   "does", "did",  "can", "could", "will", "would",
    "should", "shall", "may", "might", "must", "has",  "have", "had", "isn",   "aren", "doesn"};
// Of these a question is made by moving them to the front, and a denial by "not" behind them.
constexpr std::array<std::string_view, 13> kMovable = {"is",    "are",  "was",   "were",   "can",
                                                       "could", "will", "would", "should", "may",
                                                       "might", "must", "cannot"};
constexpr std::array<std::string_view, 20> kNoSubject = {
    "it",    "this", "that",  "these", "those", "he",  "she",   "they", "we", "you",
    "there", "here", "which", "who",   "what",  "how", "where", "when", "i",  "if"};
constexpr std::array<std::string_view, 16> kLowered = {
    "the",  "a",       "an",  "some",  "most",  "many",  "all", "both",
    "each", "several", "few", "other", "these", "every", "no",  "any"};

constexpr std::array<std::string_view, 16> kAsking = {
    "什么", "多少", "哪",   "谁",   "几",   "怎",   "为何", "如何",
    "何时", "何地", "多久", "多大", "多长", "甚麼", "誰",   "幾"};
constexpr std::array<std::string_view, 12> kPolarWords = {
    "吗",     "嗎",       "是否",   "是不是", "能不能",   "会不会",
    "有没有", "可不可以", "要不要", "该不该", "应不应该", "對不對"};
constexpr std::array<std::string_view, 15> kNoDenseSubject = {
    "他", "她", "它", "这", "那", "其", "该", "本", "此", "這", "該", "我", "你", "但", "也"};

struct Denial {
  std::string_view plain, denied;
};
// Longer ones first: what holds another is tried before it.
constexpr std::array<Denial, 14> kDenials = {{{"可以", "不可以"},
                                              {"能够", "不能够"},
                                              {"能夠", "不能夠"},
                                              {"需要", "不需要"},
                                              {"应该", "不应该"},
                                              {"应当", "不应当"},
                                              {"應該", "不應該"},
                                              {"属于", "不属于"},
                                              {"屬於", "不屬於"},
                                              {"支持", "不支持"},
                                              {"允许", "不允许"},
                                              {"存在", "不存在"},
                                              {"具有", "不具有"},
                                              {"是", "不是"}}};
// In these words 是 is no verb.
constexpr std::array<std::string_view, 16> kNotIs = {"是否", "但是", "于是", "於是", "还是", "還是",
                                                     "只是", "总是", "總是", "可是", "要是", "凡是",
                                                     "若是", "或是", "是以", "是非"};

std::string folded(std::string_view word) {
  std::string out;
  data::append_folded(word, out);
  return out;
}

std::string_view at(std::string_view text, const Place& place) {
  return text.substr(place.begin, place.end - place.begin);
}
std::string word_at(std::string_view text, const PlacedWord& word) {
  return folded(text.substr(word.begin, word.end - word.begin));
}

template <size_t N>
bool holds(std::string_view text, const std::array<std::string_view, N>& list) {
  return std::any_of(list.begin(), list.end(),
                     [&](auto word) { return text.find(word) != std::string_view::npos; });
}
template <size_t N>
bool begins_with(std::string_view text, const std::array<std::string_view, N>& list) {
  return std::any_of(list.begin(), list.end(), [&](auto word) { return text.starts_with(word); });
}

bool is_polar(std::string_view query) {
  const auto words = data::placed_words(query);
  if (words.empty()) return false;
  if (data::is_dense(words)) return holds(query, kPolarWords) && !holds(query, kAsking);
  if (words.size() < 3 || !is_one_of(word_at(query, words.front()), kAuxiliaries)) return false;
  return std::none_of(words.begin(), words.end(), [&](const PlacedWord& word) {
    return word_at(query, word) == "or";  // a choice
  });
}

struct Content {
  std::vector<uint64_t> terms;  // rising
  uint64_t rarest = 0;
};
Content content_of(std::string_view text, const CaseTools& tools) {
  Content out;
  uint32_t best = 0;
  for (const uint64_t term : term_set(text)) {
    const uint32_t level = tools.level(term);
    if (level < kContentLevel) continue;
    out.terms.push_back(term);
    if (level > best) out.rarest = term;
    best = std::max(best, level);
  }
  return out;
}

double share_of(const Content& content, std::string_view text) {
  if (content.terms.empty()) return 0;
  const auto terms = term_set(text);
  const auto shared = std::count_if(content.terms.begin(), content.terms.end(),
                                    [&](uint64_t term) { return contains(terms, term); });
  return static_cast<double>(shared) / static_cast<double>(content.terms.size());
}

// A text without one of its sentences.
std::string without(std::string_view text, std::span<const Place> all, size_t left_out) {
  std::string out;
  for (size_t i = 0; i < all.size(); ++i) {
    if (i == left_out) continue;
    if (!out.empty() && static_cast<unsigned char>(out.back()) < 0x80) out += ' ';
    out += at(text, all[i]);
  }
  return out;
}

// The sentence nearest to a question.
std::optional<size_t> nearest_sentence(const Content& question, std::string_view text,
                                       std::span<const Place> all) {
  std::optional<size_t> best;
  double best_share = kLeastNear;
  for (size_t i = 0; i < all.size(); ++i) {
    const double share = share_of(question, at(text, all[i]));
    if (share < best_share || (best && share == best_share)) continue;
    best = i;
    best_share = share;
  }
  return best;
}

// Where the verb of a plain English sentence stands, when it has a subject that names something.
std::optional<size_t> plain_verb(std::string_view sentence, std::span<const PlacedWord> words) {
  if (words.size() < 2 + kLeastRest || words.front().begin != 0) return std::nullopt;
  for (size_t i = 0; i < std::min(words.size() - kLeastRest, kMostSubject + 1); ++i) {
    const std::string word = word_at(sentence, words[i]);
    if (i > 0 && is_one_of(word, kMovable)) return i;
    if (is_one_of(word, kNoSubject) || is_one_of(word, kAuxiliaries)) return std::nullopt;
    const auto gap = sentence.substr(words[i].end, words[i + 1].begin - words[i].end);
    if (gap != " " && gap != "-") return std::nullopt;  // commas, brackets
  }
  return std::nullopt;
}

// "Glaucoma is a disease of the eye, ..." -> "Is Glaucoma a disease of the eye?"
std::string spaced_question(std::string_view sentence) {
  const auto words = data::placed_words(sentence);
  const auto verb = plain_verb(sentence, words);
  if (!verb || word_at(sentence, words[*verb]) == "cannot") return {};
  if (word_at(sentence, words[*verb + 1]) == "not") return {};
  size_t end = sentence.size();
  for (size_t i = *verb + 1; i + 1 < words.size(); ++i) {
    const auto gap = sentence.substr(words[i].end, words[i + 1].begin - words[i].end);
    if (gap.find_first_of(",;:(") == std::string_view::npos) continue;
    end = words[i].end;
    if (i < *verb + kLeastRest) return {};
    break;
  }
  end = std::min<size_t>(end, words.back().end);
  std::string subject(sentence.substr(0, words[*verb - 1].end));
  if (is_one_of(word_at(sentence, words.front()), kLowered)) {
    subject[0] = static_cast<char>(subject[0] | 0x20);
  }
  std::string out = word_at(sentence, words[*verb]);
  out[0] = static_cast<char>(out[0] & ~0x20);
  out +=
      " " + subject + std::string(sentence.substr(words[*verb].end, end - words[*verb].end)) + "?";
  return out;
}

// Where a word of denial can stand in a Chinese sentence; none if it is denied already or asks.
std::optional<std::pair<size_t, Denial>> dense_verb(std::string_view sentence) {
  if (begins_with(sentence, kNoDenseSubject) || holds(sentence, kAsking) ||
      holds(sentence, kPolarWords)) {
    return std::nullopt;
  }
  for (const std::string_view sign : {"不", "没", "沒", "未", "无", "無", "非"}) {
    if (sentence.find(sign) != std::string_view::npos) return std::nullopt;
  }
  for (const Denial& denial : kDenials) {
    const size_t place = sentence.find(denial.plain);
    if (place == std::string_view::npos || place < 2 * 3) continue;  // two ideographs of subject
    if (denial.plain == "是" && holds(sentence, kNotIs)) continue;
    return std::pair{place, denial};
  }
  return std::nullopt;
}

std::string_view trimmed_dense(std::string_view sentence) {
  for (const std::string_view stop : {"。", "！", "；", "，", ";", ".", ","}) {
    if (sentence.ends_with(stop)) return sentence.substr(0, sentence.size() - stop.size());
  }
  return sentence;
}

std::string dense_question(std::string_view sentence) {
  const auto verb = dense_verb(sentence);
  if (!verb) return {};
  size_t end = sentence.find("，", verb->first);
  if (end == std::string_view::npos) end = sentence.size();
  if (end < verb->first + verb->second.plain.size() + 2 * 3) return {};
  if (sentence.substr(0, verb->first).find("，") != std::string_view::npos) return {};
  return std::string(trimmed_dense(sentence.substr(0, end))) + "吗？";
}

// "May not be" does not deny "may be".
bool is_weak(std::string_view verb) { return verb == "may" || verb == "might" || verb == "could"; }

// The sentence with its verb denied, or with what denied it taken away.
std::string denied(std::string_view sentence) {
  const auto words = data::placed_words(sentence);
  if (words.empty()) return {};
  if (data::is_dense(words)) {
    const auto verb = dense_verb(sentence);
    if (!verb) return {};
    std::string out(sentence);
    return out.replace(verb->first, verb->second.plain.size(), verb->second.denied);
  }
  const auto verb = plain_verb(sentence, words);
  if (!verb || is_weak(word_at(sentence, words[*verb]))) return {};
  std::string out(sentence);
  const PlacedWord& word = words[*verb];
  if (word_at(sentence, word) == "cannot") return out.replace(word.begin, 6, "can");
  const PlacedWord& next = words[*verb + 1];
  if (word_at(sentence, next) == "not") {
    return out.erase(word.end, next.end - word.end);
  }
  return out.insert(word.end, " not");
}

// Whether a sentence is about something that few texts are about: one that many texts have, such as
// a standing remark, would have many answers.
bool is_specific(std::string_view sentence, const CaseTools& tools) {
  const uint64_t rarest[] = {content_of(sentence, tools).rarest};
  return rarest[0] != 0 && tools.documents.find(rarest, kMostHolders + 1).size() <= kMostHolders;
}

class Polar final : public FailureCase {
 public:
  void make(const CaseRow& row, const CaseTools& tools, Rng& rng,
            std::vector<CaseLine>& out) const override {
    const std::string_view positive = tools.corpus.documents[row.positives.front()];
    const auto all = data::sentences(positive);
    if (is_polar(row.query)) {
      add_open(std::string(row.query), row, tools, positive, all, out);
    } else if (const std::string made = make_question(positive, all, tools, rng); !made.empty()) {
      add_open(made, row, tools, positive, all, out);
    }
    add_denied(positive, all, tools, rng, out);
  }

 private:
  // A question from one of the sentences that give one.
  static std::string make_question(std::string_view text, std::span<const Place> all,
                                   const CaseTools& tools, Rng& rng) {
    std::vector<std::string> made;
    for (const Place& place : all) {
      const auto sentence = at(text, place);
      if (sentence.size() > 2 * kMostQuestionBytes) continue;
      const bool dense = data::is_dense(data::placed_words(sentence));
      std::string question = dense ? dense_question(sentence) : spaced_question(sentence);
      if (question.empty() || question.size() > kMostQuestionBytes) continue;
      if (is_specific(question, tools)) made.push_back(std::move(question));
    }
    return made.empty() ? std::string() : made[rng.below(made.size())];
  }

  static void add_open(const std::string& query, const CaseRow& row, const CaseTools& tools,
                       std::string_view positive, std::span<const Place> all,
                       std::vector<CaseLine>& out) {
    const Content content = content_of(query, tools);
    if (content.terms.empty()) return;
    CaseLine line{query, {std::string(positive)}, {}};
    if (const auto best = nearest_sentence(content, positive, all); best && all.size() > 1) {
      std::string left = without(positive, all, *best);
      if (share_of(content, left) < 1) {  // elsewhere it says the same words
        line.negatives.push_back({std::move(left), "without the answer"});
      }
    }
    const uint64_t rarest[] = {content.rarest};
    for (const auto& hit : tools.documents.find(rarest, kCandidates)) {
      if (line.negatives.size() >= row.negatives) break;
      const std::string_view text = tools.corpus.documents[hit.text];
      if (share_of(content, text) > kMostShared || !tools.may_be_negative(row, hit.text)) continue;
      line.negatives.push_back({std::string(text), "beside the point"});
    }
    out.push_back(std::move(line));
  }

  static void add_denied(std::string_view text, std::span<const Place> all, const CaseTools& tools,
                         Rng& rng, std::vector<CaseLine>& out) {
    std::vector<size_t> able;
    for (size_t i = 0; i < all.size(); ++i) {
      const auto sentence = at(text, all[i]);
      if (!denied(sentence).empty() && is_specific(sentence, tools)) able.push_back(i);
    }
    if (able.empty() || all.size() < 2) return;
    const Place place = all[able[rng.below(able.size())]];
    if (place.end - place.begin > 2 * kMostQuestionBytes) return;
    std::string other(text);
    other.replace(place.begin, place.end - place.begin, denied(at(text, place)));
    out.push_back(
        {std::string(at(text, place)), {std::string(text)}, {{std::move(other), "denied"}}});
  }
};

}  // namespace

std::unique_ptr<FailureCase> make_polar_case() { return std::make_unique<Polar>(); }

}  // namespace akin::mine
