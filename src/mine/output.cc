#include "mine/output.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "data/record_io.h"

namespace akin::mine {
namespace {

// One row as it is written.
struct Line {
  std::vector<std::string> negatives;
  std::vector<float> positive_scores, negative_scores;  // empty without --scores
};

void append_texts(std::string_view key, std::span<const std::string> texts, std::string& out) {
  fmt::format_to(std::back_inserter(out), ",\"{}\":[", key);
  for (size_t i = 0; i < texts.size(); ++i) {
    if (i > 0) out += ',';
    data::append_json_text(texts[i], out);
  }
  out += ']';
}

void append_scores(std::string_view key, std::span<const float> scores, std::string& out) {
  fmt::format_to(std::back_inserter(out), ",\"{}\":[{}]", key, fmt::join(scores, ","));
}

void append_word(std::string_view key, const std::string& text, std::string& out) {
  if (text.empty()) return;
  fmt::format_to(std::back_inserter(out), ",\"{}\":", key);
  data::append_json_text(text, out);
}

void append_flagembedding(const InputRow& row, const Line& line, std::string& out) {
  out += "{\"query\":";
  data::append_json_text(row.query, out);
  append_texts("pos", row.positives, out);
  append_texts("neg", line.negatives, out);
  if (!line.positive_scores.empty()) {
    append_scores("pos_scores", line.positive_scores, out);
    append_scores("neg_scores", line.negative_scores, out);
  }
  append_word("task", row.task, out);
  append_word("source", row.source, out);
  out += "}\n";
}

void append_pairs(const InputRow& row, const Line& line, std::string& out) {
  data::Record record;
  record.query = row.query;
  record.negatives = line.negatives;
  record.task = row.task;
  record.source = row.source;
  for (size_t i = 0; i < row.positives.size(); ++i) {
    record.positive = row.positives[i];
    record.scores.clear();
    if (!line.positive_scores.empty()) {
      record.scores.push_back(line.positive_scores[i]);
      record.scores.insert(record.scores.end(), line.negative_scores.begin(),
                           line.negative_scores.end());
    }
    data::append_json(record, out);
    out += '\n';
  }
}

class Writer {
 public:
  Writer(const MineOptions& options, const Corpus& corpus, const Choices& choices,
         const ModelVectors& scores)
      : options_(options), corpus_(corpus), choices_(choices), scores_(scores) {}

  Line line(size_t number, const InputRow& row) const {
    const Row& known = corpus_.rows[number];
    Line out;
    std::vector<uint32_t> documents;
    if (options_.select.keep_negatives) {
      const auto old = corpus_.negatives(known);
      for (size_t i = 0; i < old.size(); ++i) {
        if (corpus_.answers_query(known, old[i])) continue;
        documents.push_back(old[i]);
        out.negatives.push_back(row.negatives[i]);
      }
    }
    for (const uint32_t document : choices_[number]) {
      documents.push_back(document);
      out.negatives.emplace_back(corpus_.documents[document]);
    }
    if (!options_.scores) return out;
    for (const uint32_t positive : corpus_.positives(known)) {
      out.positive_scores.push_back(scores_.score(known.query, positive));
    }
    for (const uint32_t document : documents) {
      out.negative_scores.push_back(scores_.score(known.query, document));
    }
    return out;
  }

  bool left_out(const Line& line) const {
    return line.negatives.empty() || (options_.select.short_rows == ShortRows::drop &&
                                      line.negatives.size() < options_.select.negatives);
  }

 private:
  const MineOptions& options_;
  const Corpus& corpus_;
  const Choices& choices_;
  const ModelVectors& scores_;
};

[[noreturn]] void fail_changed(const MineOptions& options) {
  throw_error(ErrorKind::io, options.input.files.front(),
              "the input has changed since the run began; start again");
}

}  // namespace

OutputCounts write_output(const MineOptions& options, const Corpus& corpus, const Choices& choices,
                          const ModelVectors& scores, const ProgressSink& progress) {
  const Writer writer(options, corpus, choices, scores);
  AtomicFile file(options.out);
  InputReader reader(options.input);
  InputRow row;
  OutputCounts counts;
  std::string bytes;
  size_t number = 0;
  while (reader.next(row)) {
    if (!usable(row)) continue;
    if (number == corpus.rows.size()) fail_changed(options);
    const Row& known = corpus.rows[number];
    if (corpus.queries[known.query] != row.query || known.positives != row.positives.size() ||
        known.negatives != row.negatives.size()) {
      fail_changed(options);
    }
    if (number % 1024 == 0) {
      check_interrupted();
      if (progress) progress({"writing", number, corpus.rows.size(), "rows"});
    }
    const Line line = writer.line(number++, row);
    if (writer.left_out(line)) continue;
    ++counts.rows;
    counts.lines += options.format == OutputFormat::pairs ? row.positives.size() : 1;
    bytes.clear();
    (options.format == OutputFormat::pairs ? append_pairs : append_flagembedding)(row, line, bytes);
    file.write(bytes);
  }
  if (number != corpus.rows.size()) fail_changed(options);
  file.commit();
  return counts;
}

}  // namespace akin::mine
