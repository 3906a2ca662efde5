#include "cli/index_build.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/hash.h"
#include "cli/terminal.h"

namespace akin::cli {
namespace {

class Filler {
 public:
  Filler(index::Index& index, Encoder& encoder, EncodeOptions encode, IndexInput& input,
         Context& context)
      : index_(index),
        encoder_(encoder),
        encode_(std::move(encode)),
        input_(input),
        context_(context),
        had_documents_(index.stats().documents > 0) {
    encode_.progress = [this](const Progress& step) { show(step.done); };
  }

  FillCounts run(size_t fixed_block) {
    const Stopwatch watch;
    size_t block = fixed_block != 0 ? fixed_block : 512;
    while (read_block(block)) {
      check_interrupted();
      const Stopwatch step;
      store_block();
      if (fixed_block == 0) block = next_block(block, step.seconds());
    }
    context_.end_progress();
    counts_.bad = input_.bad_rows();
    counts_.empty = input_.empty_rows();
    counts_.seconds = watch.seconds();
    return counts_;
  }

 private:
  static constexpr size_t kLeastBlock = 32, kMostBlock = 16384;

  static size_t next_block(size_t block, double seconds) {
    if (seconds < 1) return std::min(kMostBlock, block * 2);
    return seconds > 4 ? std::max(kLeastBlock, block / 2) : block;
  }

  // Fills block_ with up to `most` documents to embed; false at the end of the input.
  bool read_block(size_t most) {
    block_.clear();
    at_.clear();
    IndexDocument row;
    while (block_.size() < most) {
      if ((++read_ & 0xFF) == 0) check_interrupted();
      if (!input_.next(row)) break;
      if (row.document.id.empty()) {
        row.document.id = fmt::format("{}:{}", row.file == "-" ? "stdin" : row.file, row.line);
      }
      if (!seen_.insert(hash64(row.document.id)).second) ++counts_.repeated;
      if (is_stored(row.document)) {
        ++counts_.same;
        if (counts_.same % 1024 == 0) show(0);
        continue;
      }
      const auto [found, fresh] = at_.try_emplace(row.document.id, block_.size());
      if (fresh) {
        block_.push_back(std::move(row));
      } else {
        block_[found->second] = std::move(row);
      }
    }
    return !block_.empty();
  }

  bool is_stored(const index::Document& document) {
    if (!had_documents_ && counts_.repeated == 0) return false;
    if (at_.contains(document.id)) return false;  // an earlier one waits in this block
    const auto found = index_.get(document.id);
    if (!found) return false;
    if (found->text == document.text && found->metadata == document.metadata) return true;
    ++counts_.replaced;
    return false;
  }

  void store_block() {
    std::vector<std::string_view> texts;
    for (const auto& row : block_) texts.push_back(row.document.text);
    Mat<float> vectors(block_.size(), index_.spec().vectors.dims);
    EncodeReport report;
    try {
      report = encoder_.encode(texts, encode_, vectors.view());
    } catch (const Error& error) {
      throw with_place(
          error, [&](size_t i) { return fmt::format("{}:{}", block_[i].file, block_[i].line); });
    }
    counts_.tokens += report.tokens;
    counts_.truncated += report.truncated.size();
    std::vector<index::Document> documents;
    for (auto& row : block_) documents.push_back(std::move(row.document));
    index_.add(documents, vectors.view(), index::IfPresent::replace);
    stored_ += documents.size();
    show(0);
  }

  // The total is what the bytes read so far say about those to come.
  void show(uint64_t in_block) {
    const uint64_t done = stored_ + counts_.same;
    const uint64_t bytes = input_.bytes_read(), all = input_.bytes_total();
    const double seen = static_cast<double>(done + block_.size());
    const auto total =
        bytes == 0 || all == 0
            ? 0
            : static_cast<uint64_t>(seen * static_cast<double>(all) / static_cast<double>(bytes));
    context_.progress(
        {"indexing", done + in_block, total == 0 ? 0 : std::max(total, done + in_block), "texts"});
  }

  index::Index& index_;
  Encoder& encoder_;
  EncodeOptions encode_;
  IndexInput& input_;
  Context& context_;
  const bool had_documents_;
  FillCounts counts_;
  std::vector<IndexDocument> block_;
  std::unordered_map<std::string, size_t> at_;  // id to place in block_
  std::unordered_set<uint64_t> seen_;           // hashes of all ids
  uint64_t read_ = 0, stored_ = 0;
};

}  // namespace

FillCounts fill_index(index::Index& index, Encoder& encoder, EncodeOptions encode,
                      IndexInput& input, size_t block, Context& context) {
  const uint64_t before = index.stats().documents;
  Filler filler(index, encoder, std::move(encode), input, context);
  FillCounts counts = filler.run(block);
  counts.added = index.stats().documents - before;
  return counts;
}

}  // namespace akin::cli
