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
  // Special tokens included; 0: no limit. Longer texts are cut at the right.
  size_t max_query_tokens = 0, max_document_tokens = 0;
  bool lower_case = false;
  bool add_special_tokens = true;
  bool include_prompt = true;  // false: texts.prompt_tokens says which tokens pooling leaves out
  bool label_classes = false;  // `positive` is the name of a class: labels number the classes of
                               // the batch, there are no document texts
  bool keep_records = true;    // fill TrainBatch::records
};

// Texts in this order: B queries, B documents, then the M negatives of row 0, of row 1, ...
struct TrainBatch {
  uint64_t number = 0;
  size_t source = 0;
  size_t rows = 0, negatives = 0;  // B, M
  bool has_documents = true;       // false: of single texts, or of texts and their classes
  TokenBatch texts;                // B, 2 B or 2 B + B M texts
  // One a text: equal texts (white space and case folded), equal ids.
  std::vector<int64_t> text_ids;
  // [B] and [B, 1 + M]; empty unless every record of the source has one (RecordStore::fields).
  std::vector<float> labels, scores;
  std::vector<Record> records;  // [B], with the M negatives that were drawn; empty if not kept
  uint64_t cut_texts = 0, invalid_utf8 = 0;
  nlohmann::json state_after;  // of the mixture, behind this batch
};

class Loader {
 public:
  // `collate`: one for each source. Starts `workers` threads that stay at most `ahead` batches
  // before the step; with 0 workers next() does the work itself. mixture and tokenizer outlive the
  // loader, and the mixture is the loader's alone until then. Errors: usage.
  Loader(Mixture& mixture, const text::Tokenizer& tokenizer, std::vector<CollateOptions> collate,
         size_t workers, size_t ahead);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;
  // Waits for the next batch. Errors: those of reading, of the batch where they happened; then
  // every later call throws the same.
  TrainBatch next();
  double waited_seconds() const;  // how long next() has had to wait, all in all

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One batch, here and now: what the workers do. Errors: bad_format, naming the record, when a field
// that the source promises is missing (a negative, where others have some); too_long (4 billion
// tokens). Thread-safe.
TrainBatch collate(const DrawnBatch& drawn, const MixtureSource& source,
                   const text::Tokenizer& tokenizer, const CollateOptions& options);

}  // namespace akin::data
