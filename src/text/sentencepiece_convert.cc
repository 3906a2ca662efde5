// The tokenizer.json that transformers' convert_slow_tokenizer makes of a sentencepiece model, one
// row of a table per tokenizer class. Only the vocabulary is written by hand: it is large.
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <nlohmann/json.hpp>
#include <tuple>
#include <unordered_map>

#include "base/error.h"
#include "text/sentencepiece.h"

namespace akin::text {
namespace {

using Json = nlohmann::ordered_json;
using Vocab = std::vector<std::pair<std::string, double>>;

constexpr const char* kMeta = "\xE2\x96\x81";  // U+2581

enum class Normalizing : uint8_t { plain, albert, deberta };

// What a tokenizer class does to the file's pieces and to a text.
struct ClassRow {
  std::string_view name;
  std::vector<std::pair<std::string_view, double>> head;  // tokens before the pieces
  size_t skipped_pieces;                                  // first pieces of the file, not taken
  std::string_view mask;          // appended when not among the pieces; may be empty
  std::string_view single, pair;  // templates: "<s> $A </s>", ":1" for a type id
  std::vector<std::string_view> specials;
  Normalizing normalizing;
  bool number_comma;  // pieces such as "5," lose 100 in score
  bool lower_case;    // default of do_lower_case
};

const std::vector<ClassRow>& class_rows() {
  static const std::vector<ClassRow> rows = {
      {"XLMRobertaTokenizer",
       {{"<s>", 0}, {"<pad>", 0}, {"</s>", 0}, {"<unk>", 0}},
       3,
       "<mask>",
       "<s> $A </s>",
       "<s> $A </s> </s> $B </s>",
       {"<s>", "<pad>", "</s>", "<unk>", "<mask>"},
       Normalizing::plain,
       false,
       false},
      {"CamembertTokenizer",
       {{"<s>NOTUSED", 0}, {"<pad>", 0}, {"</s>NOTUSED", 0}, {"<unk>", 0}, {"<unk>NOTUSED", -100}},
       1,
       "<mask>",
       "<s> $A </s>",
       "<s> $A </s> </s> $B </s>",
       {"<s>", "<pad>", "</s>", "<unk>", "<mask>"},
       Normalizing::plain,
       false,
       false},
      {"T5Tokenizer",
       {},
       0,
       "",
       "$A </s>",
       "$A </s> $B </s>",
       {"<pad>", "</s>", "<unk>"},
       Normalizing::plain,
       false,
       false},
      {"AlbertTokenizer",
       {},
       0,
       "[MASK]",
       "[CLS] $A [SEP]",
       "[CLS] $A [SEP] $B:1 [SEP]:1",
       {"<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"},
       Normalizing::albert,
       true,
       true},
      {"XLNetTokenizer",
       {},
       0,
       "<mask>",
       "$A <sep> <cls>:2",
       "$A <sep> $B:1 <sep>:1 <cls>:2",
       {"<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>"},
       Normalizing::albert,
       true,
       false},
      {"BigBirdTokenizer",
       {},
       0,
       "[MASK]",
       "[CLS] $A [SEP]",
       "[CLS] $A [SEP] $B:1 [SEP]:1",
       {"<pad>", "<unk>", "<s>", "</s>", "[CLS]", "[SEP]", "[MASK]"},
       Normalizing::plain,
       false,
       false},
      {"DebertaV2Tokenizer",
       {},
       0,
       "[MASK]",
       "[CLS] $A [SEP]",
       "[CLS] $A [SEP] $B:1 [SEP]:1",
       {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"},
       Normalizing::deberta,
       false,
       false},
      {"", {}, 0, "", "", "", {}, Normalizing::plain, false, false},
  };
  return rows;
}

const ClassRow& find_class(std::string_view name, const std::string& where) {
  if (name.ends_with("Fast")) name.remove_suffix(4);
  if (name == "PreTrainedTokenizer") name = {};
  std::string known;
  for (const ClassRow& row : class_rows()) {
    if (row.name == name) return row;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", row.name);
  }
  throw_error(ErrorKind::unsupported, where,
              "tokenizer_class {} needs its tokenizer.json: from a sentencepiece model only {} can "
              "be built",
              quote(name), known);
}

bool ends_in_number_comma(std::string_view piece) {
  if (piece.size() < 2 || piece.back() != ',') return false;
  size_t begin = piece.size() - 2;
  while (begin > 0 && (piece[begin] & 0xC0) == 0x80) --begin;
  utf8proc_int32_t c = 0;
  utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(piece.data()) + begin,
                   static_cast<utf8proc_ssize_t>(piece.size() - 1 - begin), &c);
  return utf8proc_category(c) == UTF8PROC_CATEGORY_ND;
}

Vocab make_vocab(const SentencePieceModel& model, const ClassRow& row,
                 const SentencePieceConversion& conversion, const std::string& where) {
  if (model.pieces.size() < row.skipped_pieces) {
    throw_error(ErrorKind::bad_format, where, "{} pieces are too few for a {}", model.pieces.size(),
                row.name);
  }
  Vocab vocab;
  for (const auto& [token, score] : row.head) vocab.emplace_back(token, score);
  bool has_mask = false;
  for (size_t i = row.skipped_pieces; i < model.pieces.size(); ++i) {
    const auto& piece = model.pieces[i];
    const bool lowered = row.number_comma && ends_in_number_comma(piece.text);
    vocab.emplace_back(piece.text, double{piece.score} - (lowered ? 100 : 0));
    has_mask = has_mask || piece.text == row.mask;
  }
  if (row.name == "T5Tokenizer") {
    if (conversion.extra_ids < 0 || conversion.extra_ids > 100000) {
      throw_error(ErrorKind::bad_format, where, "extra_ids is {}, expected 0 to 100000",
                  conversion.extra_ids);
    }
    for (int32_t i = conversion.extra_ids; i-- > 0;) {
      vocab.emplace_back(fmt::format("<extra_id_{}>", i), 0.0);
    }
  }
  if (!row.mask.empty() && !has_mask) vocab.emplace_back(row.mask, 0.0);
  return vocab;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    }
    for (size_t k = 0; k < 4; ++k) {
      out += i + k > bytes.size() ? '=' : kDigits[group >> (18 - 6 * k) & 63];
    }
  }
  return out;
}

