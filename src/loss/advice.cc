#include "loss/advice.h"

#include <fmt/format.h>

namespace akin::loss {
namespace {

void propose_for_labels(const DataFields& fields, std::vector<Proposal>& out) {
  if (fields.label_kind == LabelKind::classes || fields.positives < fields.records) {
    out.push_back({"label_softmax",
                   "each text has a class: texts of one class are positives of each other, and no "
                   "text of the same class is pushed away"});
    out.push_back({"label_rank", "the same data, ranked as pairs; gentler beside another loss"});
    return;
  }
  if (fields.label_kind == LabelKind::binary) {
    out.push_back(
        {"cosent", "pairs are labelled yes or no: it ranks every yes above every no of a batch"});
    out.push_back({"infonce",
                   "keep the pairs labelled yes only, for retrieval rather than "
                   "similarity: the other documents of a batch are the negatives"});
    return;
  }
  if (fields.least_label == fields.greatest_label) {
    out.push_back({"infonce", fmt::format("every label is {}: there is no order to learn, so they "
                                          "count as pairs without labels, if they belong together",
                                          fields.least_label)});
    return;
  }
  out.push_back(
      {"cosent", fmt::format("pairs have graded labels ({} to {}): it learns their order, "
                             "which is what Spearman's correlation measures",
                             fields.least_label, fields.greatest_label)});
  if (fields.least_label >= -1 && fields.greatest_label <= 1) {
    out.push_back({"cosine_regression", "labels lie where cosines do, if their values matter"});
  }
}

void propose_for_negatives(std::vector<Proposal>& out) {
  out.push_back({"jina_triplet",
                 "each record has a negative: all negatives of the batch count, and a margin holds "
                 "the own ones off, which pays where they are near the positive (negations)"});
  out.push_back({"infonce",
                 "the same without the margin; the usual choice for retrieval with mined "
                 "negatives"});
  out.push_back({"simcse_sup", "for NLI (premise, entailment, contradiction): one direction only"});
}

void propose_for_pairs(const DataFields& fields, std::vector<Proposal>& out) {
  if (fields.positives == 0 || fields.positives_like_query == fields.records) {
    out.push_back({"simcse_unsup",
                   "records are single texts: a text is its own positive under another dropout "
                   "mask, so the model needs dropout"});
    return;
  }
  std::string reason =
      "pairs of texts: the other documents of a batch are the negatives, so the "
      "larger the batch the better";
  if (fields.negatives > 0) {
    reason += fmt::format(
        "; only {} of {} records have negatives, which a batch needs in every row: "
        "make them a source of their own",
        fields.negatives, fields.records);
  }
  out.push_back({"infonce", std::move(reason)});
}

}  // namespace

std::vector<Proposal> propose_losses(const DataFields& fields) {
  std::vector<Proposal> out;
  if (fields.records == 0) return out;
  const auto all = [&](uint64_t count) { return count == fields.records; };
  const bool pairs = all(fields.positives);
  if (all(fields.teacher_vectors)) {
    out.push_back({"vector_distill", "each text has a teacher's vector to point to"});
  }
  if (pairs && all(fields.negatives) && all(fields.scores)) {
    out.push_back({"kl_distill",
                   "a teacher has scored the positive and every negative: its confidence says more "
                   "than the choice alone"});
  }
  if (all(fields.labels) && fields.label_kind != LabelKind::none) {
    propose_for_labels(fields, out);
  } else if (pairs && all(fields.negatives)) {
    propose_for_negatives(out);
  } else if (pairs || fields.positives == 0) {
    propose_for_pairs(fields, out);
  } else {
    out.push_back({"infonce", fmt::format("{} of {} records are pairs: keep those, the others have "
                                          "nothing to be compared with",
                                          fields.positives, fields.records)});
  }
  return out;
}

}  // namespace akin::loss
