#include "text/post_processor.h"

#include "base/error.h"

namespace akin::text {
namespace {

int32_t token_id(const JsonValue& json) {
  const int64_t id = json.as_int();
  if (id < 0 || id > INT32_MAX) json.fail("a token id");
  return static_cast<int32_t>(id);
}

// ["[SEP]", 102]
int32_t pair_id(const JsonValue& json) {
  const auto items = json.items();
  if (items.size() != 2) json.fail("a token and its id");
  return token_id(items[1]);
}

void read_template(const JsonValue& json, PostProcessor& out) {
  std::vector<int32_t> prefix, suffix;
  bool behind_text = false;
  for (const JsonValue& item : json.at("single").items()) {
    if (const auto sequence = item.find("Sequence")) {
      if (behind_text) {
        throw_error(ErrorKind::unsupported, item.where(), "a template that repeats the text");
      }
      if (sequence->at("id").as_string() != "A") sequence->at("id").fail("\"A\" in a single text");
      behind_text = true;
      continue;
    }
    const JsonValue name = item.at("SpecialToken").at("id");
    const JsonValue special = json.at("special_tokens").at(name.as_string());
    for (const JsonValue& id : special.at("ids").items()) {
      (behind_text ? suffix : prefix).push_back(token_id(id));
    }
  }
  if (!behind_text) {
    throw_error(ErrorKind::unsupported, json.where(), "a template without the text in it");
  }
  out.prefix.insert(out.prefix.begin(), prefix.begin(), prefix.end());
  out.suffix.insert(out.suffix.end(), suffix.begin(), suffix.end());
}

void read_into(const JsonValue& json, PostProcessor& out, int depth) {
  if (depth > 8) throw_error(ErrorKind::unsupported, json.where(), "sequences this deep");
  const std::string_view type = json.at("type").as_string();
  if (type == "Sequence") {
    for (const JsonValue& item : json.at("processors").items()) read_into(item, out, depth + 1);
  } else if (type == "TemplateProcessing") {
    read_template(json, out);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    out.prefix.insert(out.prefix.begin(), pair_id(json.at("cls")));
    out.suffix.push_back(pair_id(json.at("sep")));
    if (type == "RobertaProcessing") {
      out.trim_offsets = json.get("trim_offsets", true);
      out.add_prefix_space = json.get("add_prefix_space", true);
    }
  } else if (type == "ByteLevel") {
    out.trim_offsets = json.get("trim_offsets", true);
    out.add_prefix_space = json.get("add_prefix_space", true);
  } else {
    throw_error(ErrorKind::unsupported, json.where(), "unknown post-processor type {}",
                quote(type));
  }
}

}  // namespace

PostProcessor make_post_processor(const JsonValue& json) {
  PostProcessor out;
  read_into(json, out, 0);
  return out;
}

}  // namespace akin::text
