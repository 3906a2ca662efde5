// See loader.h: from the numbers of records to tokens.
//
// Shapes: B rows, M negatives of each row.
#include <limits>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/rng.h"
#include "data/loader.h"
#include "text/prompted.h"
#include "text/truncate.h"

namespace akin::data {
namespace {

// The texts of one side of a batch: all queries, all documents or all negatives.
class Side {
 public:
  Side(const text::Tokenizer& tokenizer, const CollateOptions& options, const std::string& prompt,
       size_t limit)
      : tokenizer_(tokenizer), options_(options), prompt_(prompt), limit_(limit) {
    if (!options.include_prompt) {
      prompt_tokens_ = text::count_prompt_tokens(tokenizer, prompt, options.lower_case,
                                                 options.add_special_tokens);
    }
  }

  void add(std::string_view text, uint64_t key) {
    thread_local std::vector<int32_t> ids;
    ids.clear();
    size_t replaced = 0;
    text::encode_prompted(tokenizer_, prompt_, text, options_.lower_case,
                          options_.add_special_tokens, ids, &replaced);
    invalid_ += replaced > 0 ? 1 : 0;
    if (limit_ > 0 && ids.size() > limit_) {
      const bool special = options_.add_special_tokens;
      text::cut_ids(ids, limit_, special ? tokenizer_.prefix_ids().size() : 0,
                    special ? tokenizer_.suffix_ids().size() : 0, Truncate::right);
      ++cut_;
    }
    ids_.insert(ids_.end(), ids.begin(), ids.end());
    lengths_.push_back(ids.size());
    keys_.push_back(static_cast<int64_t>(key));
  }

  void append_to(TrainBatch& out) const {
    TokenBatch& texts = out.texts;
    if (texts.ids.size() + ids_.size() > std::numeric_limits<uint32_t>::max()) {
      throw_error(ErrorKind::too_long, fmt::format("batch {}", out.number),
                  "over {} tokens in one batch; use smaller batches or a limit of tokens",
                  std::numeric_limits<uint32_t>::max());
    }
    texts.ids.insert(texts.ids.end(), ids_.begin(), ids_.end());
    for (const size_t length : lengths_) {
      texts.offsets.push_back(texts.offsets.back() + static_cast<uint32_t>(length));
    }
    texts.prompt_tokens.insert(texts.prompt_tokens.end(), lengths_.size(), prompt_tokens_);
    out.text_ids.insert(out.text_ids.end(), keys_.begin(), keys_.end());
    out.cut_texts += cut_;
    out.invalid_utf8 += invalid_;
  }

 private:
  const text::Tokenizer& tokenizer_;
  const CollateOptions& options_;
  const std::string& prompt_;
  const size_t limit_;
  uint32_t prompt_tokens_ = 0;
  std::vector<int32_t> ids_;
  std::vector<size_t> lengths_;
  std::vector<int64_t> keys_;
  uint64_t cut_ = 0, invalid_ = 0;
};

// `wanted` of a row's `there` negatives: a random choice where there are more, all of them again
// and again where there are fewer.
void choose_negatives(size_t there, size_t wanted, Rng& rng, std::vector<size_t>& out) {
  out.resize(there);
  std::iota(out.begin(), out.end(), size_t{0});
  if (there > wanted) {
    for (size_t i = 0; i < wanted; ++i) std::swap(out[i], out[i + rng.below(there - i)]);
  }
  out.resize(wanted);
  for (size_t i = there; i < wanted; ++i) out[i] = i % there;
}

class Collator {
 public:
  Collator(const DrawnBatch& drawn, const MixtureSource& source, const text::Tokenizer& tokenizer,
           const CollateOptions& options)
      : source_(source),
        classes_(options.label_classes),
        keep_(options.keep_records),
        rng_(drawn.seed),
        queries_(tokenizer, options, options.query_prompt, options.max_query_tokens),
        documents_(tokenizer, options, options.document_prompt, options.max_document_tokens),
        negatives_(tokenizer, options, options.document_prompt, options.max_document_tokens) {
    const RecordStore::Fields fields = source.store->fields();
    const uint64_t size = source.store->size();
    has_labels_ = !classes_ && fields.label == size;
    has_scores_ = !classes_ && fields.scores == size;
    out_.number = drawn.number;
    out_.source = drawn.source;
    out_.rows = drawn.records.size();
    out_.negatives = source.negatives;
    out_.has_documents = !classes_ && fields.positive > 0;
    out_.state_after = drawn.state_after;
    if (keep_) out_.records.reserve(out_.rows);
  }

  void add(uint64_t number) {
    Record& read = keep_ ? out_.records.emplace_back() : scratch_;
    source_.store->read(number, read);
    const TextKeys keys = source_.store->keys(number);
    queries_.add(read.query, keys.query);
    if (classes_) {
      add_class(read);
    } else if (out_.has_documents) {
      if (read.positive.empty()) fail(read, "no positive, where others have one");
      documents_.add(read.positive, keys.positive);
    }
    if (has_labels_) out_.labels.push_back(label_of(read));
    if (has_scores_ && read.scores.size() != 1 + read.negatives.size()) {
      fail(read, "not one score for each text");
    }
    if (has_scores_) out_.scores.push_back(read.scores[0]);
    if (out_.negatives > 0) add_negatives(read);
  }

  TrainBatch finish() {
    queries_.append_to(out_);
    documents_.append_to(out_);
    negatives_.append_to(out_);
    return std::move(out_);
  }

 private:
  void add_class(const Record& record) {
    if (record.positive.empty()) fail(record, "no class");
    const auto number = static_cast<float>(classes_seen_.size());
    out_.labels.push_back(classes_seen_.try_emplace(record.positive, number).first->second);
  }
  // Leaves in the record those that are drawn.
  void add_negatives(Record& record) {
    if (record.negatives.empty()) fail(record, "no negatives, where others have some");
    choose_negatives(record.negatives.size(), out_.negatives, rng_, chosen_);
    std::vector<std::string> drawn;
    for (const size_t i : chosen_) {
      drawn.push_back(record.negatives[i]);
      negatives_.add(drawn.back(), text_key(drawn.back()));
      if (has_scores_) out_.scores.push_back(record.scores[1 + i]);
    }
    record.negatives = std::move(drawn);
  }
  float label_of(const Record& record) const {
    if (!record.label) fail(record, "no label, where others have one");
    return *record.label;
  }
  [[noreturn]] void fail(const Record& record, std::string_view lacking) const {
    throw_error(ErrorKind::bad_format, source_.name,
                "row {} of {} ({}) has {}; remove it, or train without that field", record.row,
                quote(record.source), quote(record.query), lacking);
  }

  const MixtureSource& source_;
  const bool classes_, keep_;
  bool has_labels_ = false, has_scores_ = false;
  Rng rng_;
  Side queries_, documents_, negatives_;
  TrainBatch out_;
  Record scratch_;
  std::vector<size_t> chosen_;
  std::unordered_map<std::string, float> classes_seen_;
};

}  // namespace

TrainBatch collate(const DrawnBatch& drawn, const MixtureSource& source,
                   const text::Tokenizer& tokenizer, const CollateOptions& options) {
  Collator collator(drawn, source, tokenizer, options);
  for (const uint64_t number : drawn.records) collator.add(number);
  return collator.finish();
}

}  // namespace akin::data
