// BM25 over an FTS5 table that SQLite keeps (full-text index, sqlite.org/fts5.html), cut into words
// by words.h. FTS5 stores and merges the postings; scores are computed here, word by word, for
// FTS5's own ranking looks up the length of every match on disk.
//
// score(d) = sum over query words w of idf(w) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * |d| / avg))
// idf(w) = ln(1 + (N - n + 0.5) / (n + 0.5)); k1 = 1.2, b = 0.75 (Robertson and Zaragoza 2009; this
// idf is never negative). |d| counts the words of a document as words.h hands them out.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "index/document_store_db.h"

namespace akin::index {

inline constexpr double kBm25K1 = 1.2, kBm25B = 0.75;

// Makes the tokenizer "akin" and the function akin_count() known to a connection. Before any use of
// a table that was made with them.
void register_words(Database& database);

// What scoring needs to know about the documents, by position: ascending document numbers, the
// count of words of each, and their sum.
struct WordDocuments {
  std::span<const int64_t> numbers;
  std::span<const uint32_t> lengths;
  uint64_t total_words = 0;
};

struct Posting {
  uint32_t position = 0, count = 0;  // into WordDocuments; how often the word occurs there
};

// The postings of words that many documents have, read once for many queries. Thread-safe.
class PostingCache {
 public:
  using Postings = std::shared_ptr<const std::vector<Posting>>;
  // Three numbers that say which documents there are; others than last time empty the cache.
  using Moment = std::array<int64_t, 3>;
  Postings find(const Moment& moment, const std::string& word);
  void keep(const Moment& moment, const std::string& word, const Postings& postings);

 private:
  static constexpr size_t kLeastPostings = 1000, kMostPostings = size_t{8} << 20;  // 64 MB
  std::mutex mutex_;
  Moment moment_{};
  std::map<std::string, Postings, std::less<>> kept_;
  size_t size_ = 0;  // postings in all
};

struct WordHit {
  double score = 0;
  uint32_t position = 0;  // into WordDocuments
};

// The k best documents that hold at least one word of the query; best first, equal scores by lower
// position. allowed: bit p of word p / 64, empty: all.
std::vector<WordHit> search_words(Database& database, std::string_view query, size_t k,
                                  const WordDocuments& documents, std::span<const uint64_t> allowed,
                                  PostingCache& cache, const PostingCache::Moment& moment);

}  // namespace akin::index
