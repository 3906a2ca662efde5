// Batches ahead of the step: worker threads read, tokenize and pack what a mixture draws, in its
// order. The number of workers changes nothing but time.
//
// Shapes: B rows, M negatives of each row.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/token_batch.h"
#include "data/mixture.h"
#include "text/tokenizer.h"

namespace akin::data {

struct CollateOptions {
  std::string query_prompt, document_prompt;  // literal, before every text of that side
  size_t max_query_tokens = 0,
         max_document_tokens =
             0;  // special tokens included; 0: no limit. Longer texts are cut at the right
  bool lower_case = false;
  bool add_special_tokens = true;
  bool label_classes = false;  // `positive` is the name of a class: labels become numbers of
                               // classes, no document texts
};

// Texts in this order: B queries, B documents, then the M negatives of row 0, of row 1, ...
struct TrainBatch {
  uint64_t number = 0;
  size_t source = 0;
  size_t rows = 0, negatives = 0;  // B, M
  bool has_documents = true;
  TokenBatch texts;  // B, 2 B or 2 B + B M texts
  std::vector<int64_t>
      text_ids;                 // one a text: equal texts (white space and case folded), equal ids
  std::vector<float> labels;    // [B], or empty
  std::vector<float> scores;    // [B, 1 + M], or empty
  std::vector<Record> records;  // [B], for messages and checks
  uint64_t cut_texts = 0, invalid_utf8 = 0;
  nlohmann::json state_after;  // of the mixture, behind this batch
};

class Loader {
 public:
  // `collate`: one for each source. Starts `workers` threads that stay at most `ahead` batches
  // before the step. mixture and tokenizer outlive the loader.
  Loader(Mixture& mixture, const text::Tokenizer& tokenizer, std::vector<CollateOptions> collate,
         size_t workers, size_t ahead);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;
  // Waits for the next batch. Errors: those of reading, of the batch where they happened.
  TrainBatch next();
  double waited_seconds() const;  // how long next() has had to wait, all in all

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One batch, here and now: what the workers do. Errors: bad_format, naming the record, when a field
// that the source promises is missing (a negative, where others have some).
TrainBatch collate(const DrawnBatch& drawn, const MixtureSource& source,
                   const text::Tokenizer& tokenizer, const CollateOptions& options);

}  // namespace akin::data
