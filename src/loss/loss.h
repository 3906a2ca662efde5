// What a loss is: embeddings of one batch in, one scalar out. It never sees a model, a text or a
// token. A loss has no header of its own: it is one .cc in losses/ that exports
// make_<name>_loss(), and one line in losses.def. Wrappers (matryoshka.h, grad_cache.h) call a
// loss.
//
// Shapes: B rows of the batch, M negatives of each row, E embedding dim.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace akin::loss {

// Embeddings need not be normalised: a loss that works on cosines normalises its inputs itself.
// Undefined tensors are fields that the data does not have. All on one device.
struct LossInput {
  at::Tensor queries;       // [B, E]
  at::Tensor documents;     // [B, E], row i is the positive (or the other side) of query i
  at::Tensor negatives;     // [B, M, E]
  at::Tensor labels;        // [B] float: graded or binary pairs; class number for label losses
  at::Tensor scores;        // [B, 1 + M] float: a teacher's, the positive's first
  at::Tensor query_ids;     // [B] int64, one space with the ids below: equal for equal texts;
                            // masks false negatives
  at::Tensor document_ids;  // [B] int64
  at::Tensor negative_ids;  // [B, M] int64
  at::Tensor teacher_queries, teacher_documents;  // [B, Et]: vectors to distil
};

// The options of all losses; each takes its own (losses.def).
struct LossOptions {
  double temperature = 0.05;
  bool symmetric = true;           // also document -> query
  bool in_batch_negatives = true;  // false: only a row's own negatives
  bool mask_duplicates = true;     // a candidate with the text of the positive is no negative
  double margin = 0.05;            // triplet
  double hard_negative_weight =
      1;  // simcse alpha: ln(alpha) is added to the logit of own negatives

  template <typename Visitor>
  void fields(Visitor& v) {
    v("temperature=T", temperature, "divides cosines before the softmax");
    v("[no-]symmetric", symmetric, "softmax losses: also from document to query");
    v("[no-]in-batch-negatives", in_batch_negatives, "other rows' documents count as negatives");
    v("[no-]mask-duplicates", mask_duplicates, "a candidate equal to the positive is left out");
    v("margin=M", margin, "triplet losses: how much closer the positive has to be");
    v("hard-negative-weight=A", hard_negative_weight, "weight of a row's own negatives");
  }
};

// Fields that a loss cannot do without.
struct LossNeeds {
  bool negatives = false, labels = false, scores = false, teacher = false;
  bool documents = true;
  // A batch of one label teaches nothing; nor does one in which no two texts share a label.
  bool several_labels = false, shared_labels = false;
};

struct LossOutput {
  at::Tensor loss;  // scalar []
  double negatives_per_query =
      0;  // mean number of candidates that counted as negatives; for the log
  double solved =
      -1;  // share of rows whose positive already beats every negative; -1: not a ranking loss
};

class CosineLoss;  // cosine_loss.h

// Immutable and thread-safe.
class Loss {
 public:
  virtual ~Loss() = default;
  virtual LossNeeds needs() const = 0;
  // Errors: usage, for a field that is missing or of a shape that does not fit.
  virtual LossOutput forward(const LossInput& in) const = 0;
  // The same loss as a function of cosines, where it is one: wrappers then share their products.
  virtual const CosineLoss* on_cosines() const { return nullptr; }
};

struct LossInfo {
  std::string_view name, summary;
  std::string_view options;  // keys of LossOptions that it takes: "temperature, margin"
};
std::vector<LossInfo> loss_infos();
// Errors: usage, naming the known losses.
const LossInfo& loss_info(std::string_view name);
// Whether a loss takes an option, by its field's name ("hard-negative-weight") or key.
bool takes_option(const LossInfo& info, std::string_view option);
// Errors: usage, naming the known losses.
std::unique_ptr<Loss> make_loss(std::string_view name, const LossOptions& options);

}  // namespace akin::loss
