// Text from outside: a few fixed tokenizers, any bytes. The fused path equals the general one,
// offsets stay inside the text, ids inside the vocabulary.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "text/test_text.h"
#include "text/tokenizer_json.h"

namespace {

using akin::text::Pipeline;

constexpr const char* kUnigram = R"({"added_tokens":[{"content":"<s>","special":true,
  "normalized":false},{"content":"<mask>","special":true,"lstrip":true,"normalized":true}],
  "normalizer":{"type":"Sequence","normalizers":[{"type":"Nmt"},{"type":"NFKC"},{"type":"Replace",
  "pattern":{"Regex":" {2,}"},"content":" "}]},"pre_tokenizer":{"type":"Metaspace"},
  "decoder":{"type":"Metaspace"},"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],
  ["▁",-2],["a",-3],["b",-3],["ab",-3.5],["▁a",-4],["中",-5],["▁hello",-6]]}})";
constexpr const char* kBpe = R"({"pre_tokenizer":{"type":"Sequence","pretokenizers":[
  {"type":"Split","pattern":{"Regex":"(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
  "behavior":"Isolated"},{"type":"ByteLevel","add_prefix_space":true,"use_regex":false}]},
  "post_processor":{"type":"RobertaProcessing","sep":["b",1],"cls":["a",0]},
  "decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0,"b":1,"Ġ":2,"Ġa":3,"ab":4},
  "merges":["Ġ a","a b"]}})";

const Pipeline& tokenizer(size_t i) {
  static const std::unique_ptr<Pipeline> all[] = {
      akin::text::make_pipeline(akin::text::wordpiece_json(""), "fuzz", {}),
      akin::text::make_pipeline(akin::text::wordpiece_json(R"(,"lowercase":false)"), "fuzz", {}),
      akin::text::make_pipeline(akin::text::wordpiece_json(R"(,"clean_text":false)"), "fuzz", {}),
      akin::text::make_pipeline(
          akin::text::wordpiece_json("", R"({"content":"new","normalized":true},)"), "fuzz", {}),
      akin::text::make_pipeline(kUnigram, "fuzz", {}),
      akin::text::make_pipeline(kBpe, "fuzz", {}),
  };
  return *all[i % std::size(all)];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const Pipeline& t = tokenizer(data[0]);
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  std::vector<int32_t> ids;
  t.encode(text, false, ids, nullptr);
  const auto encoding = t.encode_with_offsets(text, false);
  if (encoding.ids != ids) __builtin_trap();
  for (size_t i = 0; i < ids.size(); ++i) {
    if (encoding.begin[i] > encoding.end[i] || encoding.end[i] > text.size()) __builtin_trap();
    if (static_cast<size_t>(ids[i]) >= t.vocab_size()) __builtin_trap();
  }
  t.decode(ids, true);
  return 0;
}
