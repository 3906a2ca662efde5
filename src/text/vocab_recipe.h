// How a new vocabulary's texts are normalized and cut into words, as the tokenizer.json that will
// hold it says it; and that file. Not the training. Follows the file format of Hugging Face
// tokenizers; WordPiece as BERT has it.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "text/corpus_words.h"

namespace akin::text {

enum class VocabType : uint8_t { unigram, wordpiece };

struct VocabRecipe {
  VocabType type = VocabType::unigram;
  bool lowercase = false;
  bool strip_accents = false;
  std::vector<std::string> special_tokens;  // of the user, behind the five of BERT
  size_t max_length = 512;                  // tokens that the model will read
};

struct VocabPiece {
  std::string text;
  double score = 0;  // Unigram: the log-probability
};

// [PAD] [UNK] [CLS] [SEP] [MASK], then the user's. Errors: usage for an empty or repeated one.
std::vector<std::string> special_tokens(const VocabRecipe& recipe);

// Calls back for every word of a text. Unigram: a word begins with U+2581 behind a space, a sign or
// an ideograph, and is cut into parts of one kind of character (train_script.h), which no piece
// may cross; so the best path over the parts is the best path over the whole. Thread-safe.
WordCounter::Cut word_cutter(const VocabRecipe& recipe);

// The whole tokenizer.json; special tokens come first, then `pieces`.
nlohmann::ordered_json tokenizer_json(const VocabRecipe& recipe,
                                      const std::vector<VocabPiece>& pieces);
nlohmann::ordered_json tokenizer_config_json(const VocabRecipe& recipe);

}  // namespace akin::text
