// A model folder -> tokenizer: which files there are and what they mean. The older forms are turned
// into a tokenizer.json first, as transformers' convert_slow_tokenizer does.
#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "text/sentencepiece.h"
#include "text/tokenizer_json.h"
#include "text/utf8.h"

namespace akin::text {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
constexpr uint64_t kMaxBytes = uint64_t{1} << 30;

// The small files that say how to read the large ones.
class Settings {
 public:
  explicit Settings(const fs::path& folder)
      : config_(load(folder / "tokenizer_config.json")),
        special_(load(folder / "special_tokens_map.json")),
        model_(load(folder / "config.json")) {}

  // The class without "Fast"; guessed from the model type of config.json when it is not stated.
  std::string tokenizer_class() const {
    std::string name = config_ ? config_->get("tokenizer_class", "") : "";
    if (name.ends_with("Fast")) name.resize(name.size() - 4);
    if (!name.empty() && name != "PreTrainedTokenizer") return name;
    static constexpr std::string_view kByModelType[][2] = {
        {"bert", "BertTokenizer"},
        {"distilbert", "DistilBertTokenizer"},
        {"mpnet", "MPNetTokenizer"},
        {"roberta", "RobertaTokenizer"},
        {"xlm-roberta", "XLMRobertaTokenizer"},
        {"camembert", "CamembertTokenizer"},
        {"t5", "T5Tokenizer"},
        {"mt5", "T5Tokenizer"},
        {"albert", "AlbertTokenizer"},
        {"xlnet", "XLNetTokenizer"},
        {"mbart", "MBartTokenizer"},
        {"gpt2", "GPT2Tokenizer"},
    };
    const std::string type = model_ ? model_->get("model_type", "") : "";
    for (const auto& row : kByModelType) {
      if (row[0] == type) return std::string(row[1]);
    }
    return "";
  }
  std::optional<bool> flag(std::string_view key) const {
    const auto value = config_ ? config_->find(key) : std::nullopt;
    return value && value->is_bool() ? std::optional(value->as_bool()) : std::nullopt;
  }
  int64_t number(std::string_view key, int64_t fallback) const {
    return config_ ? config_->get(key, fallback) : fallback;
  }
  // "cls_token": a string, or an object with its content.
  std::string special(std::string_view key, std::string_view fallback) const {
    for (const auto* file : {&config_, &special_}) {
      const auto value = *file ? (*file)->find(key) : std::nullopt;
      if (!value) continue;
      return std::string(value->is_object() ? value->at("content").as_string()
                                            : value->as_string());
    }
    return std::string(fallback);
  }
  std::optional<size_t> max_length() const {
    const auto value = config_ ? config_->find("model_max_length") : std::nullopt;
    if (!value || !value->is_number()) return {};
    const double length = value->as_double();  // an absurd 1e30 stands for "none"
    if (!(length >= 1 && length <= 1e9)) return {};
    return static_cast<size_t>(length);
  }
  uint64_t hash() const { return hash_; }

 private:
  std::optional<JsonValue> load(const fs::path& path) {
    if (!fs::exists(path)) return {};
    const std::string bytes = read_file(path, kMaxBytes);
    // config.json holds much that is no business of the tokenizer: it has its own place in the
    // fingerprint.
    if (path.filename() != "config.json") hash_ = hash64(bytes, hash_);
    documents_.push_back(JsonDocument::parse(bytes, path.string()));
    return JsonValue(documents_.back());
  }

  uint64_t hash_ = 0;
  std::vector<JsonDocument> documents_;
  std::optional<JsonValue> config_, special_, model_;
};

Json added_token(const std::string& content, int64_t id, bool lstrip = false) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", lstrip},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

// Large parts are written as text and put in place of a null: building them as objects is slow.
void put_in(std::string& json, const std::string& key, const std::string& value) {
  const std::string empty = "\"" + key + "\":null";
  const size_t at = json.find(empty);
  AKIN_CHECK(at != std::string::npos);
  json.replace(at + key.size() + 3, 4, value);
}

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<uint8_t>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

using IdOf = std::function<std::optional<int64_t>(const std::string& token)>;

int64_t required_id(const IdOf& id_of, const std::string& token, const std::string& where) {
  const auto id = id_of(token);
  if (!id) {
    throw_error(ErrorKind::bad_format, where, "the special token {} is not in the vocabulary",
                quote(token));
  }
  return *id;
}

Json around_text(const IdOf& id_of, const std::string& cls, const std::string& sep,
                 const std::string& where) {
  const auto special = [&](const std::string& token) {
    return Json{{"id", token}, {"ids", {required_id(id_of, token, where)}}, {"tokens", {token}}};
  };
  const auto piece = [](const std::string& token) {
    return Json{{"SpecialToken", {{"id", token}, {"type_id", 0}}}};
  };
  return {{"type", "TemplateProcessing"},
          {"single", {piece(cls), {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}, piece(sep)}},
          {"pair", Json::array()},
          {"special_tokens", {{cls, special(cls)}, {sep, special(sep)}}}};
}

// One token a line; its number is its id.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find_first_of("\r\n", begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + (text.substr(end).starts_with("\r\n") ? 2 : 1);
  }
  return lines;
}

