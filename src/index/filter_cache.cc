#include "index/filter_cache.h"

#include <algorithm>

namespace akin::index {
namespace {

std::shared_ptr<const AllowedDocuments> join(const std::vector<int64_t>& matches,
                                             const Snapshot& snapshot) {
  auto out = std::make_shared<AllowedDocuments>();
  const auto& numbers = snapshot.live.numbers;
  out->positions.assign((numbers.size() + 63) / 64, 0);
  auto match = matches.begin();
  for (size_t i = 0; i < numbers.size() && match != matches.end(); ++i) {
    while (match != matches.end() && *match < numbers[i]) ++match;
    if (match == matches.end() || *match != numbers[i]) continue;
    out->positions[i / 64] |= uint64_t{1} << (i % 64);
    ++out->count;
  }
  out->rows = rows_of(snapshot, out->positions);
  return out;
}

}  // namespace

std::shared_ptr<const AllowedDocuments> FilterCache::allowed(const std::string& text,
                                                             const Snapshot& snapshot,
                                                             DocumentStore& store) {
  const std::lock_guard lock(mutex_);
  auto found = std::find_if(entries_.begin(), entries_.end(),
                            [&](const Entry& entry) { return entry.text == text; });
  if (found == entries_.end()) {
    entries_.emplace_front(text);
    if (entries_.size() > kKept) entries_.pop_back();
  } else {
    entries_.splice(entries_.begin(), entries_, found);
  }
  Entry& entry = entries_.front();
  if (entry.seen < snapshot.state.next_number) {
    Filter::Matcher matches(entry.filter);
    const int64_t first = entry.seen;
    const size_t before = entry.matches.size();
    try {
      store.each_metadata(first,
                          [&](int64_t number, std::string_view id, std::string_view metadata) {
                            if (matches(id, metadata)) entry.matches.push_back(number);
                          });
    } catch (...) {
      entry.matches.resize(before);
      throw;
    }
    entry.seen = snapshot.state.next_number;
    entry.allowed.reset();
  }
  if (!entry.allowed || !(entry.state == snapshot.state)) {
    entry.allowed = join(entry.matches, snapshot);
    entry.state = snapshot.state;
  }
  return entry.allowed;
}

}  // namespace akin::index
