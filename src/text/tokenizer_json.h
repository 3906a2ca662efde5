// tokenizer.json -> pipeline, with what tokenizer_config.json may change. Only tokenizer_folder.cc
// and the tests need more than Tokenizer::from_json.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "text/pipeline.h"

namespace akin::text {

// What lies outside tokenizer.json and still counts.
struct TokenizerOverrides {
  // BERT-like classes of transformers put these into the normalizer when the configuration says so.
  std::optional<bool> lowercase, strip_accents, handle_chinese_chars;
  std::optional<size_t> max_length;
  std::string source = "tokenizer.json";
  uint64_t hash = 0;  // of the other files
};

// Errors: bad_format, unsupported.
std::unique_ptr<Pipeline> make_pipeline(std::string_view json, const std::string& where,
                                        const TokenizerOverrides& overrides);

}  // namespace akin::text
