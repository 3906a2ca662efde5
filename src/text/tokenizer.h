// Text to token ids, from a model folder (tokenizer.json or the older forms). Reference: Hugging
// Face tokenizers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace akin::text {

struct Encoding {
  std::vector<int32_t> ids;
  std::vector<uint32_t> begin,
      end;  // byte offsets into the original text; special tokens: begin == end == 0
  std::vector<uint8_t> special;  // 1 for tokens that the post-processor added
};

// Immutable after load; every const method is thread-safe.
class Tokenizer {
 public:
  // Looks for tokenizer.json, then vocab.txt (+ tokenizer_config.json), sentencepiece.bpe.model /
  // spiece.model / tokenizer.model, vocab.json + merges.txt. Errors: not_found naming what was
  // looked for; bad_format; unsupported.
  static std::unique_ptr<Tokenizer> load_folder(const std::filesystem::path& folder);
  // Whether it is there in another form than tokenizer.json.
  static bool has_older_form(const std::filesystem::path& folder);
  // tokenizer.json bytes (`where` names them in errors).
  static std::unique_ptr<Tokenizer> from_json(std::string_view json, const std::string& where);
  virtual ~Tokenizer() = default;

  // Appends the ids of one text, special tokens included when asked, nothing truncated. Returns ids
  // appended. Invalid UTF-8 is read as U+FFFD per maximal subpart (Unicode 3.9); *replaced is
  // increased by the number of replacements when given.
  virtual size_t encode(std::string_view text, bool add_special_tokens, std::vector<int32_t>& ids,
                        size_t* replaced = nullptr) const = 0;
  virtual Encoding encode_with_offsets(std::string_view text, bool add_special_tokens) const = 0;
  virtual std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const = 0;

  virtual size_t vocab_size() const = 0;  // ids are < vocab_size()
  virtual std::optional<int32_t> token_id(std::string_view token) const = 0;
  virtual std::string_view token(int32_t id) const = 0;  // empty for an unknown id
  virtual std::string_view model_type() const = 0;       // "WordPiece" | "Unigram" | "BPE"
  virtual bool is_special(int32_t id) const = 0;
  virtual std::optional<int32_t> unk_id() const = 0;
  // Ids the post-processor puts before and after a single text ([CLS] ... [SEP]): truncation keeps
  // them.
  virtual std::span<const int32_t> prefix_ids() const = 0;
  virtual std::span<const int32_t> suffix_ids() const = 0;
  // tokenizer_config.json model_max_length or tokenizer.json truncation.max_length, 0 when absent
  // or absurd (> 1e9).
  virtual size_t max_length() const = 0;
  virtual std::string_view source() const = 0;  // which file form it came from, for `akin info`
  virtual uint64_t hash() const = 0;  // of the files it was loaded from, for the fingerprint
};

}  // namespace akin::text
