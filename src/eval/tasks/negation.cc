// Negation: is a sentence nearer to what follows from it than to its near-identical opposite?
//
// Computes  over triplets (anchor, entailment, negative), s = cosine:
//           EasyNegation, the share with s(anchor, entailment) > s(anchor, negative);
//           HardNegation, the share with s(anchor, entailment) > s(entailment, negative);
//           and triplet accuracy for each measure.
// Data      rows of anchor, entailment, negative; or grouped rows (columns.group) of text, label,
//           where label_map gives 0 for the anchor, positive numbers for entailments, negative ones
//           for negatives (with columns.anchor the group's own words are the anchor); or a corpus
//           (files.corpus) and queries that list the ids of their positive and negative documents.
// Options   label_map.
// Returns   easy_negation, hard_negation, cosine_accuracy, dot_accuracy, manhattan_accuracy,
//           euclidean_accuracy, max_accuracy, triplets; main hard_negation.
// Errors    bad_format when there is no triplet, or an id is not in the corpus.
// Source    arXiv:2307.11224 section 4 (Jina embeddings v1); triplet accuracy as
//           sentence-transformers' TripletEvaluator.
// See also  pair_classification.cc, for labelled pairs.
#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "eval/cached_encoder.h"
#include "eval/pair_scores.h"
#include "eval/retrieval_data.h"
#include "eval/task.h"
#include "eval/task_data.h"

