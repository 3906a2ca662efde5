// All that is mined from: the documents, each once, the queries, each once, and which documents
// answer which query. Embeds and judges nothing.
//
// Texts that are equal but for case and white space are one document; they stay as the first of
// them is written. Queries are kept apart unless every byte is equal, but those that are equal but
// for case and white space form one group, which shares its positives.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/progress.h"
#include "mine/input.h"
#include "mine/text_file.h"

namespace akin::mine {

// Gives one more text; false at the end.
using TextStream = std::function<bool(std::string& text)>;

// Lists of numbers back to back: list i is the numbers of i, rising, each once.
class Lists {
 public:
  struct Entry {
    uint32_t list, number;
  };
  Lists() = default;
  Lists(std::vector<Entry> entries, size_t lists);
  std::span<const uint32_t> operator[](size_t list) const {
    return {numbers_.data() + begins_[list], begins_[list + 1] - begins_[list]};
  }
  size_t lists() const { return begins_.empty() ? 0 : begins_.size() - 1; }

 private:
  std::vector<size_t> begins_;
  std::vector<uint32_t> numbers_;
};

// One row of the input that has a query and a positive.
struct Row {
  uint32_t query;
  uint32_t first;      // of its documents in Corpus::row_documents: positives, then negatives
  uint32_t positives;  // how many
  uint32_t negatives;  // that the row had
};

struct CorpusCounts {
  uint64_t texts = 0;     // of documents, before equal ones became one
  uint64_t variants = 0;  // differ from a document in case or white space only
  uint64_t empty_rows = 0, rows_without_positive = 0, from_stream = 0;
  uint64_t negatives_that_answer = 0;  // of rows: a positive of the same query, there or elsewhere
};

struct Corpus {
  explicit Corpus(const std::filesystem::path& folder)
      : documents(folder / "documents.text"), queries(folder / "queries.text") {}
  TextFile documents, queries;
  std::vector<Row> rows;  // in the order of the input; those without query or positive are none
  std::vector<uint32_t> row_documents;
  std::vector<uint32_t> group_of;  // of each query; a group's number is that of its first query
  Lists answers;  // of a group: its positives, those of its row, and what was labelled as between
  Lists owners;   // of a document: the groups whose answer it is
  Lists query_rows;  // of a query
  CorpusCounts counts;
  std::vector<InputCounts> inputs;
  std::string hash;  // over all of it

  std::span<const uint32_t> positives(const Row& row) const {
    return {row_documents.data() + row.first, row.positives};
  }
  std::span<const uint32_t> negatives(const Row& row) const {
    return {row_documents.data() + row.first + row.positives, row.negatives};
  }
  bool answers_query(const Row& row, uint32_t document) const {
    const auto all = answers[group_of[row.query]];
    return std::find(all.begin(), all.end(), document) != all.end();
  }
  // Those of the row's negatives that are none of its query's answers.
  std::vector<uint32_t> true_negatives(const Row& row) const {
    std::vector<uint32_t> out;
    for (const uint32_t document : negatives(row)) {
      if (!answers_query(row, document)) out.push_back(document);
    }
    return out;
  }
};

// Whether a row of the input becomes one of Corpus::rows.
bool usable(const InputRow& row);

// Reads everything. `more`: documents besides those of the input, one stream after another. The
// text files are made in `folder`. Errors: those of InputReader; bad_format, when no row has a
// query and a positive; io.
std::unique_ptr<Corpus> read_corpus(const InputOptions& options, std::span<const TextStream> more,
                                    const std::filesystem::path& folder,
                                    const ProgressSink& progress);

}  // namespace akin::mine
