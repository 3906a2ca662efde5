// Which loss fits a data set: a proposal from the fields that its records have. Not a loss, and no
// judgement of the texts themselves.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace akin::loss {

enum class LabelKind : uint8_t {
  none,
  binary,   // of a pair: two values
  graded,   // of a pair: more values
  classes,  // of a text: the number or the name of its class
};

// Counts of records. Whoever has read the data fills them in.
struct DataFields {
  uint64_t records = 0;
  uint64_t positives = 0;             // have a second text
  uint64_t positives_like_query = 0;  // whose second text is the first
  uint64_t negatives = 0;             // have one or more
  uint64_t labels = 0;
  uint64_t scores = 0;           // have a teacher's for the positive and every negative
  uint64_t teacher_vectors = 0;  // have one
  LabelKind label_kind = LabelKind::none;
  double least_label = 0, greatest_label = 0;
};

struct Proposal {
  std::string_view loss;  // a name for make_loss
  std::string reason;     // a sentence
};

// Best first; the first is the one to take. Empty if there are no records. A field that only some
// records have is not built upon: a reason says so.
std::vector<Proposal> propose_losses(const DataFields& fields);

}  // namespace akin::loss
