#include "text/corpus_words.h"

#include <algorithm>

#include "base/progress.h"
#include "text/utf8.h"

namespace akin::text {
namespace {

constexpr size_t kBatchBytes = size_t{8} << 20;
constexpr size_t kBatchTexts = size_t{1} << 16;

}  // namespace

WordCounter::WordCounter(Cut cut, size_t max_distinct, size_t threads)
    : cut_(std::move(cut)), max_distinct_(max_distinct), pool_(threads) {}

void WordCounter::add(std::string_view text) {
  ++out_.texts;
  out_.bytes += text.size();
  std::string valid;
  valid.reserve(text.size());
  out_.replaced += repair_utf8(text, valid);
  batch_bytes_ += valid.size();
  batch_.push_back(std::move(valid));
  if (batch_bytes_ >= kBatchBytes || batch_.size() >= kBatchTexts) count_batch();
}

void WordCounter::count_batch() {
  std::vector<Counts> parts(pool_.size());
  parallel_for(pool_, batch_.size(), 64, [&](size_t i, size_t thread) {
    check_interrupted();
    Counts& counts = parts[thread];
    cut_(batch_[i], [&](std::string_view word) {
      const auto at = counts.find(word);
      if (at != counts.end()) {
        ++at->second;
      } else {
        counts.emplace(word, 1);
      }
    });
  });
  for (Counts& part : parts) {
    while (!part.empty()) {
      auto node = part.extract(part.begin());
      out_.occurrences += node.mapped();
      const auto at = counts_.find(node.key());
      if (at != counts_.end()) {
        at->second += node.mapped();
      } else {
        counts_.insert(std::move(node));
      }
    }
  }
  batch_.clear();
  batch_bytes_ = 0;
  drop_rare();
}

// Lets the rarest words go, a whole count at a time, until three quarters of the cap are left.
void WordCounter::drop_rare() {
  if (counts_.size() <= max_distinct_) return;
  for (uint64_t least = 1; counts_.size() > max_distinct_ - max_distinct_ / 4; ++least) {
    uint64_t next = UINT64_MAX;
    for (auto at = counts_.begin(); at != counts_.end();) {
      if (at->second <= least) {
        ++out_.dropped_words;
        out_.dropped_occurrences += at->second;
        at = counts_.erase(at);
      } else {
        next = std::min(next, at->second);
        ++at;
      }
    }
    if (next == UINT64_MAX) break;
    least = next - 1;
  }
}

CorpusCounts WordCounter::finish() {
  count_batch();
  out_.words.reserve(counts_.size());
  while (!counts_.empty()) {
    auto node = counts_.extract(counts_.begin());
    out_.words.push_back({std::move(node.key()), node.mapped()});
  }
  std::sort(out_.words.begin(), out_.words.end(), [](const CorpusWord& a, const CorpusWord& b) {
    return a.count != b.count ? a.count > b.count : a.text < b.text;
  });
  return std::move(out_);
}

}  // namespace akin::text
