// Long context: is the one sentence that matters found in a long text? Generated, at any length.
//
// Computes  a passkey or needle test: documents of filler text, each with one sentence of its own
// at
//           a random depth, and queries that ask for it; then trec_eval's measures.
// Data      none; or files.haystack, rows of text, as filler for a needle test. A split is
//           "test_<length>", in tokens, counted as 3 words to 4 tokens, so that every model reads
//           the same texts.
// Options   generate (passkey or needle), documents, queries.
// Returns   as Retrieval; main ndcg_at_1, which is the share of queries answered.
// Errors    usage for a split without a length.
// Source    own texts; the tests follow LongEmbed (arXiv:2404.12096).
#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/rng.h"
#include "eval/cached_encoder.h"
#include "eval/pair_scores.h"
#include "eval/retrieval_data.h"
#include "eval/task.h"
#include "eval/task_data.h"

namespace akin::eval {
namespace {

constexpr std::string_view kFirstNames[] = {
    "Ada",   "Boris", "Chloe", "Dmitri", "Elena", "Farid", "Greta", "Hugo",  "Ines", "Jonas",
    "Kavya", "Liam",  "Mei",   "Nadia",  "Oscar", "Priya", "Quinn", "Rosa",  "Sven", "Tara",
    "Umar",  "Vera",  "Wei",   "Ximena", "Yusuf", "Zoe",   "Abel",  "Bella", "Carl", "Daria"};
constexpr std::string_view kLastNames[] = {
    "Abbott", "Bauer",  "Castro", "Dupont", "Eriksen", "Fischer", "Garcia", "Hansen", "Ito",
    "Jensen", "Kumar",  "Lopez",  "Moreau", "Novak",   "Olsen",   "Petrov", "Rossi",  "Santos",
    "Tanaka", "Urbina", "Vogel",  "Walker", "Yilmaz",  "Zhang",   "Becker", "Cohen",  "Duarte"};
constexpr std::string_view kPlaces[] = {"Lisbon", "Kyoto",  "Bergen", "Quito", "Tunis",
                                        "Hobart", "Riga",   "Porto",  "Cusco", "Leeds",
                                        "Turin",  "Basel",  "Malmo",  "Dakar", "Hanoi",
                                        "Perth",  "Bruges", "Aarhus", "Split", "Tampere"};
constexpr std::string_view kThings[] = {
    "sail a wooden boat",     "bake rye bread",        "watch the night trains",
    "paint the old bridge",   "taste green cheese",    "climb the clock tower",
    "read in the glass hall", "listen to street jazz", "skate by the canal",
    "pick wild berries",      "visit the paper mill",  "ride the cable car"};
constexpr std::string_view kFiller[] = {
    "The grass is green and the sky is blue.",
    "The sun is warm and the road goes on.",
    "A clerk sorted letters until the lamps were lit.",
    "Rain fell on the roof through most of the afternoon.",
    "The committee met again and agreed to meet once more.",
    "Somebody had left a bicycle against the wall.",
    "Prices rose a little, and then they fell a little.",
    "The river was high that spring, as it is in most years.",
    "Two men carried a table up the stairs and down again.",
    "The bakery opened early and closed when the bread was gone."};

struct Test {
  std::vector<std::string> needles, questions;
};

template <size_t N>
std::string_view pick(const std::string_view (&list)[N], size_t index) {
  return list[index % N];
}

Test make_needles(const std::string& kind, size_t documents, Rng& rng) {
  Test out;
  for (size_t i = 0; i < documents; ++i) {
    std::string name = fmt::format("{} {}", pick(kFirstNames, i),
                                   pick(kLastNames, i / std::size(kFirstNames) + i));
    if (i >= std::size(kFirstNames) * std::size(kLastNames)) name += fmt::format(" {}", i);
    if (kind == "passkey") {
      const uint64_t key = 10000 + rng.below(90000);
      out.needles.push_back(
          fmt::format("The pass key of {0} is {1}. Remember that {1} is the pass "
                      "key of {0}.",
                      name, key));
      out.questions.push_back(fmt::format("What is the pass key of {}?", name));
    } else {
      const auto place = pick(kPlaces, rng.below(std::size(kPlaces)));
      const auto thing = pick(kThings, rng.below(std::size(kThings)));
      out.needles.push_back(
          fmt::format("The best thing that {} ever did in {} was to {}.", name, place, thing));
      out.questions.push_back(
          fmt::format("What was the best thing that {} did in {}?", name, place));
    }
  }
  return out;
}

size_t words_in(std::string_view text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), ' ')) + 1;
}

