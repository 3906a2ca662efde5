// The precompiled character map of sentencepiece models: a double-array trie from UTF-8 strings to
// their replacements. Not a general normalizer (NFKC and friends are elsewhere). Follows the blob
// format of sentencepiece and the way Hugging Face tokenizers ("Precompiled") applies it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace akin::text {

// Immutable after load; every const method is thread-safe.
class PrecompiledCharsmap {
 public:
  // grapheme        Hugging Face: clusters of fewer than 6 bytes are looked up as a whole (by their
  //                 shortest known prefix, which then replaces the whole cluster), longer ones
  //                 character by character.
  // longest_prefix  sentencepiece: the longest known prefix at every position.
  enum class Matching : uint8_t { grapheme, longest_prefix };

  // `blob` is u32 trie bytes, the trie, then replacements that end in NUL; an empty blob maps
  // everything to itself. Errors: bad_format.
  static PrecompiledCharsmap from_bytes(std::string_view blob, const std::string& where);

  // Appends the normalized form of `in` (valid UTF-8) to `out`; the result is valid UTF-8. With
  // source_offsets, also appends for each appended byte the offset in `in` where the character
  // (or replaced cluster) it came from begins.
  void normalize(std::string_view in, std::string& out,
                 std::vector<uint32_t>* source_offsets = nullptr) const {
    normalize(in, Matching::grapheme, out, source_offsets);
  }
  void normalize(std::string_view in, Matching matching, std::string& out,
                 std::vector<uint32_t>* source_offsets) const;

  // True when normalize() would give `in` back; cheap (one pass, no copy), but false also for some
  // texts that would not change.
  bool is_plain(std::string_view in) const { return plain_run(in, 0) == in.size(); }

 private:
  struct Match {
    uint32_t length = 0;  // bytes matched, 0: none
    uint32_t value = 0;   // offset of the replacement
  };
  struct Sink;

  void load(std::string_view blob, const std::string& where);
  void find_plain_characters();
  Match find(std::string_view text, bool longest) const;
  std::string_view replacement(uint32_t value) const;
  size_t plain_run(std::string_view in, size_t pos) const;
  bool is_plain_character(uint32_t codepoint) const {
    return codepoint < 0x10000 && (plain_[codepoint >> 6] >> (codepoint & 63) & 1) != 0;
  }
  bool is_solo_character(uint32_t codepoint) const {
    return codepoint < 0x10000 && (solo_[codepoint >> 6] >> (codepoint & 63) & 1) != 0;
  }
  bool replace_solo(std::string_view in, size_t& pos, Sink& sink) const;
  size_t cluster_end(std::string_view in, size_t begin) const;
  void normalize_cluster(std::string_view in, size_t begin, size_t end, Sink& sink) const;

  std::vector<uint32_t> trie_;  // Darts-clone units
  std::string replacements_;    // NUL-separated, ends in NUL
  // By BMP code point: 1 + the offset of the replacement of a character that is not plain, 0: none.
  std::vector<uint32_t> direct_;
  std::vector<uint64_t> solo_;   // bit per BMP code point: never joins a cluster with another one
  std::vector<uint64_t> plain_;  // bit per BMP code point: maps to itself and never joins a cluster
  bool plain_ascii_ = false;     // every byte in [0x20, 0x7E] is plain
};

}  // namespace akin::text
