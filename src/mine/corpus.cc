#include "mine/corpus.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "data/fold.h"
#include "data/hash_map.h"

namespace akin::mine {
namespace {

constexpr uint64_t kSeed = 0x6D696E65;

class Builder {
 public:
  Builder(Corpus& corpus, const ProgressSink& progress) : corpus_(corpus), progress_(progress) {}

  void read(const InputOptions& options) {
    InputReader reader(options);
    InputRow row;
    while (reader.next(row)) {
      if (++read_ % 1024 == 0) {
        check_interrupted();
        if (progress_) progress_({"reading", read_, 0, "rows"});
      }
      add(row);
    }
    close_group();
    corpus_.inputs = reader.counts();
    if (corpus_.rows.empty()) {
      throw_error(ErrorKind::bad_format, options.files.front(),
                  "of {} rows none has a query and a positive, so there is nothing to mine for",
                  read_);
    }
  }

  void read(const TextStream& stream) {
    std::string text;
    while (stream(text)) {
      if (++read_ % 1024 == 0) {
        check_interrupted();
        if (progress_) progress_({"reading", read_, 0, "documents"});
      }
      corpus_.counts.from_stream += document(text) == kNone ? 0 : 1;
    }
  }

  void finish() {
    corpus_.documents.close();
    corpus_.queries.close();
    std::vector<Lists::Entry> owners;
    owners.reserve(answers_.size());
    for (const auto& entry : answers_) owners.push_back({entry.number, entry.list});
    corpus_.answers = Lists(std::move(answers_), corpus_.queries.size());
    corpus_.owners = Lists(std::move(owners), corpus_.documents.size());
    std::vector<Lists::Entry> rows;
    for (size_t i = 0; i < corpus_.rows.size(); ++i) {
      rows.push_back({corpus_.rows[i].query, static_cast<uint32_t>(i)});
    }
    for (const Row& row : corpus_.rows) {
      corpus_.counts.negatives_that_answer += row.negatives - corpus_.true_negatives(row).size();
    }
    corpus_.query_rows = Lists(std::move(rows), corpus_.queries.size());
    hasher_.add(uint64_t{corpus_.rows.size()});
    corpus_.hash = hasher_.hex();
  }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  void add(const InputRow& row) {
    if (!row.same_group) close_group();
    if (!usable(row)) {
      ++(row.blank ? corpus_.counts.empty_rows : corpus_.counts.rows_without_positive);
    }
    std::vector<uint32_t> positives, negatives;
    for (const auto& text : row.positives) push(document(text), positives);
    for (const auto& text : row.negatives) push(document(text), negatives);
    for (const auto& text : row.neither) push(document(text), group_answers_);
    if (row.blank) return;
    const uint32_t group = query(row.query);
    group_queries_.push_back(corpus_.group_of[group]);
    group_answers_.insert(group_answers_.end(), positives.begin(), positives.end());
    if (!usable(row)) return;
    Row out{group, static_cast<uint32_t>(corpus_.row_documents.size()),
            static_cast<uint32_t>(positives.size()), static_cast<uint32_t>(negatives.size())};
    auto& documents = corpus_.row_documents;
    documents.insert(documents.end(), positives.begin(), positives.end());
    documents.insert(documents.end(), negatives.begin(), negatives.end());
    if (documents.size() > UINT32_MAX) {
      throw_error(ErrorKind::unsupported, "input", "more than {} texts in the rows", UINT32_MAX);
    }
    hasher_.add(uint64_t{group});
    hasher_.add(std::as_bytes(std::span(documents).subspan(out.first)));
    corpus_.rows.push_back(out);
  }

  static void push(uint32_t number, std::vector<uint32_t>& out) {
    if (number != kNone) out.push_back(number);
  }

  // All the texts of a group belong to all its queries.
  void close_group() {
    std::sort(group_queries_.begin(), group_queries_.end());
    group_queries_.erase(std::unique(group_queries_.begin(), group_queries_.end()),
                         group_queries_.end());
    for (const uint32_t query : group_queries_) {
      for (const uint32_t document : group_answers_) answers_.push_back({query, document});
    }
    group_queries_.clear();
    group_answers_.clear();
  }

  uint64_t folded_key(std::string_view text) {
    folded_.clear();
    data::append_folded(text, folded_);
    return hash64(folded_, kSeed);
  }

  uint32_t document(std::string_view text) {
    const uint64_t key = folded_key(text);
    if (folded_.empty()) return kNone;
    ++corpus_.counts.texts;
    const uint64_t exact = hash64(text, kSeed);
    if (const auto found = documents_.find(key)) {
      if (exact_[*found] != exact) ++corpus_.counts.variants;
      return *found;
    }
    const uint32_t number = corpus_.documents.add(text);
    documents_.add(key, number);
    exact_.push_back(exact);
    hasher_.add(text);
    return number;
  }

  uint32_t query(std::string_view text) {
    const uint64_t key = hash64(text, kSeed + 1);
    if (const auto found = queries_.find(key)) return *found;
    const uint32_t number = corpus_.queries.add(text);
    queries_.add(key, number);
    const uint64_t group = folded_key(text);
    groups_.add(group, number);
    corpus_.group_of.push_back(*groups_.find(group));
    hasher_.add(text);
    return number;
  }

  Corpus& corpus_;
  const ProgressSink& progress_;
  uint64_t read_ = 0;
  std::string folded_;
  // By 64-bit hashes: two of ten million different texts meet with a probability of 3e-6.
  data::HashMap documents_, queries_, groups_;
  std::vector<uint64_t> exact_;
  std::vector<Lists::Entry> answers_;
  std::vector<uint32_t> group_queries_, group_answers_;
  Hasher hasher_;
};

}  // namespace

Lists::Lists(std::vector<Entry> entries, size_t lists) : begins_(lists + 1) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.list != b.list ? a.list < b.list : a.number < b.number;
  });
  const auto equal = [](const Entry& a, const Entry& b) {
    return a.list == b.list && a.number == b.number;
  };
  entries.erase(std::unique(entries.begin(), entries.end(), equal), entries.end());
  numbers_.reserve(entries.size());
  for (const Entry& entry : entries) {
    numbers_.push_back(entry.number);
    ++begins_[entry.list + 1];
  }
  for (size_t i = 0; i < lists; ++i) begins_[i + 1] += begins_[i];
}

bool usable(const InputRow& row) { return !row.blank && !row.positives.empty(); }

std::unique_ptr<Corpus> read_corpus(const InputOptions& options, std::span<const TextStream> more,
                                    const std::filesystem::path& folder,
                                    const ProgressSink& progress) {
  auto corpus = std::make_unique<Corpus>(folder);
  Builder builder(*corpus, progress);
  builder.read(options);
  for (const auto& stream : more) builder.read(stream);
  builder.finish();
  return corpus;
}

}  // namespace akin::mine