namespace akin::eval {
namespace {

struct Triplet {
  size_t anchor, entailment, negative;  // numbers of texts
};
struct Triplets {
  std::vector<std::string> texts;
  std::vector<TextSide> sides;
  std::vector<Triplet> triplets;
  size_t add(std::string text, TextSide side) {
    texts.push_back(std::move(text));
    sides.push_back(side);
    return texts.size() - 1;
  }
};

Triplets read_plain(const Slice& slice, const TaskContext& context) {
  Triplets out;
  const std::string columns[] = {column(context.spec, "anchor", "anchor|query"),
                                 column(context.spec, "entailment", "entailment|positive|pos"),
                                 column(context.spec, "negative", "negative|neg")};
  context.data.each_row("rows", slice, columns, [&](auto values, const auto& reader) {
    size_t numbers[3];
    for (size_t i = 0; i < 3; ++i) {
      numbers[i] = out.add(text_of(values[i], reader, columns[i]), TextSide::none);
    }
    out.triplets.push_back({numbers[0], numbers[1], numbers[2]});
  });
  return out;
}

Triplets read_groups(const Slice& slice, const TaskContext& context) {
  Triplets out;
  const TaskSpec& spec = context.spec;
  const std::string columns[] = {column(spec, "group", "group"), column(spec, "text", "text"),
                                 column(spec, "label", "label")};
  const bool own_anchor = spec.columns.count("anchor") != 0;  // the group's word is the anchor
  struct Group {
    std::vector<size_t> anchors, entailments, negatives;
  };
  std::vector<std::string> order;
  std::unordered_map<std::string, Group> groups;
  std::unordered_map<std::string, size_t> seen;  // group and text: a row may be there twice
  context.data.each_row("rows", slice, columns, [&](auto values, const auto& reader) {
    const std::string name = text_of(values[0], reader, columns[0]);
    const auto label = spec.label_map.find(text_of(values[2], reader, columns[2]));
    if (label == spec.label_map.end()) return;
    std::string text = text_of(values[1], reader, columns[1]);
    if (!seen.try_emplace(fmt::format("{}\n{}\n{}", name, label->second, text), 0).second) return;
    const bool fresh = groups.count(name) == 0;
    Group& group = groups[name];
    if (fresh) {
      order.push_back(name);
      if (own_anchor) group.anchors.push_back(out.add(name, TextSide::none));
    }
    auto& list = label->second == 0  ? group.anchors
                 : label->second > 0 ? group.entailments
                                     : group.negatives;
    list.push_back(out.add(std::move(text), TextSide::none));
  });
  for (const auto& name : order) {
    const Group& group = groups[name];
    for (const size_t anchor : group.anchors) {
      for (const size_t entailment : group.entailments) {
        for (const size_t negative : group.negatives) {
          out.triplets.push_back({anchor, entailment, negative});
        }
      }
    }
  }
  return out;
}

Triplets read_collection(const Slice& slice, const TaskContext& context) {
  Triplets out;
  const Corpus corpus = read_corpus_ids(slice, context);
  each_document(slice, context, corpus,
                [&](uint32_t, std::string text) { out.add(std::move(text), TextSide::document); });
  const TaskSpec& spec = context.spec;
  const std::string columns[] = {column(spec, "query", "query|text"),
                                 column(spec, "positive", "positive"),
                                 column(spec, "negative", "negative")};
  context.data.each_row("queries", slice, columns, [&](auto values, const auto& reader) {
    const size_t query = out.add(text_of(values[0], reader, columns[0]), TextSide::query);
    const auto number = [&](const std::string& id) -> size_t {
      const auto it = corpus.numbers.find(id);
      if (it != corpus.numbers.end()) return it->second;
      throw_error(ErrorKind::bad_format, reader.where(),
                  "document {} is not in the corpus; complete the corpus or repair the row",
                  quote(id));
    };
    for (const auto& positive : texts_of(values[1], reader, columns[1])) {
      for (const auto& negative : texts_of(values[2], reader, columns[2])) {
        out.triplets.push_back({query, number(positive), number(negative)});
      }
    }
  });
  return out;
}

Mat<float> encode(const Triplets& data, TaskContext& context) {
  Mat<float> out(data.texts.size(), context.encoder.dim());
  for (const auto side : {TextSide::none, TextSide::query, TextSide::document}) {
    std::vector<std::string_view> texts;
    std::vector<size_t> rows;
    for (size_t i = 0; i < data.texts.size(); ++i) {
      if (data.sides[i] != side) continue;
      texts.emplace_back(data.texts[i]);
      rows.push_back(i);
    }
    if (texts.empty()) continue;
    const auto prompt = choose_prompt(context.encoder.info(), context.spec, side);
    const Mat<float> vectors = context.encoder.encode(texts, prompt, context.progress);
    for (size_t i = 0; i < rows.size(); ++i) {
      std::copy_n(vectors.row(i), vectors.cols(), out.row(rows[i]));
    }
  }
  return out;
}

PairScores score_side(const Triplets& data, MatView<const float> vectors, size_t Triplet::*a,
                      size_t Triplet::*b, const TaskContext& context) {
  Mat<float> x(data.triplets.size(), vectors.cols()), y(data.triplets.size(), vectors.cols());
  for (size_t i = 0; i < data.triplets.size(); ++i) {
    std::copy_n(vectors.row(data.triplets[i].*a), vectors.cols(), x.row(i));
    std::copy_n(vectors.row(data.triplets[i].*b), vectors.cols(), y.row(i));
  }
  return score_pairs(x.view(), y.view(), uses_dot(context.encoder), context.pool);
}

// Per triplet 1 where a is greater than b.
std::vector<double> wins(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> out(a.size());
  for (size_t i = 0; i < a.size(); ++i) out[i] = a[i] > b[i] ? 1.0 : 0.0;
  return out;
}

Scores score(const Triplets& data, MatView<const float> vectors, const TaskContext& context) {
  const auto positive = score_side(data, vectors, &Triplet::anchor, &Triplet::entailment, context);
  const auto negative = score_side(data, vectors, &Triplet::anchor, &Triplet::negative, context);
  const auto between = score_side(data, vectors, &Triplet::entailment, &Triplet::negative, context);
  const auto easy = wins(positive.cosine, negative.cosine);
  const auto hard = wins(positive.cosine, between.cosine);
  Scores out;
  out.metrics["easy_negation"] = mean_of(easy);
  out.metrics["hard_negation"] = mean_of(hard);
  const double accuracies[] = {mean_of(easy), mean_of(wins(positive.dot, negative.dot)),
                               mean_of(wins(negative.manhattan, positive.manhattan)),
                               mean_of(wins(negative.euclidean, positive.euclidean))};
  const char* names[] = {"cosine", "dot", "manhattan", "euclidean"};
  for (size_t i = 0; i < 4; ++i) {
    out.metrics[fmt::format("{}_accuracy", names[i])] = accuracies[i];
  }
  out.metrics["max_accuracy"] = *std::max_element(std::begin(accuracies), std::end(accuracies));
  out.metrics["triplets"] = data.triplets.size();
  const std::string& main_score = context.spec.main_score;
  if (main_score == "hard_negation" || main_score == "easy_negation" ||
      main_score == "cosine_accuracy") {
    out.items.emplace();
    out.items->values = main_score == "hard_negation" ? hard : easy;
  }
  return out;
}

class NegationTask final : public Task {
 public:
  std::string_view default_main_score() const override { return "hard_negation"; }
  std::vector<Scores> evaluate(const Slice& slice, TaskContext& context) override {
    const TaskSpec& spec = context.spec;
    const Triplets data = spec.files.count("corpus") != 0    ? read_collection(slice, context)
                          : spec.columns.count("group") != 0 ? read_groups(slice, context)
                                                             : read_plain(slice, context);
    if (data.triplets.empty()) {
      throw_error(ErrorKind::bad_format, context.data.folder().string(),
                  "no triplet in split \"{}\": each needs an anchor, an entailment and a negative; "
                  "check columns and label_map",
                  slice.split);
    }
    const Mat<float> vectors = encode(data, context);
    return for_each_dim(context, vectors.view(), {},
                        [&](auto x, auto) { return score(data, x, context); });
  }
};

}  // namespace

std::unique_ptr<Task> make_negation_task() { return std::make_unique<NegationTask>(); }

}  // namespace akin::eval
