#include "mine/input.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "data/fold.h"

namespace akin::mine {
namespace {

bool blank(const std::string& text) {
  thread_local std::string folded;
  folded.clear();
  data::append_folded(text, folded);
  return folded.empty();
}

}  // namespace

nlohmann::ordered_json inputs_json(const std::vector<InputCounts>& inputs) {
  auto out = nlohmann::ordered_json::array();
  for (const auto& input : inputs) {
    auto bad = nlohmann::ordered_json::array();
    for (const auto& row : input.first_bad_rows) {
      bad.push_back({{"where", row.where}, {"message", row.message}});
    }
    out.push_back({{"path", input.path},
                   {"layout", input.layout},
                   {"rows", input.rows},
                   {"bad_rows", input.bad_rows},
                   {"first_bad_rows", std::move(bad)}});
  }
  return out;
}

uint64_t InputReader::bytes_read() const {
  return bytes_done_ + (current_.reader ? current_.reader->bytes_read() : 0);
}

// The next record of the files into record_.
bool InputReader::next_record() {
  if (waiting_) return true;
  for (;;) {
    if (current_.reader == nullptr) {
      if (next_file_ == options_.files.size()) return false;
      const auto& path = options_.files[next_file_++];
      current_ = data::open_records(path, options_.read);
      counts_.push_back({path, current_.layout, 0, 0, {}});
      first_of_file_ = true;
    }
    auto& reader = *current_.reader;
    const bool got = reader.next(record_);
    auto& counts = counts_.back();
    counts.rows = reader.rows();
    counts.bad_rows = reader.bad_rows();
    if (got) break;
    counts.first_bad_rows = reader.first_bad_rows();
    bytes_done_ += reader.bytes_read();
    current_.reader.reset();
  }
  waiting_ = true;
  return true;
}

void InputReader::take(InputRow& row) const {
  if (blank(record_.positive)) return;
  if (!record_.label || *record_.label >= options_.min_label) {
    row.positives.push_back(record_.positive);
  } else if (*record_.label > 0) {
    row.neither.push_back(record_.positive);
  } else {
    row.negatives.push_back(record_.positive);
  }
}

bool InputReader::next(InputRow& row) {
  if (options_.max_rows > 0 && rows_ == options_.max_rows) return false;
  if (!next_record()) return false;
  const bool first = std::exchange(first_of_file_, false);
  row.query = record_.query;
  row.blank = blank(row.query);
  row.positives.clear();
  row.negatives = record_.negatives;
  std::erase_if(row.negatives, blank);
  row.neither.clear();
  row.task = record_.task;
  row.source = record_.source;
  row.row = record_.row;
  // A group's next record goes from the positive of the one before.
  row.same_group = !first && record_.row == last_row_ && record_.query == last_positive_;
  do {
    take(row);
    last_positive_ = std::move(record_.positive);
    last_row_ = record_.row;
    waiting_ = false;
  } while (next_record() && !first_of_file_ && record_.row == row.row &&
           record_.query == row.query);
  ++rows_;
  return true;
}

}  // namespace akin::mine
