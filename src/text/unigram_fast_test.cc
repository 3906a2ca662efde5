// The fused pass (encode) against the general pipeline (encode_with_offsets), on random text, for
// the forms of tokenizer.json it takes and some that it must leave to the general one.
#include "text/unigram_fast.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "text/tokenizer.h"

namespace akin::text {
namespace {

const std::string kMeta = "\xE2\x96\x81";

std::string document(const std::string& normalizer, const std::string& pre_tokenizer) {
  return R"({"version":"1.0","added_tokens":[],"normalizer":)" + normalizer +
         R"(,"pre_tokenizer":)" + pre_tokenizer + R"(,"model":{"type":"Unigram","unk_id":0,"vocab":[
           ["<unk>",0],["▁",-3],["a",-2],["b",-2.5],["▁a",-2.2],["ab",-3],["▁ab",-3.1],["c",-4],
           ["é",-4.5],["bc▁",-1],["▁▁",-9],["\t",-5]]}})";
}

std::string metaspace(const std::string& rest) {
  return R"({"type":"Metaspace","replacement":"▁",)" + rest + "}";
}

const std::string kStrip = R"({"type":"Strip","strip_left":false,"strip_right":true})";
const std::string kReplace = R"({"type":"Replace","pattern":{"Regex":" {2,}"},"content":"▁"})";
const std::string kReplaceBySpace =
    R"({"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "})";
std::string sequence(const std::string& steps) {
  return R"({"type":"Sequence","normalizers":[)" + steps + "]}";
}
std::string words(const std::string& step) {
  return R"({"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},)" + step + "]}";
}

TEST(UnigramFast, EqualsTheGeneralPipeline) {
  const std::string always = metaspace(R"("prepend_scheme":"always","split":true)");
  const std::string old = metaspace(R"("str_rep":"▁","add_prefix_space":true)");
  const std::string first = metaspace(R"("prepend_scheme":"first","split":true)");
  const std::string never = metaspace(R"("prepend_scheme":"never","split":true)");
  const std::vector<std::string> documents = {
      document("null", always),
      document("null", words(old)),
      document("null", words(never)),
      document(sequence(kStrip + "," + kReplace), always),
      document(sequence(kStrip + "," + kReplace), first),
      document(sequence(kReplaceBySpace), never),
      document(sequence(kReplaceBySpace), words(always)),
      document(kStrip, always),
      document(kReplace, words(always)),
      document(sequence(kReplace + "," + kStrip), always),
      document("null", metaspace(R"("prepend_scheme":"always","split":false)")),
      document("null", words(first)),
      document("null", R"({"type":"Metaspace","replacement":"_","split":true})"),
  };
  const std::vector<std::string> parts = {"a",  "ab", "c",   "\xC3\xA9",     " ",       "  ", "   ",
                                          "\t", "x",  kMeta, "\xE3\x80\x80", "\xC2\x85"};
  Rng rng(21);
  for (const std::string& json : documents) {
    const auto tokenizer = Tokenizer::from_json(json, "tokenizer.json");
    for (int round = 0; round < 500; ++round) {
      std::string text;
      for (size_t n = rng.below(8); n-- > 0;) text += parts[rng.below(parts.size())];
      std::vector<int32_t> got;
      tokenizer->encode(text, false, got);
      ASSERT_EQ(got, tokenizer->encode_with_offsets(text, false).ids) << json << "\n" << text;
    }
  }
}

}  // namespace
}  // namespace akin::text
