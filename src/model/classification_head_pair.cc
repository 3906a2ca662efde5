// Where the special tokens of a pair stand. tokenizer.json says it in its post-processor (Hugging
// Face tokenizers, processors/); older folders do not, and go by their family's custom:
// [CLS] A [SEP] B [SEP] with types 0 and 1 (BERT), <s> A </s> </s> B </s> with one type (RoBERTa).
#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "model/classification_head.h"

namespace akin::model {
namespace {

using Run = PairLayout::Run;

constexpr uint64_t kMaxTokenizerBytes = uint64_t{256} << 20;

void put(Run& run, std::span<const int32_t> ids, uint8_t type) {
  run.ids.insert(run.ids.end(), ids.begin(), ids.end());
  run.types.insert(run.types.end(), ids.size(), type);
}

uint8_t type_id(const JsonValue& item) {
  const int64_t type = item.get("type_id", 0);
  if (type < 0 || type > 255) item.fail("a type_id in [0, 255]");
  return static_cast<uint8_t>(type);
}

std::vector<int32_t> special_ids(const JsonValue& processor, std::string_view name) {
  std::vector<int32_t> ids;
  for (const JsonValue& id : processor.at("special_tokens").at(name).at("ids").items()) {
    if (id.as_int() < 0 || id.as_int() > INT32_MAX) id.fail("a token id");
    ids.push_back(static_cast<int32_t>(id.as_int()));
  }
  return ids;
}

bool read_template(const JsonValue& processor, PairLayout& out) {
  const auto pair = processor.find("pair");
  if (!pair) return false;
  size_t texts = 0;
  for (const JsonValue& item : pair->items()) {
    if (const auto sequence = item.find("Sequence")) {
      const std::string_view expected = texts == 0 ? "A" : "B";
      if (texts > 1 || sequence->at("id").as_string() != expected) {
        throw_error(ErrorKind::unsupported, item.where(), "a pair template that is not A, then B");
      }
      (texts++ == 0 ? out.first_type : out.second_type) = type_id(*sequence);
      continue;
    }
    const JsonValue special = item.at("SpecialToken");
    Run& run = texts == 0 ? out.before : texts == 1 ? out.between : out.after;
    put(run, special_ids(processor, special.at("id").as_string()), type_id(special));
  }
  if (texts != 2) {
    throw_error(ErrorKind::unsupported, pair->where(), "a pair template without A and B");
  }
  return true;
}

// [CLS] A [SEP] B [SEP]; `doubled`: RoBERTa's two separators and one type.
void by_custom(std::span<const int32_t> prefix, std::span<const int32_t> suffix, bool doubled,
               PairLayout& out) {
  put(out.before, prefix, 0);
  put(out.between, suffix, 0);
  if (doubled) put(out.between, suffix, 0);
  out.second_type = doubled ? 0 : 1;
  put(out.after, suffix, out.second_type);
}

bool read_processor(const JsonValue& processor, const text::Tokenizer& tokenizer, PairLayout& out,
                    int depth) {
  const std::string_view type = processor.at("type").as_string();
  if (type == "TemplateProcessing") return read_template(processor, out);
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    by_custom(tokenizer.prefix_ids(), tokenizer.suffix_ids(), type == "RobertaProcessing", out);
    return true;
  }
  if (type != "Sequence" || depth > 8) return false;
  for (const JsonValue& item : processor.at("processors").items()) {
    if (read_processor(item, tokenizer, out, depth + 1)) return true;
  }
  return false;
}

void check(const Model& model, PairLayout& layout) {
  for (Run* run : {&layout.before, &layout.between, &layout.after}) {
    for (const int32_t id : run->ids) {
      if (id >= model.arch.vocab_size) {
        throw_error(ErrorKind::bad_format, model.folder.string(),
                    "the pair template has token {}, the embedding table {} rows", id,
                    model.arch.vocab_size);
      }
    }
    for (uint8_t& type : run->types) type = type < model.arch.type_vocab ? type : 0;
  }
  if (layout.first_type >= model.arch.type_vocab) layout.first_type = 0;
  if (layout.second_type >= model.arch.type_vocab) layout.second_type = 0;
  if (model.max_tokens != 0 && layout.special() + 2 > model.max_tokens) {
    throw_error(ErrorKind::bad_format, model.folder.string(),
                "texts are limited to {} tokens, {} of which are special in a pair",
                model.max_tokens, layout.special());
  }
}

}  // namespace

PairLayout read_pair_layout(const Model& model) {
  PairLayout layout;
  bool found = false;
  const std::filesystem::path path = model.folder / "tokenizer.json";
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) {
    const JsonDocument document = JsonDocument::load(path, kMaxTokenizerBytes);
    const auto processor = JsonValue(document).find("post_processor");
    found = processor && read_processor(*processor, *model.tokenizer, layout, 0);
  }
  if (!found) {
    const std::string& family = model.arch.family;
    by_custom(model.tokenizer->prefix_ids(), model.tokenizer->suffix_ids(),
              family == "roberta" || family == "mpnet", layout);
  }
  check(model, layout);
  return layout;
}

}  // namespace akin::model