Json replace(const Json& pattern, const std::string& content) {
  return {{"type", "Replace"}, {"pattern", pattern}, {"content", content}};
}

Json make_normalizer(const SentencePieceModel& model, const ClassRow& row,
                     const SentencePieceConversion& conversion) {
  Json steps = Json::array();
  if (row.normalizing == Normalizing::albert) {
    steps.push_back(replace({{"String", "``"}}, "\""));
    steps.push_back(replace({{"String", "''"}}, "\""));
    if (!conversion.keep_accents) {
      steps.push_back({{"type", "NFKD"}});
      steps.push_back({{"type", "StripAccents"}});
    }
  }
  const bool cased = row.normalizing != Normalizing::plain;
  if (cased && conversion.do_lower_case.value_or(row.lower_case)) {
    steps.push_back({{"type", "Lowercase"}});
  }
  if (row.normalizing == Normalizing::deberta) {
    steps.push_back({{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}});
  }
  if (!model.charsmap.empty()) {
    steps.push_back({{"type", "Precompiled"}, {"precompiled_charsmap", base64(model.charsmap)}});
  }
  const Json spaces = {{"Regex", " {2,}"}};
  if (row.normalizing != Normalizing::plain) {
    steps.push_back(replace(spaces, " "));
  } else if (!row.name.empty() || model.remove_extra_whitespaces) {
    steps.push_back({{"type", "Strip"}, {"strip_left", false}, {"strip_right", true}});
    steps.push_back(replace(spaces, kMeta));
  }
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

// "<s> $A:0 </s>" as the parts of a TemplateProcessing.
Json make_template(std::string_view text, std::vector<std::string>& tokens) {
  Json parts = Json::array();
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    int type_id = 0;
    if (part.size() > 2 && part[part.size() - 2] == ':') {
      type_id = part.back() - '0';
      part.remove_suffix(2);
    }
    if (part.starts_with('$')) {
      parts.push_back({{"Sequence", {{"id", std::string(part.substr(1))}, {"type_id", type_id}}}});
    } else {
      parts.push_back({{"SpecialToken", {{"id", std::string(part)}, {"type_id", type_id}}}});
      tokens.emplace_back(part);
    }
  }
  return parts;
}

