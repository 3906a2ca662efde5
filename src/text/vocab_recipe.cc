// Unigram normalization, after NFKC: BERT's clean-up puts blanks around ideographs, each sign gets
// a blank behind it, the text gets one in front; then all blanks vanish but those before letters
// and numbers of scripts that write words. So a word has its mark wherever it begins ("(word",
// "用word"), and ideographs and signs are one piece with or without blanks around them.
#include "text/vocab_recipe.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/train_script.h"

namespace akin::text {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kBertTokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
constexpr size_t kMaxPartCharacters = 64;  // longer parts are cut for training

struct SignRule {
  std::string_view from, to;
};

// Signs that begin words or part them. Quotes and dashes become the ASCII ones.
constexpr SignRule kSigns[] = {
    {"\xE2\x96\x81", " "}, {"“", "\" "},  {"”", "\" "},  {"„", "\" "},  {"«", "\" "},
    {"»", "\" "},          {"‘", "' "},   {"’", "' "},   {"–", "- "},   {"—", "- "},
    {"‐", "- "},           {"‑", "- "},   {"−", "- "},   {"、", "、 "}, {"。", "。 "},
    {"《", "《 "},         {"》", "》 "}, {"「", "「 "}, {"」", "」 "}, {"『", "『 "},
    {"』", "』 "},         {"【", "【 "}, {"】", "】 "}, {"〈", "〈 "}, {"〉", "〉 "},
    {"〔", "〔 "},         {"〕", "〕 "}, {"·", "· "},   {"•", "• "},   {"→", "→ "},
};
constexpr std::string_view kAsciiSigns = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

// Ideographs and kana, as one class of a regular expression.
constexpr std::string_view kUnspaced =
    "[々-〇〡-〩ぁ-ヿㇰ-ㇿ㐀-䶿一-鿿豈-﫿𠀀-𲎯]";

Json replace_text(std::string_view from, std::string_view to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

Json bert_normalizer(const VocabRecipe& recipe) {
  return {{"type", "BertNormalizer"},
          {"clean_text", true},
          {"handle_chinese_chars", true},
          {"strip_accents", recipe.strip_accents},
          {"lowercase", recipe.lowercase}};
}

Json unigram_normalizer(const VocabRecipe& recipe) {
  Json steps = Json::array();
  steps.push_back({{"type", "NFKC"}});
  steps.push_back(bert_normalizer(recipe));
  if (recipe.strip_accents) steps.push_back({{"type", "NFC"}});
  for (const char& sign : kAsciiSigns) {
    const std::string_view text(&sign, 1);
    steps.push_back(replace_text(text, std::string(text) + " "));
  }
  for (const SignRule& rule : kSigns) steps.push_back(replace_text(rule.from, rule.to));
  steps.push_back({{"type", "Prepend"}, {"prepend", " "}});
  const std::string unwanted = " +(?=[^\\p{L}\\p{N}]|" + std::string(kUnspaced) + "|$)";
  steps.push_back({{"type", "Replace"}, {"pattern", {{"Regex", unwanted}}}, {"content", ""}});
  return {{"type", "Sequence"}, {"normalizers", std::move(steps)}};
}

Json normalizer_json(const VocabRecipe& recipe) {
  return recipe.type == VocabType::unigram ? unigram_normalizer(recipe) : bert_normalizer(recipe);
}

Json metaspace_json(const char* scheme) {
  return {{"type", "Metaspace"},
          {"replacement", kWordMark},
          {"prepend_scheme", scheme},
          {"split", true}};
}

Json pre_tokenizer_json(const VocabRecipe& recipe) {
  if (recipe.type == VocabType::unigram) return metaspace_json("never");
  return {{"type", "BertPreTokenizer"}};
}

Json decoder_json(const VocabRecipe& recipe) {
  if (recipe.type == VocabType::unigram) return metaspace_json("always");
  return {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
}

Json model_json(const VocabRecipe& recipe, const std::vector<std::string>& specials,
                const std::vector<VocabPiece>& pieces) {
  if (recipe.type == VocabType::unigram) {
    Json vocab = Json::array();
    for (const auto& token : specials) vocab.push_back(Json::array({token, 0.0}));
    for (const auto& piece : pieces) vocab.push_back(Json::array({piece.text, piece.score}));
    return {
        {"type", "Unigram"}, {"unk_id", 1}, {"vocab", std::move(vocab)}, {"byte_fallback", false}};
  }
  Json vocab = Json::object();
  size_t id = 0;
  // One assignment a token would search the whole ordered object each time.
  auto& entries = vocab.get_ref<Json::object_t&>();
  for (const auto& token : specials) entries.push_back({token, id++});
  for (const auto& piece : pieces) entries.push_back({piece.text, id++});
  return {{"type", "WordPiece"},
          {"unk_token", "[UNK]"},
          {"continuing_subword_prefix", "##"},
          {"max_input_chars_per_word", 100},
          {"vocab", std::move(vocab)}};
}

Json template_token(const char* token) {
  return {{"SpecialToken", {{"id", token}, {"type_id", 0}}}};
}

Json post_processor_json() {
  const auto sequence = [](const char* name, int type) -> Json {
    return {{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  Json last = template_token("[SEP]");
  last["SpecialToken"]["type_id"] = 1;
  Json single = Json::array({template_token("[CLS]"), sequence("A", 0), template_token("[SEP]")});
  Json pair = single;
  pair.push_back(sequence("B", 1));
  pair.push_back(std::move(last));
  Json tokens = Json::object();
  for (const auto& [token, id] : {std::pair{"[CLS]", 2}, std::pair{"[SEP]", 3}}) {
    tokens[token] = {{"id", token}, {"ids", Json::array({id})}, {"tokens", Json::array({token})}};
  }
  return {{"type", "TemplateProcessing"},
          {"single", std::move(single)},
          {"pair", std::move(pair)},
          {"special_tokens", std::move(tokens)}};
}

}  // namespace

std::vector<std::string> special_tokens(const VocabRecipe& recipe) {
  std::vector<std::string> out(std::begin(kBertTokens), std::end(kBertTokens));
  for (const auto& token : recipe.special_tokens) {
    if (token.empty() || std::find(out.begin(), out.end(), token) != out.end()) {
      throw_error(ErrorKind::usage, "--special-tokens",
                  "got {}, which is empty, named twice or one of [PAD] [UNK] [CLS] [SEP] [MASK], "
                  "which every vocabulary has",
                  quote(token));
    }
    out.push_back(token);
  }
  return out;
}

WordCounter::Cut word_cutter(const VocabRecipe& recipe) {
  // Of the very JSON that is written, so that training and use cannot differ.
  const std::string steps =
      Json{{"normalizer", normalizer_json(recipe)}, {"pre_tokenizer", pre_tokenizer_json(recipe)}}
          .dump();
  const JsonDocument document = JsonDocument::parse(steps, "recipe");
  const JsonValue root(document);
  std::shared_ptr<const Normalizer> normalizer = make_normalizer(root.at("normalizer"));
  std::shared_ptr<const PreTokenizer> pre_tokenizer = make_pre_tokenizer(root.at("pre_tokenizer"));
  return [normalizer, pre_tokenizer, type = recipe.type](std::string_view text,
                                                         const WordCounter::Sink& word) {
    SplitText split;
    split.text.text = text;
    normalizer->apply(split.text);
    if (split.text.text.empty()) return;
    split.pieces.push_back({0, static_cast<uint32_t>(split.text.text.size()), -1, {}, true});
    pre_tokenizer->apply(split);
    std::vector<std::string_view> parts;
    for (const Piece& piece : split.pieces) {
      if (type == VocabType::wordpiece) {
        word(split.view(piece));
        continue;
      }
      parts.clear();
      split_by_kind(split.view(piece), kMaxPartCharacters, parts);
      for (const std::string_view part : parts) word(part);
    }
  };
}

Json tokenizer_json(const VocabRecipe& recipe, const std::vector<VocabPiece>& pieces) {
  const auto specials = special_tokens(recipe);
  Json added = Json::array();
  for (size_t id = 0; id < specials.size(); ++id) {
    added.push_back({{"id", id},
                     {"content", specials[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", std::move(added)},
          {"normalizer", normalizer_json(recipe)},
          {"pre_tokenizer", pre_tokenizer_json(recipe)},
          {"post_processor", post_processor_json()},
          {"decoder", decoder_json(recipe)},
          {"model", model_json(recipe, specials, pieces)}};
}

Json tokenizer_config_json(const VocabRecipe& recipe) {
  Json config = {{"unk_token", "[UNK]"},   {"sep_token", "[SEP]"},
                 {"pad_token", "[PAD]"},   {"cls_token", "[CLS]"},
                 {"mask_token", "[MASK]"}, {"model_max_length", recipe.max_length}};
  if (!recipe.special_tokens.empty()) {
    config["additional_special_tokens"] = recipe.special_tokens;
  }
  config["clean_up_tokenization_spaces"] = false;
  if (recipe.type == VocabType::wordpiece) {
    config["do_lower_case"] = recipe.lowercase;
    config["strip_accents"] = recipe.strip_accents;
    config["tokenize_chinese_chars"] = true;
    config["tokenizer_class"] = "BertTokenizer";
  } else {
    config["tokenizer_class"] = "PreTrainedTokenizerFast";
  }
  return config;
}

}  // namespace akin::text
