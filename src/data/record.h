// The one training record: what every reader gives, every filter judges and every loss is fed from.
// Not tokens, not batches. Fields are named; their order in a file never matters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace akin::data {

// What a row is: a pair (perhaps with more), one text, or a text and the name of its class.
enum class RowShape : uint8_t { pair, single, classes };

struct Record {
  std::string query, positive;         // valid UTF-8
  std::vector<std::string> negatives;  // valid UTF-8
  std::optional<float> label;          // graded or binary pairs
  std::vector<float> scores;           // of a teacher: the positive's, then each negative's
  std::string task, source;
  // A single text is the query, and a class the positive; in a pair an empty positive is a fault.
  RowShape shape = RowShape::pair;
  uint64_t row = 0;  // line or row of its file; for messages only, never written

  bool is_pair() const { return shape == RowShape::pair; }
  void clear() {
    query.clear();
    positive.clear();
    negatives.clear();
    label.reset();
    scores.clear();
    task.clear();
    source.clear();
    shape = RowShape::pair;
    row = 0;
  }
};

}  // namespace akin::data