size_t length_of(const Slice& slice) {
  const size_t at = slice.split.rfind('_');
  size_t length = 0;
  const char* begin = slice.split.data() + (at == std::string::npos ? 0 : at + 1);
  const char* end = slice.split.data() + slice.split.size();
  const auto [stop, error] = std::from_chars(begin, end, length);
  if (error != std::errc() || stop != end || length < 64 || length > 1000000) {
    throw_error(ErrorKind::usage, slice.split,
                "the split of a LongContext task is \"test_<length>\", with a length of 64 to "
                "1,000,000 tokens, such as test_4096");
  }
  return length;
}

std::vector<std::string> filler_of(const Slice& slice, const TaskContext& context) {
  if (context.spec.files.count("haystack") == 0) return {std::begin(kFiller), std::end(kFiller)};
  return read_texts(context.data, "haystack", slice, column(context.spec, "text", "text"));
}

std::string make_document(const std::string& needle, std::span<const std::string> filler,
                          size_t words, Rng& rng) {
  std::vector<std::string_view> parts;
  size_t count = words_in(needle);
  for (size_t at = rng.below(filler.size()); count < words; at = (at + 1) % filler.size()) {
    parts.push_back(filler[at]);
    count += std::max<size_t>(words_in(filler[at]), 1);
  }
  parts.insert(parts.begin() + static_cast<ptrdiff_t>(rng.below(parts.size() + 1)), needle);
  return fmt::format("{}", fmt::join(parts, " "));
}

class LongContextTask final : public Task {
 public:
  std::string_view default_main_score() const override { return "ndcg_at_1"; }
  std::vector<Scores> evaluate(const Slice& slice, TaskContext& context) override {
    const TaskSpec& spec = context.spec;
    if (spec.generate != "passkey" && spec.generate != "needle") {
      throw_error(ErrorKind::usage, spec.where, "generate = {}, expected passkey or needle",
                  quote(spec.generate));
    }
    if (spec.documents < 2 || spec.documents > 100000 || spec.queries < 1 ||
        spec.queries > spec.documents) {
      throw_error(ErrorKind::usage, spec.where,
                  "{} documents and {} queries: expected 2 to 100,000 documents, and at most one "
                  "query for each",
                  spec.documents, spec.queries);
    }
    const size_t length = length_of(slice);
    Rng rng(42 + length);
    const Test test = make_needles(spec.generate, spec.documents, rng);
    const auto filler = filler_of(slice, context);
    std::vector<std::string> documents;
    Corpus corpus;
    QuerySet queries;
    for (uint32_t i = 0; i < spec.documents; ++i) {
      documents.push_back(make_document(test.needles[i], filler, length * 3 / 4, rng));
      corpus.ids.push_back(fmt::format("doc{:06}", i));
      if (i >= spec.queries) continue;
      queries.ids.push_back(fmt::format("query{:06}", i));
      queries.texts.push_back(test.questions[i]);
      queries.qrels.push_back({{i, 1}});
    }
    return score(documents, corpus, queries, context);
  }

 private:
  static std::vector<Scores> score(const std::vector<std::string>& documents, const Corpus& corpus,
                                   const QuerySet& queries, TaskContext& context) {
    CachedEncoder& encoder = context.encoder;
    const Mat<float> q =
        encoder.encode(queries.texts, choose_prompt(encoder.info(), context.spec, TextSide::query),
                       context.progress);
    const Mat<float> d =
        encoder.encode(documents, choose_prompt(encoder.info(), context.spec, TextSide::document),
                       context.progress);
    std::vector<Scores> out;
    for (const size_t dim : context.dims) {
      const Mat<float> x = similarity_rows(q.view(), dim, encoder);
      const Mat<float> y = similarity_rows(d.view(), dim, encoder);
      RankingScorer scorer(queries, corpus, context.pool);
      std::vector<RankingScorer::Scored> ranking(documents.size());
      for (size_t i = 0; i < queries.ids.size(); ++i) {
        for (uint32_t j = 0; j < documents.size(); ++j) {
          ranking[j] = {dot(x.row(i), y.row(j), dim), j};
        }
        scorer.add(i, ranking);
      }
      out.push_back(scorer.finish(context.spec.main_score));
    }
    return out;
  }
};

}  // namespace

std::unique_ptr<Task> make_long_context_task() { return std::make_unique<LongContextTask>(); }

}  // namespace akin::eval
