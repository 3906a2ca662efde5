#include "base/options.h"

#include <gtest/gtest.h>

#include <array>

namespace akin {
namespace {

enum class Fruit : uint8_t { apple, pear };
std::span<const std::string_view> choices(Fruit) {
  static constexpr std::string_view kWords[] = {"apple", "pear"};
  return kWords;
}

struct Options {
  std::string name = "x";
  size_t max_tokens = 8;
  double rate = 0.5;
  bool json = false;
  bool normalize = true;
  Fruit fruit = Fruit::apple;
  std::optional<Fruit> other;
  std::vector<std::string> field, text, inputs;
  std::optional<std::string> prompt;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("name=NAME", name, "a name");
    v("max-tokens=N", max_tokens, "a limit");
    v("rate=R", rate, "a rate");
    v("json", json, "a switch");
    v("[no-]normalize", normalize, "a switch that is on");
    v("fruit=FRUIT", fruit, "a choice");
    v("other=FRUIT", other, "a choice that may be absent");
    v("field=NAME", field, "split at commas");
    v("text=TEXT...", text, "not split");
    v("+inputs=FILE", inputs, "positional");
    v("prompt=TEXT", prompt, "may be absent");
  }
};

const OptionField& find(const std::vector<OptionField>& fields, std::string_view name) {
  for (const auto& field : fields) {
    if (field.name == name) return field;
  }
  throw std::out_of_range(std::string(name));
}

void set(const std::vector<OptionField>& fields, std::string_view name,
         std::vector<std::string> values) {
  find(fields, name).set(values);
}

TEST(Options, FieldsKnowTheirNamesAndDefaults) {
  Options options;
  const auto fields = describe_options(options);
  ASSERT_EQ(fields.size(), 11U);
  EXPECT_EQ(find(fields, "max-tokens").flag(), "--max-tokens");
  EXPECT_EQ(find(fields, "max-tokens").environment(), "AKIN_MAX_TOKENS");
  EXPECT_EQ(find(fields, "max-tokens").default_text, "8");
  EXPECT_EQ(find(fields, "normalize").default_text, "on");
  EXPECT_TRUE(find(fields, "normalize").negatable);
  EXPECT_TRUE(find(fields, "json").is_switch());
  EXPECT_TRUE(find(fields, "inputs").positional);
  EXPECT_EQ(find(fields, "inputs").environment(), "");
  for (const char* name : {"fruit", "other"}) EXPECT_EQ(find(fields, name).choices.size(), 2U);
  EXPECT_EQ(find(fields, "other").default_text, "");
}

TEST(Options, ValuesAreReadIntoTheStruct) {
  Options options;
  const auto fields = describe_options(options);
  set(fields, "name", {"first", "last"});
  set(fields, "max-tokens", {"12"});
  set(fields, "rate", {"-1.5e3"});
  set(fields, "json", {"true"});
  set(fields, "normalize", {"off"});
  set(fields, "fruit", {"pear"});
  set(fields, "field", {"a,b", "c"});
  set(fields, "text", {"a,b", "c"});
  set(fields, "inputs", {"file,with,commas"});
  set(fields, "prompt", {""});
  EXPECT_EQ(options.name, "last");
  EXPECT_EQ(options.max_tokens, 12U);
  EXPECT_EQ(options.rate, -1500);
  EXPECT_TRUE(options.json);
  EXPECT_FALSE(options.normalize);
  EXPECT_EQ(options.fruit, Fruit::pear);
  EXPECT_EQ(options.field, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(options.text, (std::vector<std::string>{"a,b", "c"}));
  EXPECT_EQ(options.inputs, (std::vector<std::string>{"file,with,commas"}));
  EXPECT_EQ(options.prompt, "");
}

TEST(Options, WrongValuesNameTheFlag) {
  Options options;
  const auto fields = describe_options(options);
  const std::pair<const char*, const char*> wrong[] = {{"max-tokens", "-1"},
                                                       {"max-tokens", ""},
                                                       {"max-tokens", "1 "},
                                                       {"max-tokens", "0x10"},
                                                       {"max-tokens", "99999999999999999999"},
                                                       {"rate", "inf"},
                                                       {"rate", "nan"},
                                                       {"rate", "1,5"},
                                                       {"json", "maybe"},
                                                       {"fruit", "plum"}};
  for (const auto& [name, value] : wrong) {
    try {
      set(fields, name, {value});
      ADD_FAILURE() << name << "=" << value;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_EQ(error.where(), std::string("--") + name);
    }
  }
}

TEST(Options, RecordHoldsEveryFieldInOrder) {
  Options options;
  const auto fields = describe_options(options);
  options.field = {"a"};
  EXPECT_EQ(
      options_record(fields).dump(),
      R"({"name":"x","max-tokens":8,"rate":0.5,"json":false,"normalize":true,"fruit":"apple","other":null,"field":["a"],"text":[],"inputs":[],"prompt":null})");
}

}  // namespace
}  // namespace akin
