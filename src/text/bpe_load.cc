// BPE models from their files: the "model" object of tokenizer.json, and vocab.json + merges.txt.
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/bpe.h"

namespace akin::text {
namespace {

void read_vocab(const JsonValue& object, BpeVocab& vocab) {
  for (const auto [token, id] : object.as_object()) {
    int64_t number = 0;
    if (id.get(number) != simdjson::SUCCESS || number < 0 || number > 0x7FFFFFFF) {
      throw_error(ErrorKind::bad_format, object.where(), "the id of {} is not a token id",
                  quote(token));
    }
    vocab.tokens.emplace_back(token, static_cast<int32_t>(number));
  }
}

// "a b": exactly one space, as tokens hold none.
void add_merge(std::string_view line, const std::string& where, BpeVocab& vocab) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
    throw_error(ErrorKind::bad_format, where, "merge {} is {}, expected two tokens and one space",
                vocab.merges.size(), quote(line));
  }
  vocab.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
}

void read_merges(const JsonValue& list, BpeVocab& vocab) {
  const simdjson::dom::array items = list.as_array();
  vocab.merges.reserve(items.size());
  for (const simdjson::dom::element item : items) {
    std::string_view line, left, right;
    simdjson::dom::array pair;
    if (item.get(line) == simdjson::SUCCESS) {
      if (!line.starts_with("#version")) add_merge(line, list.where(), vocab);
    } else if (item.get(pair) == simdjson::SUCCESS && pair.size() == 2 &&
               pair.at(0).get(left) == simdjson::SUCCESS &&
               pair.at(1).get(right) == simdjson::SUCCESS) {
      vocab.merges.emplace_back(left, right);
    } else {
      throw_error(ErrorKind::bad_format, list.where(),
                  "merge {} is neither \"a b\" nor [\"a\", \"b\"]", vocab.merges.size());
    }
  }
}

}  // namespace

std::unique_ptr<SubwordModel> make_bpe(const JsonValue& model) {
  if (const auto dropout = model.find("dropout"); dropout && dropout->as_double() != 0) {
    throw_error(ErrorKind::unsupported, dropout->where(),
                "BPE dropout {} makes ids random; set it to null", dropout->as_double());
  }
  BpeOptions options;
  options.unk_token = model.get("unk_token", "");
  options.continuing_subword_prefix = model.get("continuing_subword_prefix", "");
  options.end_of_word_suffix = model.get("end_of_word_suffix", "");
  options.fuse_unk = model.get("fuse_unk", false);
  options.byte_fallback = model.get("byte_fallback", false);
  options.ignore_merges = model.get("ignore_merges", false);
  BpeVocab vocab;
  read_vocab(model.at("vocab"), vocab);
  read_merges(model.at("merges"), vocab);
  return make_bpe(vocab, options, model.where());
}

std::unique_ptr<SubwordModel> make_bpe_from_files(const std::filesystem::path& vocab_json,
                                                  const std::filesystem::path& merges_txt,
                                                  const BpeOptions& options) {
  const JsonDocument document = JsonDocument::load(vocab_json);
  const std::string merges = read_file(merges_txt, uint64_t{1} << 30);
  BpeVocab vocab;
  read_vocab(JsonValue(document), vocab);
  for (std::string_view rest = merges; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    add_merge(line, merges_txt.string(), vocab);
  }
  return make_bpe(vocab, options, vocab_json.string());
}

}  // namespace akin::text
