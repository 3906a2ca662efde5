#include "text/added_tokens.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "text/unicode.h"

namespace akin::text {
namespace {

AddedToken read_token(const JsonValue& json) {
  AddedToken token;
  token.content = json.at("content").as_string();
  token.single_word = json.get("single_word", false);
  token.lstrip = json.get("lstrip", false);
  token.rstrip = json.get("rstrip", false);
  token.normalized = json.get("normalized", true);
  token.special = json.get("special", false);
  return token;
}

}  // namespace

AddedTokens::AddedTokens(const std::vector<JsonValue>& json, const SubwordModel& model,
                         const Normalizer* normalizer, std::string_view where) {
  auto next_id = static_cast<int64_t>(model.vocab_size());
  std::unordered_map<int32_t, std::pair<std::string, AddedToken>> patterns;  // by id, the last one
  for (const JsonValue& item : json) {
    AddedToken token = read_token(item);
    if (token.content.empty()) continue;
    if (const AddedToken* known = find(token.content)) {
      token.id = known->id;
    } else if (const auto id = model.token_id(token.content)) {
      token.id = *id;
    } else {
      if (next_id > INT32_MAX) throw_error(ErrorKind::bad_format, where, "too many tokens");
      token.id = static_cast<int32_t>(next_id++);
    }
    std::string pattern = token.content;
    if (token.normalized && normalizer != nullptr) {
      NormalizedText text;
      text.text = token.content;
      normalizer->apply(text);
      if (text.text != token.content) normalized_form_[token.id] = text.text;
      pattern = text.text;
    }
    by_content_[token.content] = tokens_.size();
    by_id_[token.id] = tokens_.size();
    patterns[token.id] = {std::move(pattern), token};
    tokens_.push_back(std::move(token));
  }
  std::vector<std::pair<std::string, AddedToken>> raw, normalized;
  for (auto& [id, pattern] : patterns) {
    (pattern.second.normalized ? normalized : raw).push_back(std::move(pattern));
  }
  raw_ = Searcher(raw, where);
  normalized_ = Searcher(normalized, where);
}

AddedTokens::Searcher::Searcher(const std::vector<std::pair<std::string, AddedToken>>& patterns,
                                std::string_view where) {
  first_bytes_.assign(256, 0);
  std::vector<ByteTrie::Key> keys;
  for (const auto& [pattern, token] : patterns) {
    if (pattern.empty()) continue;
    keys.push_back({pattern, static_cast<int32_t>(tokens_.size())});
    tokens_.push_back(token);
    first_bytes_[static_cast<uint8_t>(pattern[0])] = 1;
  }
  if (std::count(first_bytes_.begin(), first_bytes_.end(), 1) == 1) {
    only_first_byte_ = static_cast<int>(std::find(first_bytes_.begin(), first_bytes_.end(), 1) -
                                        first_bytes_.begin());
  }
  trie_ = ByteTrie(keys, where);
}

size_t AddedTokens::Searcher::next_candidate(std::string_view text, size_t from) const {
  if (tokens_.empty() || from >= text.size()) return text.size();
  if (only_first_byte_ >= 0) {
    const void* at = std::memchr(text.data() + from, only_first_byte_, text.size() - from);
    return at == nullptr ? text.size()
                         : static_cast<size_t>(static_cast<const char*>(at) - text.data());
  }
  while (from < text.size() && first_bytes_[static_cast<uint8_t>(text[from])] == 0) ++from;
  return from;
}

void AddedTokens::Searcher::find(std::string_view text, std::vector<Match>& out) const {
  size_t taken = 0;  // end of the last match
  const char* const base = text.data();
  const char* const text_end = base + text.size();
  for (size_t at = next_candidate(text, 0); at < text.size();) {
    int32_t index = -1;
    const size_t length = trie_.longest(text.substr(at), ByteTrie::kRoot, &index);
    if (length == 0) {
      at = next_candidate(text, at + 1);
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(index)];
    size_t begin = at, end = at + length;
    at = next_candidate(text, end);
    if (token.single_word) {
      const char* behind = base + end;
      if (begin > 0 && is_word_character(last_code_point(base + begin))) continue;
      if (behind < text_end && is_word_character(next_code_point(behind))) continue;
    }
    if (token.lstrip) {
      while (begin > taken && is_white_space(last_code_point(base + begin))) {
        do {
          --begin;
        } while ((static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80);
      }
    }
    if (token.rstrip) {
      for (const char* p = base + end; p < text_end && is_white_space(next_code_point(p));) {
        end = static_cast<size_t>(p - base);
      }
    }
    begin = std::max(begin, taken);
    if (begin >= end) continue;  // the blanks before it went to the match before it
    out.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end), token.id});
    taken = end;
  }
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto it = by_content_.find(std::string(content));
  return it == by_content_.end() ? nullptr : &tokens_[it->second];
}

const AddedToken* AddedTokens::find(int32_t id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &tokens_[it->second];
}

std::string_view AddedTokens::decoded(const AddedToken& token) const {
  const auto it = normalized_form_.find(token.id);
  return it == normalized_form_.end() ? std::string_view(token.content)
                                      : std::string_view(it->second);
}

int32_t AddedTokens::largest_id() const {
  int32_t largest = -1;
  for (const AddedToken& token : tokens_) largest = std::max(largest, token.id);
  return largest;
}

}  // namespace akin::text
