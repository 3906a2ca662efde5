// Records from a BEIR folder (corpus, queries, qrels of one split): a record for each judged
// document of a positive score; documents of score 0 or less become the query's negatives. A
// document is its title, a space and its text, as BEIR joins them. Queries and the judged documents
// are held in memory; the corpus is streamed.
#include <unordered_map>
#include <utility>

#include "data/bad_rows.h"
#include "store/dataset_folder.h"

namespace akin::data {
namespace fs = std::filesystem;
namespace {

using store::Value;

struct Judgement {
  std::string query, document, where;
  bool positive = true;
  uint64_t row = 0;
};

class BeirRecords : public RecordReader {
 public:
  BeirRecords(const fs::path& path, const ReadOptions& options)
      : bad_(options.skip_bad_rows),
        task_(options.task),
        source_(options.source.empty() ? source_name(path) : options.source) {
    const auto folder = store::read_dataset_folder(path);
    if (folder.splits("corpus").empty() || folder.splits("queries").empty()) {
      throw_error(ErrorKind::unsupported, path.string(),
                  "the folder has no corpus and queries, so it is not a BEIR folder; name its "
                  "files one by one");
    }
    read_qrels(folder.files("qrels", options.split));
    read_documents(folder.files("corpus", "corpus", true));
    read_queries(folder.files("queries", "queries", true));
  }

  bool next(Record& record) override {
    while (at_ < judgements_.size()) {
      const Judgement& judgement = judgements_[at_++];
      const std::string* query = known(queries_, judgement.query, "query", judgement.where);
      const std::string* document =
          query == nullptr ? nullptr
                           : known(documents_, judgement.document, "document", judgement.where);
      if (document == nullptr || !judgement.positive) continue;
      bad_.good();
      record.clear();
      record.query = *query;
      record.positive = *document;
      record.task = task_;
      record.source = source_;
      record.row = judgement.row;
      if (const auto it = negatives_.find(judgement.query); it != negatives_.end()) {
        for (const auto& id : it->second) {
          if (const auto text = documents_.find(id);
              text != documents_.end() && !text->second.empty()) {
            record.negatives.push_back(text->second);
          }
        }
      }
      return true;
    }
    return false;
  }
  uint64_t rows() const override { return rows_ + at_; }
  uint64_t bad_rows() const override { return bad_.count(); }
  const std::vector<BadRow>& first_bad_rows() const override { return bad_.first(); }
  uint64_t bytes_read() const override { return 0; }

 private:
  using Texts = std::unordered_map<std::string, std::string>;

  const std::string* known(const Texts& texts, const std::string& id, std::string_view what,
                           const std::string& where) {
    const auto it = texts.find(id);
    if (it != texts.end() && !it->second.empty()) return &it->second;
    bad_.add(where, fmt::format("{} {} has no text in the folder", what, quote(id)));
    return nullptr;
  }

  // Calls f(values, rows) for each row of the files; bad rows are counted or fatal.
  template <typename F>
  void each_row(const store::DatasetFolder::Files& files, std::span<const std::string> columns,
                const F& f) {
    std::vector<Value> values(columns.size());
    for (const auto& file : files) {
      const auto rows = store::open_rows(file, columns);
      for (bool more = true; more;) {
        try {
          more = rows->next(values);
          if (more) f(*rows, std::span<const Value>(values));
          bad_.good();
        } catch (const Error& error) {
          if (error.kind() != ErrorKind::bad_format) throw;
          ++rows_;
          bad_.add(error.where(), error.message());
        }
      }
    }
  }

  void read_qrels(const store::DatasetFolder::Files& files) {
    const std::string columns[] = {"query-id|query_id|qid", "corpus-id|corpus_id|doc_id|pid",
                                   "score?"};
    std::string scratch;
    each_row(files, columns, [&](const store::RowReader& rows, std::span<const Value> values) {
      Judgement out;
      out.query = store::as_text(values[0], rows, "query-id", scratch);
      out.document = store::as_text(values[1], rows, "corpus-id", scratch);
      out.positive = values[2].is_null() || store::as_real(values[2], rows, "score") > 0;
      out.where = rows.where();
      out.row = rows.row();
      queries_.try_emplace(out.query);
      documents_.try_emplace(out.document);
      if (!out.positive) negatives_[out.query].push_back(out.document);
      judgements_.push_back(std::move(out));
    });
  }
  void read_documents(const store::DatasetFolder::Files& files) {
    const std::string columns[] = {"_id|id|doc_id|corpus-id", "title?", "text"};
    std::string id, title;
    each_row(files, columns, [&](const store::RowReader& rows, std::span<const Value> values) {
      id = store::as_text(values[0], rows, "_id", title);
      const auto it = documents_.find(id);
      if (it == documents_.end()) return;
      title.clear();
      read_text(values[1], rows, "title", title);
      if (!read_text(values[2], rows, "text", it->second)) it->second.clear();
      if (!title.empty()) {
        it->second = it->second.empty() ? title : title + " " + it->second;
      }
    });
  }
  void read_queries(const store::DatasetFolder::Files& files) {
    const std::string columns[] = {"_id|id|query_id|query-id", "text"};
    std::string scratch, id;
    each_row(files, columns, [&](const store::RowReader& rows, std::span<const Value> values) {
      id = store::as_text(values[0], rows, "_id", scratch);
      if (const auto it = queries_.find(id); it != queries_.end()) {
        read_text(values[1], rows, "text", it->second);
      }
    });
  }

  BadRows bad_;
  const std::string task_, source_;
  std::vector<Judgement> judgements_;
  std::unordered_map<std::string, std::vector<std::string>> negatives_;  // of a query
  Texts queries_, documents_;
  size_t at_ = 0;
  uint64_t rows_ = 0;
};

}  // namespace

std::unique_ptr<RecordReader> open_beir(const fs::path& folder, const ReadOptions& options) {
  return std::make_unique<BeirRecords>(folder, options);
}

}  // namespace akin::data
