#include "text/vocabulary.h"

#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"

namespace akin::text {

Vocabulary::Vocabulary(const std::vector<Entry>& entries, std::string_view where) {
  const size_t limit = entries.size() * 16 + (size_t{1} << 20);
  size_t size_bytes = 0, size = 0;
  for (const Entry& entry : entries) {
    if (entry.id < 0 || static_cast<size_t>(entry.id) >= limit) {
      throw_error(ErrorKind::bad_format, where,
                  "token {} has id {}, expected 0 to {} in a vocabulary of {} tokens",
                  quote(entry.token), entry.id, limit - 1, entries.size());
    }
    size_bytes += entry.token.size();
    size = std::max(size, static_cast<size_t>(entry.id) + 1);
  }
  bytes_.resize(size_bytes);
  tokens_.resize(size);
  slots_.assign(std::bit_ceil(entries.size() * 2 + 2), -1);
  entries_.reserve(entries.size());
  size_t used = 0;
  for (const Entry& entry : entries) {
    if (!entry.token.empty()) {
      std::memcpy(bytes_.data() + used, entry.token.data(), entry.token.size());
    }
    const std::string_view token(bytes_.data() + used, entry.token.size());
    used += entry.token.size();
    tokens_[static_cast<size_t>(entry.id)] = token;
    size_t slot = hash64(token) & (slots_.size() - 1);
    while (slots_[slot] >= 0 && entries_[static_cast<size_t>(slots_[slot])].token != token) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    if (slots_[slot] >= 0) {
      entries_[static_cast<size_t>(slots_[slot])].id = entry.id;
    } else {
      slots_[slot] = static_cast<int32_t>(entries_.size());
      entries_.push_back({token, entry.id});
    }
  }
}

std::optional<int32_t> Vocabulary::find(std::string_view token) const {
  for (size_t slot = hash64(token) & (slots_.size() - 1); slots_[slot] >= 0;
       slot = (slot + 1) & (slots_.size() - 1)) {
    const Entry& entry = entries_[static_cast<size_t>(slots_[slot])];
    if (entry.token == token) return entry.id;
  }
  return {};
}

}  // namespace akin::text
