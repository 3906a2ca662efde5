// What a filter of `akin prep` is: it judges records, and may say which records count as one. A
// filter has no header of its own: it is one .cc in filters/ that exports make_<name>_filter(), and
// one line in filters.def. How filters are run, counted and resumed is chain.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "core/encoder.h"
#include "data/record.h"

namespace akin::data {

// The options of all filters; each takes its own.
struct FilterOptions {
  uint64_t min_chars = 1, max_chars = 0;  // length; 0: no upper bound
  double overlap = 0.8;                   // overlap: share of the shorter text's words
  uint64_t overlap_words = 4;             // overlap: and at least this many of them
  std::vector<std::string> languages;     // language: those that stay: "en", "zh"
  std::string language_model;             // language: a fastText file; empty: CLD2
  double language_confidence = 0.5;       // language: below this nobody can tell
  bool drop_unsure = false;               // language: remove texts of which nobody can tell
  double near_similarity = 0.8;           // near: Jaccard similarity of query and of positive
  uint64_t near_words = 1;                // near: words of a shingle
  std::vector<std::string> eval_texts;    // contamination: files or folders
  std::vector<std::string> eval_columns;  // contamination: empty: by known names
  uint64_t eval_words = 13;               // contamination: words in a row that may not be shared
  double eval_near = 0.8;  // contamination: Jaccard similarity of words; 0: no matter

  // similarity, consistency, margin: the model that judges. Borrowed; it outlives the chain.
  Encoder* encoder = nullptr;
  EncodeOptions query_encoding, document_encoding;  // prompts and truncation of each side
  double min_similarity = 0.43;                     // similarity: of query and positive
  uint64_t pool = 1'000'000;  // consistency: passages of a source that stand against the positive
  uint64_t top = 2;           // consistency: the place that the positive must reach
  uint64_t seed = 1;          // consistency: which passages
  double margin = 0.2;        // margin: of positive over negative
  bool keep_without_negatives = false;  // margin: a record that has lost all its negatives stays
};

struct Verdict {
  std::string_view reason = {};  // lives as long as the filter; empty: the record stays
  std::string match = {};        // what it met, for samples and lists; may be empty
  bool changed = false;          // the record stays, rewritten
  std::string_view note = {};    // as reason; what is only counted about a record that stays
};

struct RecordKey {
  uint64_t high = 0, low = 0;
  bool operator==(const RecordKey&) const = default;
};

// What the chain must do for a filter besides letting it judge.
struct FilterPlan {
  // A keyed filter: of the records that it lets pass, those that share a key are compared, and of
  // those that are alike the first stays.
  size_t keys = 0;                       // of each record; 0: not a keyed filter
  size_t signature_bytes = 0;            // 0: records that share a key are alike
  std::string_view reason = "repeated";  // of those that go
  bool pairs = false;    // it compares both sides, so single texts are nothing for it
  bool surveys = false;  // it sees all the records that reach it before it judges the first
};

// Gives the records that reach a filter, one after another: f(record, row). Errors: io.
using RecordScan = std::function<void(const std::function<void(const Record&, uint64_t row)>& f)>;

// Judges from several threads at once.
class Filter {
 public:
  virtual ~Filter() = default;
  // Judges records.size() records into verdicts. Which records come together must not matter.
  virtual void judge(std::span<Record* const> records, std::span<Verdict> verdicts) const = 0;

  virtual FilterPlan plan() const { return {}; }
  // Appends as many keys and signature bytes as are planned.
  virtual void append_keys(const Record& /*record*/, std::vector<RecordKey>& /*keys*/,
                           std::string& /*signature*/) const {}
  virtual bool alike(std::string_view /*signature*/, std::string_view /*other*/) const {
    return true;
  }
  // Called once, before the first judge(), on a filter that surveys.
  virtual void survey(const RecordScan& /*scan*/, const ProgressSink& /*progress*/) {}
};

// A filter that judges each record by itself.
class RecordFilter : public Filter {
 public:
  void judge(std::span<Record* const> records, std::span<Verdict> verdicts) const final {
    for (size_t i = 0; i < records.size(); ++i) verdicts[i] = judge_record(*records[i]);
  }
  virtual Verdict judge_record(Record& record) const = 0;
};

struct FilterInfo {
  std::string_view name, summary;
};
std::vector<FilterInfo> filter_infos();
// Errors: usage, naming the known filters; those of the filter's own options and files.
std::unique_ptr<Filter> make_filter(std::string_view name, const FilterOptions& options);

}  // namespace akin::data
