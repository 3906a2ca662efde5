// Added tokens: strings that are cut out of a text before the model sees it. Not the specials that
// the post-processor puts around a text. Follows added_vocabulary.rs of Hugging Face tokenizers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "text/byte_trie.h"
#include "text/normalizer.h"
#include "text/subword_model.h"

namespace akin::text {

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool single_word = false, lstrip = false, rstrip = false, normalized = true, special = false;
};

// Immutable after construction, thread-safe.
class AddedTokens {
 public:
  // A token in [begin, end) of the text searched; matches come in order and do not overlap.
  struct Match {
    uint32_t begin, end;
    int32_t id;
  };

  AddedTokens() = default;
  // From the "added_tokens" array. A token that the model knows keeps the model's id; others get
  // the next free ids in order, as in the reference.
  AddedTokens(const std::vector<JsonValue>& json, const SubwordModel& model,
              const Normalizer* normalizer, std::string_view where);

  // Matches of the tokens that are found in the raw text, or in the normalized text.
  void find_raw(std::string_view text, std::vector<Match>& out) const { raw_.find(text, out); }
  void find_normalized(std::string_view text, std::vector<Match>& out) const {
    normalized_.find(text, out);
  }
  bool has_raw() const { return !raw_.empty(); }
  bool has_normalized() const { return !normalized_.empty(); }
  // Whether the raw text may hold a raw token: cheap, and nearly always false.
  bool may_match_raw(std::string_view text) const { return raw_.may_match(text); }

  const AddedToken* find(std::string_view content) const;
  const AddedToken* find(int32_t id) const;
  // What decode() uses: the normalized form of tokens that are normalized.
  std::string_view decoded(const AddedToken& token) const;
  int32_t largest_id() const;  // -1 when there are none

 private:
  class Searcher {
   public:
    Searcher() = default;
    Searcher(const std::vector<std::pair<std::string, AddedToken>>& patterns,
             std::string_view where);
    bool empty() const { return tokens_.empty(); }
    bool may_match(std::string_view text) const { return next_candidate(text, 0) < text.size(); }
    void find(std::string_view text, std::vector<Match>& out) const;

   private:
    size_t next_candidate(std::string_view text, size_t from) const;
    std::vector<AddedToken> tokens_;
    ByteTrie trie_;                     // values: index into tokens_
    std::vector<uint8_t> first_bytes_;  // [256]
    int only_first_byte_ = -1;
  };

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string, size_t> by_content_;
  std::unordered_map<int32_t, size_t> by_id_;
  std::unordered_map<int32_t, std::string> normalized_form_;
  Searcher raw_, normalized_;
};

}  // namespace akin::text
