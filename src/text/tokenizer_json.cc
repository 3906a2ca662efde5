#include "text/tokenizer_json.h"

#include "base/error.h"
#include "base/hash.h"
#include "text/wordpiece.h"

namespace akin::text {
namespace {

// Files of old releases leave the type out.
std::string_view model_type(const JsonValue& model) {
  if (const auto type = model.find("type")) return type->as_string();
  if (model.find("merges")) return "BPE";
  return model.at("vocab").is_array() ? "Unigram" : "WordPiece";
}

std::unique_ptr<SubwordModel> make_model(const JsonValue& model) {
  const std::string_view type = model_type(model);
  if (type == "WordPiece") return make_wordpiece(model);
  if (type == "Unigram") return make_unigram(model);
  if (type == "BPE") return make_bpe(model);
  throw_error(ErrorKind::unsupported, model.where(),
              "model type {}; WordPiece, Unigram and BPE are known", quote(type));
}

bool has_type(const std::optional<JsonValue>& json, std::string_view type) {
  return json && json->at("type").as_string() == type;
}

size_t sane_length(int64_t length) {
  return length > 0 && length <= 1000000000 ? static_cast<size_t>(length) : 0;
}

void make_normalizer_and_fast(const JsonValue& root, const TokenizerOverrides& overrides,
                              PipelineParts& parts) {
  const auto normalizer = root.find("normalizer");
  if (!has_type(normalizer, "BertNormalizer")) {
    if (normalizer) parts.normalizer = make_normalizer(*normalizer);
    return;
  }
  BertNormalizerOptions options = bert_normalizer_options(*normalizer);
  if (overrides.lowercase) options.lowercase = *overrides.lowercase;
  if (overrides.handle_chinese_chars) {
    options.handle_chinese_chars = *overrides.handle_chinese_chars;
  }
  const auto strip = normalizer->find("strip_accents");
  options.strip_accents =
      overrides.strip_accents.value_or(strip ? strip->as_bool() : options.lowercase);
  parts.normalizer = make_bert_normalizer(options);
  if (parts.model->type() == "WordPiece" &&
      has_type(root.find("pre_tokenizer"), "BertPreTokenizer")) {
    parts.bert_fast =
        std::make_unique<BertFast>(static_cast<const WordPiece&>(*parts.model), options);
  }
}

}  // namespace

std::unique_ptr<Pipeline> make_pipeline(std::string_view json, const std::string& where,
                                        const TokenizerOverrides& overrides) {
  const JsonDocument document = JsonDocument::parse(json, where);
  const JsonValue root(document);
  const std::string version = root.get("version", "1.0");
  if (version != "1.0") {
    throw_error(ErrorKind::unsupported, where, "version {}, only 1.0 is known", quote(version));
  }
  PipelineParts parts;
  parts.model = make_model(root.at("model"));
  make_normalizer_and_fast(root, overrides, parts);
  if (const auto value = root.find("pre_tokenizer")) {
    parts.pre_tokenizer = make_pre_tokenizer(*value);
  }
  if (const auto value = root.find("decoder")) parts.decoder = make_decoder(*value);
  if (const auto value = root.find("post_processor")) {
    parts.post_processor = make_post_processor(*value);
  }
  if (const auto value = root.find("added_tokens")) {
    parts.added = AddedTokens(value->items(), *parts.model, parts.normalizer.get(), value->where());
  }
  if (parts.model->type() == "Unigram") {
    parts.unigram_fast = UnigramFast::make(root, static_cast<const Unigram&>(*parts.model));
  }
  // Some added tokens are found in the normalized text, which the fused paths do not show.
  if (parts.added.has_normalized()) {
    parts.bert_fast.reset();
    parts.unigram_fast.reset();
  }
  if (const auto truncation = root.find("truncation")) {
    parts.max_length = sane_length(truncation->get("max_length", 0));
  }
  if (overrides.max_length && sane_length(static_cast<int64_t>(*overrides.max_length)) != 0) {
    parts.max_length = *overrides.max_length;
  }
  parts.source = overrides.source;
  parts.hash = hash64(json, overrides.hash);
  return std::make_unique<Pipeline>(std::move(parts), where);
}

std::unique_ptr<Tokenizer> Tokenizer::from_json(std::string_view json, const std::string& where) {
  return make_pipeline(json, where, {});
}

}  // namespace akin::text