using Ids = std::unordered_map<std::string_view, int64_t>;

Json make_post_processor(const ClassRow& row, const Ids& ids, const std::string& where) {
  if (row.single.empty()) return nullptr;
  std::vector<std::string> tokens;
  Json single = make_template(row.single, tokens), pair = make_template(row.pair, tokens);
  Json specials = Json::object();
  for (const std::string& token : tokens) {
    const auto it = ids.find(token);
    if (it == ids.end()) {
      throw_error(ErrorKind::bad_format, where, "a {} needs the piece {}, which is not there",
                  row.name, token);
    }
    specials[token] = {{"id", token}, {"ids", {it->second}}, {"tokens", {token}}};
  }
  return {{"type", "TemplateProcessing"},
          {"single", std::move(single)},
          {"pair", std::move(pair)},
          {"special_tokens", std::move(specials)}};
}

Json make_added_tokens(const SentencePieceModel& model, const ClassRow& row, const Vocab& vocab,
                       const Ids& ids) {
  std::unordered_map<int64_t, bool> added;  // id -> special
  for (const auto& piece : model.pieces) {
    const bool control = piece.type == SentencePieceModel::Type::control;
    if (!control && piece.type != SentencePieceModel::Type::user_defined) continue;
    const auto it = ids.find(piece.text);
    if (it != ids.end()) added[it->second] = control;
  }
  for (const std::string_view special : row.specials) {
    const auto it = ids.find(special);
    if (it != ids.end()) added[it->second] = true;
  }
  if (row.name == "T5Tokenizer") {
    for (size_t i = model.pieces.size(); i < vocab.size(); ++i) {
      added[static_cast<int64_t>(i)] = true;
    }
  }
  std::vector<std::pair<int64_t, bool>> sorted(added.begin(), added.end());
  std::sort(sorted.begin(), sorted.end());
  Json list = Json::array();
  for (const auto& [id, special] : sorted) {
    const std::string& content = vocab[static_cast<size_t>(id)].first;
    list.push_back({{"id", id},
                    {"content", content},
                    {"single_word", false},
                    {"lstrip", !row.mask.empty() && content == row.mask},
                    {"rstrip", false},
                    {"normalized", false},
                    {"special", special}});
  }
  return list;
}

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<uint8_t>(c) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

// Every way to make a piece of two others, best piece first, as the converter orders them.
struct Merge {
  std::string_view left, right;
  float score;
  size_t left_length, right_length;  // characters
};

std::vector<Merge> make_merges(const SentencePieceModel& model, const Ids& ids) {
  std::vector<Merge> merges, local;
  const auto is_boundary = [](char c) { return (c & 0xC0) != 0x80; };
  for (const auto& piece : model.pieces) {
    local.clear();
    const std::string_view text = piece.text;
    const auto length = static_cast<size_t>(std::count_if(text.begin(), text.end(), is_boundary));
    size_t left_length = 1;
    for (size_t i = 1; i < text.size(); ++i) {
      if (!is_boundary(text[i])) continue;
      const std::string_view left = text.substr(0, i), right = text.substr(i);
      if (ids.contains(left) && ids.contains(right)) {
        local.push_back({left, right, piece.score, left_length, length - left_length});
      }
      ++left_length;
    }
    std::stable_sort(local.begin(), local.end(), [&](const Merge& a, const Merge& b) {
      return std::pair(ids.at(a.left), ids.at(a.right)) <
             std::pair(ids.at(b.left), ids.at(b.right));
    });
    merges.insert(merges.end(), local.begin(), local.end());
  }
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tuple(a.score, a.left_length, a.right_length) >
           std::tuple(b.score, b.left_length, b.right_length);
  });
  return merges;
}

