#include "data/packed_store.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "text/prompted.h"

namespace akin::data {
namespace {

constexpr size_t kLookBack = 16;    // tokens within which a cut looks for the end of a word
constexpr size_t kLeastTokens = 8;  // a shorter end of everything is left out
constexpr uint64_t kReportEvery = 4096;

// Where a packed text begins.
struct Start {
  uint64_t record = 0, byte = 0;
};

class PackedStore final : public RecordStore {
 public:
  PackedStore(std::shared_ptr<const RecordStore> store, std::vector<Start> starts,
              std::string fingerprint)
      : store_(std::move(store)),
        starts_(std::move(starts)),
        fingerprint_(std::move(fingerprint)) {}

  uint64_t size() const override { return starts_.size() - 1; }
  void read(uint64_t number, Record& record) const override {
    const Start begin = starts_.at(number), end = starts_.at(number + 1);
    store_->read(begin.record, record);
    std::string text;
    if (begin.record == end.record) {
      text = record.query.substr(begin.byte, end.byte - begin.byte);
    } else {
      text = record.query.substr(begin.byte);
      Record next;
      for (uint64_t r = begin.record + 1; r <= end.record; ++r) {
        if (r == end.record && end.byte == 0) break;
        store_->read(r, next);
        text += ' ';
        text += r == end.record ? std::string_view(next.query).substr(0, end.byte)
                                : std::string_view(next.query);
      }
    }
    record.query = std::move(text);
    record.positive.clear();
    record.negatives.clear();
    record.label.reset();
    record.scores.clear();
  }
  TextKeys keys(uint64_t number) const override { return {number + 1, 0}; }
  RowCounts row_counts() const override { return store_->row_counts(); }
  std::string fingerprint() const override { return fingerprint_; }
  Fields fields() const override { return {}; }

 private:
  const std::shared_ptr<const RecordStore> store_;  // shared with other packings of it
  const std::vector<Start> starts_;                 // one more than there are texts
  const std::string fingerprint_;
};

class Packer {
 public:
  Packer(const RecordStore& store, const text::Tokenizer& tokenizer, const PackOptions& options)
      : store_(store), tokenizer_(tokenizer), options_(options) {
    const size_t special = tokenizer.prefix_ids().size() + tokenizer.suffix_ids().size();
    if (options.tokens <= special + 1) {
      throw_error(ErrorKind::usage, "pretrain.length", "{} tokens, {} of them special; raise it",
                  options.tokens, special);
    }
    room_ = options.tokens - special;
  }

  std::vector<Start> run(const ProgressSink& progress) {
    std::vector<Start> out = {{0, 0}};
    Record record;
    for (uint64_t r = 0; r < store_.size(); ++r) {
      if (r % kReportEvery == 0) {
        check_interrupted();
        if (progress) progress({"packing texts", r, store_.size(), "texts"});
      }
      store_.read(r, record);
      add(r, record.query, out);
    }
    const Start end{store_.size(), 0};
    if (out.size() > 1 && used_ < kLeastTokens) {
      return out;  // the last start is the end
    }
    out.push_back(end);
    return out;
  }

 private:
  void add(uint64_t number, const std::string& text, std::vector<Start>& out) {
    ids_.clear();
    text::encode_prompted(tokenizer_, "", text, options_.lower_case, false, ids_);
    if (used_ + ids_.size() <= room_) {
      used_ += ids_.size();
      return;
    }
    const auto tokens = tokenizer_.encode_with_offsets(text, false);
    size_t done = 0;
    while (used_ + (tokens.ids.size() - done) > room_) {
      size_t cut = cut_before(text, tokens, done, done + (room_ - used_));
      if (cut == done && used_ == 0) cut = next_boundary(text, tokens, done + room_);
      used_ = 0;
      done = cut;
      if (cut == tokens.ids.size()) {
        used_ = room_;
        return;
      }
      out.push_back({number, cut == 0 ? 0 : uint64_t{tokens.begin[cut]}});
    }
    used_ += tokens.ids.size() - done;
  }
  static bool is_boundary(const std::string& text, const text::Encoding& tokens, size_t token) {
    return (static_cast<uint8_t>(text[tokens.begin[token]]) & 0xC0) != 0x80;
  }
  // Where one character has more tokens than there is room.
  static size_t next_boundary(const std::string& text, const text::Encoding& tokens, size_t token) {
    while (token < tokens.ids.size() && !is_boundary(text, tokens, token)) ++token;
    return token;
  }
  // The token before which to cut, at most `last`: where a word begins, if one does nearby; never
  // within a character.
  static size_t cut_before(const std::string& text, const text::Encoding& tokens, size_t first,
                           size_t last) {
    const size_t least = std::max(first + 1, last > kLookBack ? last - kLookBack : 0);
    for (size_t token = last; token >= least && token > 0; --token) {
      const auto here = static_cast<uint8_t>(text[tokens.begin[token]]);
      const bool spaced = here == ' ' || tokens.begin[token] > tokens.end[token - 1];
      if ((spaced || here >= 0xE3) && is_boundary(text, tokens, token)) return token;
    }
    size_t cut = last;
    while (cut > first && !is_boundary(text, tokens, cut)) --cut;
    return cut;
  }

  const RecordStore& store_;
  const text::Tokenizer& tokenizer_;
  const PackOptions& options_;
  size_t room_ = 0, used_ = 0;
  std::vector<int32_t> ids_;
};

}  // namespace

std::shared_ptr<const RecordStore> pack_store(std::shared_ptr<const RecordStore> store,
                                              const text::Tokenizer& tokenizer,
                                              const PackOptions& options,
                                              const ProgressSink& progress) {
  auto starts = Packer(*store, tokenizer, options).run(progress);
  Hasher hasher;
  hasher.add(store->fingerprint());
  hasher.add(uint64_t{options.tokens});
  for (const Start& start : starts) {
    hasher.add(start.record);
    hasher.add(start.byte);
  }
  return std::make_shared<PackedStore>(std::move(store), std::move(starts), hasher.hex());
}

}  // namespace akin::data
