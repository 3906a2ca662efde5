// Decoders and post-processors.
#include "text/decoder.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/post_processor.h"

namespace akin::text {
namespace {

std::string decoded(std::string_view json, std::vector<std::string> tokens) {
  const JsonDocument document = JsonDocument::parse(json, "test");
  make_decoder(JsonValue(document))->apply(tokens);
  std::string out;
  for (const auto& token : tokens) out += token;
  return out;
}

TEST(Decoder, WordPiece) {
  EXPECT_EQ(decoded(R"({"type":"WordPiece"})", {"un", "##want", "##ed", ",", "run", "!"}),
            "unwanted, run!");
  EXPECT_EQ(decoded(R"({"type":"WordPiece","cleanup":false})", {"a", ","}), "a ,");
}

TEST(Decoder, Others) {
  EXPECT_EQ(decoded(R"({"type":"Metaspace"})", {"▁Hey", "▁you", "r"}), "Hey your");
  EXPECT_EQ(decoded(R"({"type":"Metaspace","prepend_scheme":"never"})", {"▁Hey"}), " Hey");
  EXPECT_EQ(decoded(R"({"type":"ByteLevel"})", {"Hello", "ĠÃ", "©"}), "Hello é");
  EXPECT_EQ(decoded(R"({"type":"ByteLevel"})", {"Ã"}), "\uFFFD");
  EXPECT_EQ(decoded(R"({"type":"ByteFallback"})", {"a", "<0xE4>", "<0xB8>", "<0xAD>"}), "a中");
  EXPECT_EQ(decoded(R"({"type":"ByteFallback"})", {"<0xE4>", "<0xB8>", "x"}), "\uFFFD\uFFFDx");
  EXPECT_EQ(decoded(R"({"type":"Sequence","decoders":[
      {"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},
      {"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]})",
                    {"▁Hey", "▁you", "<0x21>"}),
            "Hey you!");
  EXPECT_EQ(decoded(R"({"type":"BPEDecoder"})", {"a</w>", "b</w>"}), "a b");
  EXPECT_EQ(decoded(R"({"type":"Strip","content":"_","start":1,"stop":5})", {"__a__", ""}), "_a");
  EXPECT_THROW(decoded(R"({"type":"CTC"})", {}), Error);
}

PostProcessor read(std::string_view json) {
  const JsonDocument document = JsonDocument::parse(json, "test");
  return make_post_processor(JsonValue(document));
}
using Ids = std::vector<int32_t>;

TEST(PostProcessor, PrefixAndSuffix) {
  const PostProcessor t = read(R"({"type":"TemplateProcessing","single":[
      {"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
      {"SpecialToken":{"id":"[SEP]","type_id":0}},{"SpecialToken":{"id":"en","type_id":0}}],
      "special_tokens":{"[CLS]":{"id":"[CLS]","ids":[101],"tokens":["[CLS]"]},
      "[SEP]":{"id":"[SEP]","ids":[102],"tokens":["[SEP]"]},"en":{"id":"en","ids":[7,8]}}})");
  EXPECT_EQ(t.prefix, (Ids{101}));
  EXPECT_EQ(t.suffix, (Ids{102, 7, 8}));
  const PostProcessor r = read(R"({"type":"RobertaProcessing","sep":["</s>",2],"cls":["<s>",0],
               "trim_offsets":true,"add_prefix_space":false})");
  EXPECT_EQ(r.prefix, (Ids{0}));
  EXPECT_EQ(r.suffix, (Ids{2}));
  EXPECT_TRUE(r.trim_offsets);
  const PostProcessor s = read(R"({"type":"Sequence","processors":[{"type":"ByteLevel",
      "trim_offsets":false},{"type":"BertProcessing","sep":["b",2],"cls":["a",1]}]})");
  EXPECT_EQ(s.prefix, (Ids{1}));
  EXPECT_FALSE(s.trim_offsets);
}

TEST(PostProcessor, SaysWhatIsWrong) {
  EXPECT_THROW(read(R"({"type":"Nothing"})"), Error);
  EXPECT_THROW(read(R"({"type":"BertProcessing","sep":["b"],"cls":["a",1]})"), Error);
  EXPECT_THROW(read(R"({"type":"BertProcessing","sep":["b",-2],"cls":["a",1]})"), Error);
  EXPECT_THROW(read(R"({"type":"TemplateProcessing","single":[],"special_tokens":{}})"), Error);
  EXPECT_THROW(read(R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x"}},
                        {"Sequence":{"id":"A"}}],"special_tokens":{}})"),
               Error);
}

}  // namespace
}  // namespace akin::text
