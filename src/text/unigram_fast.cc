#include "text/unigram_fast.h"

#include "text/pre_tokenizer.h"

namespace akin::text {
namespace {

constexpr std::string_view kMeta = "\xE2\x96\x81";

bool has_type(const JsonValue& json, std::string_view type) {
  return json.at("type").as_string() == type;
}

// Replace(Regex(" {2,}"), "▁"): runs of blanks become one mark.
bool is_collapse(const JsonValue& json) {
  if (!has_type(json, "Replace") || json.at("content").as_string() != kMeta) return false;
  const auto regex = json.at("pattern").find("Regex");
  return regex && regex->as_string() == " {2,}";
}

}  // namespace

bool UnigramFast::read_normalizer(const JsonValue& root) {
  const auto normalizer = root.find("normalizer");
  if (!normalizer) return true;
  std::vector<JsonValue> steps{*normalizer};
  if (has_type(*normalizer, "Sequence")) steps = normalizer->at("normalizers").items();
  if (!steps.empty() && !split_.whitespace && is_collapse(steps.back())) {
    split_.collapse_spaces = true;
    steps.pop_back();
  }
  normalizers_ = make_normalizers(steps);
  return true;
}

bool UnigramFast::read_pre_tokenizer(const JsonValue& root) {
  const auto pre_tokenizer = root.find("pre_tokenizer");
  if (!pre_tokenizer) return false;
  std::optional<JsonValue> metaspace = *pre_tokenizer;
  if (has_type(*pre_tokenizer, "Sequence")) {
    const auto items = pre_tokenizer->at("pretokenizers").items();
    if (items.size() != 2 || !has_type(items[0], "WhitespaceSplit")) return false;
    split_.whitespace = true;
    metaspace = items[1];
  }
  if (!has_type(*metaspace, "Metaspace")) return false;
  const MetaspaceOptions options = metaspace_options(*metaspace);
  using Prepend = MetaspaceOptions::Prepend;
  only_first_ = options.prepend == Prepend::first;
  split_.prepend = options.prepend == Prepend::always;
  return options.replacement == kMeta && options.split && !(only_first_ && split_.whitespace);
}

std::unique_ptr<UnigramFast> UnigramFast::make(const JsonValue& root, const Unigram& model) {
  std::unique_ptr<UnigramFast> fast(new UnigramFast(model));
  if (!fast->read_pre_tokenizer(root) || !fast->read_normalizer(root)) return nullptr;
  return fast;
}

bool UnigramFast::encode(std::string_view text, bool at_start, std::vector<int32_t>& ids) const {
  WordSplit split = split_;
  if (only_first_ && at_start) {
    // A printable ASCII character begins the normalized text as well; for others it takes spans.
    if (text.empty() || text[0] <= ' ' || text[0] > '~') return false;
    split.prepend = true;
  }
  if (normalizers_.empty()) {
    model_.encode_words(text, split, ids);
    return true;
  }
  struct Tag;
  NormalizedText& normalized = thread_scratch<Tag>(/*tracking=*/false);
  normalized.text = text;
  for (const auto& normalizer : normalizers_) normalizer->apply(normalized);
  model_.encode_words(normalized.text, split, ids);
  return true;
}

}  // namespace akin::text
