// The tokenizer put together from its parts. Not the reading of files (tokenizer_json.cc,
// tokenizer_folder.cc). Follows TokenizerImpl of Hugging Face tokenizers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/added_tokens.h"
#include "text/bert_fast.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/subword_model.h"
#include "text/tokenizer.h"
#include "text/unigram_fast.h"

namespace akin::text {

struct PipelineParts {
  std::unique_ptr<Normalizer> normalizer;       // may be null
  std::unique_ptr<PreTokenizer> pre_tokenizer;  // may be null
  std::unique_ptr<SubwordModel> model;
  std::unique_ptr<BertFast> bert_fast;        // may be null; stands for the three above
  std::unique_ptr<UnigramFast> unigram_fast;  // may be null; the same
  std::unique_ptr<Decoder> decoder;           // may be null
  AddedTokens added;
  PostProcessor post_processor;
  size_t max_length = 0;
  std::string source;
  uint64_t hash = 0;
};

class Pipeline final : public Tokenizer {
 public:
  Pipeline(PipelineParts parts, std::string_view where);  // Errors: bad_format

  size_t encode(std::string_view text, bool add_special_tokens, std::vector<int32_t>& ids,
                size_t* replaced) const override;
  Encoding encode_with_offsets(std::string_view text, bool add_special_tokens) const override;
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const override;

  size_t vocab_size() const override { return vocab_size_; }
  std::optional<int32_t> token_id(std::string_view token) const override;
  std::string_view token(int32_t id) const override;
  std::string_view model_type() const override { return parts_.model->type(); }
  bool is_special(int32_t id) const override;
  std::optional<int32_t> unk_id() const override { return parts_.model->unk_id(); }
  std::span<const int32_t> prefix_ids() const override { return parts_.post_processor.prefix; }
  std::span<const int32_t> suffix_ids() const override { return parts_.post_processor.suffix; }
  size_t max_length() const override { return parts_.max_length; }
  std::string_view source() const override { return parts_.source; }
  uint64_t hash() const override { return parts_.hash; }

  // For tests: whether a fused path exists, and encode() without it.
  bool is_fused() const { return parts_.bert_fast || parts_.unigram_fast; }
  void encode_general(std::string_view text, std::vector<int32_t>& ids) const;

 private:
  void encode_valid(std::string_view text, std::vector<int32_t>& ids) const;
  void encode_segment(std::string_view text, uint32_t offset, std::vector<int32_t>& ids) const;
  void prepare(NormalizedText original, const std::vector<AddedTokens::Match>& matches,
               SplitText& split) const;
  void normalize_segment(NormalizedText segment, uint32_t begin, uint32_t end,
                         SplitText& out) const;
  Span trim(std::string_view token, Span span, bool first) const;

  PipelineParts parts_;
  size_t vocab_size_ = 0;
  bool needs_spans_ = false;
};

}  // namespace akin::text
