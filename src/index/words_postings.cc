#include "index/words_postings.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/progress.h"
#include "index/words.h"

namespace akin::index {
namespace {

// FTS5's interface is C: nothing may be thrown through it.
int make_tokenizer(void*, const char**, int, Fts5Tokenizer** out) {
  static char stateless;
  *out = reinterpret_cast<Fts5Tokenizer*>(&stateless);
  return SQLITE_OK;
}

void drop_tokenizer(Fts5Tokenizer*) {}

using TakeToken = int (*)(void*, int, const char*, int, int, int);

int cut_document(void* context, std::string_view text, TakeToken take) {
  WordSplitter splitter(text, WordSide::document);
  for (Word word; splitter.next(word);) {
    const int code = take(context, 0, word.text.data(), static_cast<int>(word.text.size()),
                          static_cast<int>(word.begin), static_cast<int>(word.end));
    if (code != SQLITE_OK) return code;
  }
  return SQLITE_OK;
}

// A query gives words that are folded already, one quoted string each: it stays as it is.
int cut(Fts5Tokenizer*, void* context, int flags, const char* text, int size, TakeToken take) {
  if (text == nullptr || size <= 0) return SQLITE_OK;
  try {
    if ((flags & FTS5_TOKENIZE_QUERY) != 0) return take(context, 0, text, size, 0, size);
    return cut_document(context, std::string_view(text, static_cast<size_t>(size)), take);
  } catch (const std::bad_alloc&) {
    return SQLITE_NOMEM;
  }
}

// akin_count(words): how often the one word of the query occurs in the row.
void count_word(const Fts5ExtensionApi* api, Fts5Context* fts, sqlite3_context* result, int,
                sqlite3_value**) {
  int count = 0;
  const int code = api->xInstCount(fts, &count);
  if (code != SQLITE_OK) return sqlite3_result_error_code(result, code);
  sqlite3_result_int(result, count);
}

fts5_api* fts_api(Database& database) {
  fts5_api* api = nullptr;
  sqlite3_stmt* statement = nullptr;
  database.check(sqlite3_prepare_v2(database.handle(), "SELECT fts5(?1)", -1, &statement, nullptr));
  sqlite3_bind_pointer(statement, 1, static_cast<void*>(&api), "fts5_api_ptr", nullptr);
  sqlite3_step(statement);
  sqlite3_finalize(statement);
  if (api == nullptr || api->iVersion < 2) {
    throw_error(ErrorKind::unsupported, database.where(), "this SQLite was built without FTS5");
  }
  return api;
}

// The documents of one word, by position. Numbers come in ascending order from both sides.
void read_postings(Statement& statement, const std::string& word, const WordDocuments& documents,
                   std::vector<Posting>& out) {
  std::string quoted = "\"";
  for (const char c : word) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  quoted += '"';
  statement.reset().bind(1, std::string_view(quoted));
  auto from = documents.numbers.begin();
  uint64_t seen = 0;
  while (statement.step()) {
    if ((++seen & 0xFFFF) == 0) check_interrupted();
    const int64_t number = statement.integer(0);
    // Where few documents were removed the next one is near.
    const auto near = documents.numbers.end() - from > 8 ? from + 8 : documents.numbers.end();
    from = std::lower_bound(from, near, number);
    if (from == near) from = std::lower_bound(from, documents.numbers.end(), number);
    if (from == documents.numbers.end()) break;
    if (*from != number) continue;
    out.push_back({static_cast<uint32_t>(from - documents.numbers.begin()),
                   static_cast<uint32_t>(std::max<int64_t>(0, statement.integer(1)))});
  }
  statement.reset();
}

bool is_allowed(std::span<const uint64_t> allowed, uint32_t position) {
  return allowed.empty() || ((allowed[position / 64] >> (position % 64)) & 1) != 0;
}

bool better(const WordHit& a, const WordHit& b) {
  return a.score > b.score || (a.score == b.score && a.position < b.position);
}

}  // namespace

PostingCache::Postings PostingCache::find(const Moment& moment, const std::string& word) {
  const std::lock_guard lock(mutex_);
  if (moment_ != moment) return nullptr;
  const auto found = kept_.find(word);
  return found == kept_.end() ? nullptr : found->second;
}

void PostingCache::keep(const Moment& moment, const std::string& word, const Postings& postings) {
  if (postings->size() < kLeastPostings || postings->size() > kMostPostings) return;
  const std::lock_guard lock(mutex_);
  if (moment_ != moment || size_ + postings->size() > kMostPostings) {
    kept_.clear();
    size_ = 0;
    moment_ = moment;
  }
  if (kept_.emplace(word, postings).second) size_ += postings->size();
}

void register_words(Database& database) {
  fts5_api* api = fts_api(database);
  fts5_tokenizer tokenizer = {make_tokenizer, drop_tokenizer, cut};
  database.check(api->xCreateTokenizer(api, "akin", nullptr, &tokenizer, nullptr));
  database.check(api->xCreateFunction(api, "akin_count", nullptr, count_word, nullptr));
}

std::vector<WordHit> search_words(Database& database, std::string_view query, size_t k,
                                  const WordDocuments& documents, std::span<const uint64_t> allowed,
                                  PostingCache& cache, const PostingCache::Moment& moment) {
  const auto words = query_words(query);
  const size_t n = documents.numbers.size();
  if (words.empty() || n == 0 || k == 0) return {};
  const double average =
      std::max(1.0, static_cast<double>(documents.total_words)) / static_cast<double>(n);
  std::vector<double> scores(n, 0);
  std::vector<uint32_t> touched;
  Statement statement(database, "SELECT rowid, akin_count(words) FROM words WHERE words MATCH ?1");
  for (const auto& word : words) {
    check_interrupted();
    auto postings = cache.find(moment, word);
    if (!postings) {
      auto fresh = std::make_shared<std::vector<Posting>>();
      read_postings(statement, word, documents, *fresh);
      postings = std::move(fresh);
      cache.keep(moment, word, postings);
    }
    const auto found = static_cast<double>(postings->size());
    const double idf = std::log(1 + (static_cast<double>(n) - found + 0.5) / (found + 0.5));
    for (const auto& posting : *postings) {
      if (!is_allowed(allowed, posting.position)) continue;
      const double tf = posting.count;
      const double share = static_cast<double>(documents.lengths[posting.position]) / average;
      double& score = scores[posting.position];
      if (score == 0) touched.push_back(posting.position);
      score += idf * tf * (kBm25K1 + 1) / (tf + kBm25K1 * (1 - kBm25B + kBm25B * share));
    }
  }
  std::vector<WordHit> hits;
  hits.reserve(touched.size());
  for (const uint32_t position : touched) hits.push_back({scores[position], position});
  const size_t kept = std::min(k, hits.size());
  std::partial_sort(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(kept), hits.end(),
                    better);
  hits.resize(kept);
  return hits;
}

}  // namespace akin::index
