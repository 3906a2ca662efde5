// Byte pair encoding: merges of neighbours, lowest rank first. Not the pre-tokenizer (see
// byte_level.h). Follows Hugging Face tokenizers (models/bpe): unknown characters, byte fallback,
// prefixes and suffixes included; dropout is refused.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/subword_model.h"

namespace akin::text {

struct BpeOptions {
  std::string unk_token;                  // empty: unknown characters are dropped
  std::string continuing_subword_prefix;  // before each character but the first
  std::string end_of_word_suffix;         // after the last character
  bool fuse_unk = false;
  bool byte_fallback = false;
  bool ignore_merges = false;  // a piece that is a token is that token, whatever the merges
};

// Tokens and merges as the files have them; borrowed during construction only.
struct BpeVocab {
  std::vector<std::pair<std::string_view, int32_t>> tokens;
  std::vector<std::pair<std::string_view, std::string_view>> merges;  // in rank order
};

// Errors: bad_format naming `where` (a merge of unknown tokens, ids out of range, duplicate ids).
std::unique_ptr<SubwordModel> make_bpe(const BpeVocab& vocab, const BpeOptions& options,
                                       const std::string& where);

// vocab.json ({"token": id}) and merges.txt ("a b" lines, "#version" lines skipped) of GPT-2 and
// RoBERTa folders. Errors: not_found, bad_format.
std::unique_ptr<SubwordModel> make_bpe_from_files(const std::filesystem::path& vocab_json,
                                                  const std::filesystem::path& merges_txt,
                                                  const BpeOptions& options = {});

}  // namespace akin::text
