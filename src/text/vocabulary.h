// Token strings and their ids, both ways. Not a subword model. Ids are dense or nearly so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace akin::text {

// Immutable after construction, thread-safe.
class Vocabulary {
 public:
  struct Entry {
    std::string_view token;
    int32_t id;
  };
  // Of equal tokens, and of equal ids, the last one counts. Errors: bad_format for ids below zero
  // or far beyond the number of tokens.
  Vocabulary(const std::vector<Entry>& entries, std::string_view where);
  Vocabulary(Vocabulary&&) = default;  // views stay valid: the bytes live on the heap
  Vocabulary& operator=(Vocabulary&&) = default;
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  size_t size() const { return tokens_.size(); }  // largest id + 1
  std::string_view token(int32_t id) const {
    return id >= 0 && static_cast<size_t>(id) < tokens_.size() ? tokens_[static_cast<size_t>(id)]
                                                               : std::string_view();
  }
  std::optional<int32_t> find(std::string_view token) const;
  // Every entry with its text held here.
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<char> bytes_;
  std::vector<Entry> entries_;
  std::vector<std::string_view> tokens_;  // by id
  std::vector<int32_t> slots_;            // open addressing: index into entries_, or -1
};

}  // namespace akin::text