std::string unigram_json(const Vocab& vocab, int64_t unk_id, bool byte_fallback) {
  std::string out = fmt::format("{{\"type\":\"Unigram\",\"unk_id\":{},\"byte_fallback\":{},",
                                unk_id, byte_fallback);
  out += "\"vocab\":[";
  for (size_t i = 0; i < vocab.size(); ++i) {
    out += i == 0 ? "[" : ",[";
    append_json_string(vocab[i].first, out);
    fmt::format_to(std::back_inserter(out), ",{}]", vocab[i].second);
  }
  return out + "]}";
}

std::string bpe_json(const SentencePieceModel& model, const Vocab& vocab, const Ids& ids) {
  std::string out = "{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":";
  append_json_string(model.unk_piece, out);
  out += fmt::format(",\"fuse_unk\":true,\"byte_fallback\":{},\"vocab\":{{", model.byte_fallback);
  for (size_t i = 0; i < vocab.size(); ++i) {
    if (i != 0) out += ',';
    append_json_string(vocab[i].first, out);
    fmt::format_to(std::back_inserter(out), ":{}", i);
  }
  out += "},\"merges\":[";
  bool first = true;
  for (const Merge& merge : make_merges(model, ids)) {
    out += first ? "[" : ",[";
    first = false;
    append_json_string(merge.left, out);
    out += ',';
    append_json_string(merge.right, out);
    out += ']';
  }
  return out + "]}";
}

void check_supported(const SentencePieceModel& model, const ClassRow& row,
                     const std::string& where) {
  using Algorithm = SentencePieceModel::Algorithm;
  const bool bpe = model.algorithm == Algorithm::bpe && row.name.empty();
  if (model.algorithm != Algorithm::unigram && !bpe) {
    throw_error(ErrorKind::unsupported, where,
                "the sentencepiece model is of type {}{}; expected a unigram model",
                static_cast<int>(model.algorithm),
                row.name.empty() ? "" : fmt::format(" for a {}", row.name));
  }
  if (!model.escape_whitespaces || model.treat_whitespace_as_suffix) {
    throw_error(ErrorKind::unsupported, where,
                "a sentencepiece model with white space unescaped or as suffix needs its "
                "tokenizer.json");
  }
}

}  // namespace

std::string sentencepiece_to_tokenizer_json(const SentencePieceModel& model,
                                            const SentencePieceConversion& conversion,
                                            const std::string& where) {
  const ClassRow& row = find_class(conversion.tokenizer_class, where);
  check_supported(model, row, where);
  const Vocab vocab = make_vocab(model, row, conversion, where);
  Ids ids;
  ids.reserve(vocab.size());
  for (size_t i = 0; i < vocab.size(); ++i) ids[vocab[i].first] = static_cast<int64_t>(i);

  const bool bpe = model.algorithm == SentencePieceModel::Algorithm::bpe;
  const int64_t unk_id = row.head.empty() ? model.unk_id : ids.at("<unk>");
  if (!bpe && (unk_id < 0 || static_cast<size_t>(unk_id) >= vocab.size())) {
    throw_error(ErrorKind::bad_format, where, "unk_id is {}, but there are {} pieces", unk_id,
                vocab.size());
  }
  const char* scheme = conversion.legacy ? "always" : "first";
  if (row.name.empty() && !model.add_dummy_prefix) scheme = "never";
  const Json metaspace = {
      {"type", "Metaspace"}, {"replacement", kMeta}, {"prepend_scheme", scheme}, {"split", true}};
  const Json head = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", make_added_tokens(model, row, vocab, ids)},
                     {"normalizer", make_normalizer(model, row, conversion)},
                     {"pre_tokenizer", metaspace},
                     {"post_processor", make_post_processor(row, ids, where)},
                     {"decoder", metaspace}};
  std::string out = head.dump();
  out.pop_back();  // the closing brace
  out += ",\"model\":";
  out += bpe ? bpe_json(model, vocab, ids)
             : unigram_json(vocab, unk_id, row.name.empty() && model.byte_fallback);
  return out + "}";
}

}  // namespace akin::text
