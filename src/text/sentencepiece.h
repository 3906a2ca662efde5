// sentencepiece .model files (a ModelProto): a bounds-checked reader, and the tokenizer.json that
// Hugging Face's converter gives for each tokenizer class. Not a general protobuf library.
// Follows sentencepiece_model.proto and transformers' convert_slow_tokenizer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace akin::text {

struct SentencePieceModel {
  enum class Type : uint8_t { normal = 1, unknown, control, user_defined, unused, byte };
  enum class Algorithm : uint8_t { unigram = 1, bpe, word, character };
  struct Piece {
    std::string text;  // valid UTF-8
    float score = 0;   // finite
    Type type = Type::normal;
  };
  std::vector<Piece> pieces;
  // trainer_spec
  Algorithm algorithm = Algorithm::unigram;
  int32_t unk_id = 0, bos_id = 1, eos_id = 2, pad_id = -1;
  std::string unk_piece = "<unk>", bos_piece = "<s>", eos_piece = "</s>", pad_piece = "<pad>";
  bool byte_fallback = false;
  bool treat_whitespace_as_suffix = false;
  // normalizer_spec
  std::string charsmap;  // precompiled_charsmap, may be empty
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

// Errors: bad_format (truncated, lying lengths, NaN scores, invalid UTF-8), naming `where`.
SentencePieceModel read_sentencepiece(std::string_view bytes, const std::string& where);
SentencePieceModel load_sentencepiece(const std::filesystem::path& path);

// What tokenizer_config.json may say beside the class; defaults are those of transformers.
struct SentencePieceConversion {
  // "XLMRobertaTokenizer", "CamembertTokenizer", "T5Tokenizer", "AlbertTokenizer",
  // "XLNetTokenizer", "MBartTokenizer", ... with or without "Fast"; anything else, or empty, is
  // converted plainly: ids as in the file, no special tokens added.
  std::string tokenizer_class;
  std::optional<bool> do_lower_case;  // Albert: true, XLNet: false
  bool keep_accents = false;          // Albert, XLNet
  int32_t extra_ids = 100;            // T5
  bool legacy = true;                 // false: prepend_scheme "first"
};

// A tokenizer.json document for Tokenizer::from_json. Errors: unsupported (word and character
// models; BPE models in classes that are Unigram), bad_format (no unk piece where one is needed).
std::string sentencepiece_to_tokenizer_json(const SentencePieceModel& model,
                                            const SentencePieceConversion& conversion,
                                            const std::string& where);

}  // namespace akin::text