std::string wordpiece_json(const std::string& bytes, const Settings& settings,
                           const std::string& where) {
  std::string text, vocab;
  repair_utf8(bytes, text);
  const auto tokens = lines_of(text);
  for (size_t i = 0; i < tokens.size(); ++i) {
    vocab += i == 0 ? '{' : ',';
    append_json_string(tokens[i], vocab);
    vocab += ':' + std::to_string(i);
  }
  vocab += tokens.empty() ? "{}" : "}";
  const IdOf id_of = [&](const std::string& token) -> std::optional<int64_t> {
    const auto it = std::find(tokens.rbegin(), tokens.rend(), token);
    if (it == tokens.rend()) return {};
    return tokens.rend() - it - 1;
  };
  const bool mpnet = settings.tokenizer_class() == "MPNetTokenizer";
  const std::string unk = settings.special("unk_token", "[UNK]");
  const std::string cls = settings.special("cls_token", mpnet ? "<s>" : "[CLS]");
  const std::string sep = settings.special("sep_token", mpnet ? "</s>" : "[SEP]");
  const std::string pad = settings.special("pad_token", mpnet ? "<pad>" : "[PAD]");
  const std::string mask = settings.special("mask_token", mpnet ? "<mask>" : "[MASK]");
  Json added = Json::array();
  for (const auto& token : {pad, unk, cls, sep, mask}) {
    if (const auto id = id_of(token)) {
      added.push_back(added_token(token, *id, mpnet && token == mask));
    }
  }
  const auto strip = settings.flag("strip_accents");
  const Json json = {
      {"version", "1.0"},
      {"added_tokens", added},
      {"normalizer",
       {{"type", "BertNormalizer"},
        {"clean_text", true},
        {"handle_chinese_chars", settings.flag("tokenize_chinese_chars").value_or(true)},
        {"strip_accents", strip ? Json(*strip) : Json()},
        {"lowercase", settings.flag("do_lower_case").value_or(true)}}},
      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
      {"post_processor", around_text(id_of, cls, sep, where)},
      {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
      {"model",
       {{"type", "WordPiece"},
        {"unk_token", unk},
        {"continuing_subword_prefix", "##"},
        {"max_input_chars_per_word", 100},
        {"vocab", nullptr}}}};
  std::string out = json.dump();
  put_in(out, "vocab", vocab);
  return out;
}

std::string read_merges(const std::string& bytes) {
  std::string text, merges;
  repair_utf8(bytes, text);
  for (const std::string_view line : lines_of(text)) {
    if (line.empty() || line.starts_with("#version")) continue;
    merges += merges.empty() ? '[' : ',';
    append_json_string(line, merges);
  }
  return merges.empty() ? "[]" : merges + "]";
}

std::string byte_level_json(const std::string& vocab_bytes, const std::string& merges,
                            const Settings& settings, const std::string& where) {
  const JsonDocument document = JsonDocument::parse(vocab_bytes, where);
  const JsonValue vocab(document);
  const IdOf id_of = [&](const std::string& token) -> std::optional<int64_t> {
    const auto id = vocab.find(token);
    return id ? std::optional(id->as_int()) : std::nullopt;
  };
  const bool gpt2 = settings.tokenizer_class().starts_with("GPT2");
  const bool prefix_space = settings.flag("add_prefix_space").value_or(false);
  Json added = Json::array(), post;
  if (gpt2) {
    const std::string end = settings.special("eos_token", "<|endoftext|>");
    if (const auto id = id_of(end)) added.push_back(added_token(end, *id));
    post = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}};
  } else {
    const std::string cls = settings.special("cls_token", "<s>");
    const std::string sep = settings.special("sep_token", "</s>");
    const std::string mask = settings.special("mask_token", "<mask>");
    for (const auto& token : {cls, settings.special("pad_token", "<pad>"), sep,
                              settings.special("unk_token", "<unk>"), mask}) {
      if (const auto id = id_of(token)) added.push_back(added_token(token, *id, token == mask));
    }
    post = {{"type", "RobertaProcessing"},
            {"sep", {sep, required_id(id_of, sep, where)}},
            {"cls", {cls, required_id(id_of, cls, where)}},
            {"trim_offsets", true},
            {"add_prefix_space", prefix_space}};
  }
  const Json json = {
      {"version", "1.0"},
      {"added_tokens", added},
      {"pre_tokenizer",
       {{"type", "ByteLevel"}, {"add_prefix_space", prefix_space}, {"trim_offsets", true}}},
      {"post_processor", post},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model", {{"type", "BPE"}, {"vocab", nullptr}, {"merges", nullptr}}}};
  std::string out = json.dump();
  put_in(out, "merges", read_merges(merges));
  put_in(out, "vocab", vocab_bytes.substr(vocab_bytes.find('{')));
  return out;
}

bool is_bert_like(const std::string& name) {
  static constexpr std::string_view kClasses[] = {
      "BertTokenizer",     "DistilBertTokenizer", "MPNetTokenizer",      "ElectraTokenizer",
      "ConvBertTokenizer", "MobileBertTokenizer", "SqueezeBertTokenizer"};
  return std::find(std::begin(kClasses), std::end(kClasses), name) != std::end(kClasses);
}

std::string sentencepiece_json(const std::string& bytes, const fs::path& path,
                               const Settings& settings) {
  SentencePieceConversion conversion;
  conversion.tokenizer_class = settings.tokenizer_class();
  // The name that only XLM-R and its kin use.
  if (conversion.tokenizer_class.empty() && path.filename() == "sentencepiece.bpe.model") {
    conversion.tokenizer_class = "XLMRobertaTokenizer";
  }
  conversion.do_lower_case = settings.flag("do_lower_case");
  conversion.keep_accents = settings.flag("keep_accents").value_or(false);
  const int64_t extra = settings.number("extra_ids", conversion.extra_ids);
  if (extra < 0 || extra > 10000) {
    throw_error(ErrorKind::bad_format, path.string(),
                "tokenizer_config.json says extra_ids {}, expected 0 to 10000", extra);
  }
  conversion.extra_ids = static_cast<int32_t>(extra);
  conversion.legacy = settings.flag("legacy").value_or(true);
  return sentencepiece_to_tokenizer_json(read_sentencepiece(bytes, path.string()), conversion,
                                         path.string());
}

constexpr const char* kSentencepieceNames[] = {"sentencepiece.bpe.model", "spiece.model",
                                               "tokenizer.model", "spm.model"};

}  // namespace

bool Tokenizer::has_older_form(const fs::path& folder) {
  const auto exists = [&](const char* name) {
    std::error_code error;
    return fs::exists(folder / name, error);
  };
  return exists("vocab.txt") ||
         std::any_of(std::begin(kSentencepieceNames), std::end(kSentencepieceNames), exists) ||
         (exists("vocab.json") && exists("merges.txt"));
}

std::unique_ptr<Tokenizer> Tokenizer::load_folder(const fs::path& folder) {
  const Settings settings(folder);
  TokenizerOverrides overrides;
  overrides.max_length = settings.max_length();
  overrides.hash = settings.hash();
  const auto exists = [&](std::string_view name) { return fs::exists(folder / name); };
  const auto read = [&](std::string_view name) {
    overrides.source = std::string(name);
    return read_file(folder / name, kMaxBytes);
  };
  const auto where = [&](std::string_view name) { return (folder / name).string(); };

  if (exists("tokenizer.json")) {
    if (is_bert_like(settings.tokenizer_class())) {
      overrides.lowercase = settings.flag("do_lower_case");
      overrides.strip_accents = settings.flag("strip_accents");
      overrides.handle_chinese_chars = settings.flag("tokenize_chinese_chars");
    }
    return make_pipeline(read("tokenizer.json"), where("tokenizer.json"), overrides);
  }
  if (exists("vocab.txt")) {
    const std::string json = wordpiece_json(read("vocab.txt"), settings, where("vocab.txt"));
    return make_pipeline(json, where("vocab.txt"), overrides);
  }
  for (const char* name : kSentencepieceNames) {
    if (!exists(name)) continue;
    const std::string json = sentencepiece_json(read(name), folder / name, settings);
    return make_pipeline(json, where(name), overrides);
  }
  if (exists("vocab.json") && exists("merges.txt")) {
    const std::string merges = read("merges.txt");
    const std::string json =
        byte_level_json(read("vocab.json"), merges, settings, where("vocab.json"));
    overrides.source = "vocab.json + merges.txt";
    return make_pipeline(json, where("vocab.json"), overrides);
  }
  throw_error(ErrorKind::not_found, folder.string(),
              "no tokenizer: looked for tokenizer.json, vocab.txt, sentencepiece.bpe.model, "
              "spiece.model, tokenizer.model, and vocab.json with merges.txt");
}

}  // namespace akin::text
