#include "text/decoder.h"

#include "base/error.h"
#include "text/byte_level.h"
#include "text/pattern.h"
#include "text/pre_tokenizer.h"
#include "text/utf8.h"

namespace akin::text {
namespace {

template <typename F>
class FunctionDecoder final : public Decoder {
 public:
  explicit FunctionDecoder(F f) : f_(std::move(f)) {}
  void apply(std::vector<std::string>& tokens) const override { f_(tokens); }

 private:
  F f_;
};

template <typename F>
std::unique_ptr<Decoder> from_function(F f) {
  return std::make_unique<FunctionDecoder<F>>(std::move(f));
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  std::string out;
  size_t copied = 0;
  for (size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + from.size())) {
    out.append(text, copied, at - copied).append(to);
    copied = at + from.size();
  }
  if (copied == 0) return;
  text = out.append(text, copied);
}

// Takes back the blanks that splitting at punctuation put in.
void clean_up(std::string& token) {
  static constexpr std::string_view kRules[][2] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
  };
  for (const auto& rule : kRules) replace_all(token, rule[0], rule[1]);
}

std::unique_ptr<Decoder> make_wordpiece(const JsonValue& json) {
  return from_function([prefix = json.get("prefix", "##"),
                        cleanup = json.get("cleanup", true)](std::vector<std::string>& tokens) {
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i != 0) {
        if (token.starts_with(prefix)) {
          token.erase(0, prefix.size());
        } else {
          token.insert(token.begin(), ' ');
        }
      }
      if (cleanup) clean_up(token);
    }
  });
}

std::unique_ptr<Decoder> make_metaspace(const JsonValue& json) {
  return from_function([options = metaspace_options(json)](std::vector<std::string>& tokens) {
    for (size_t i = 0; i < tokens.size(); ++i) {
      const bool drop = i == 0 && options.prepend != MetaspaceOptions::Prepend::never;
      replace_all(tokens[i], options.replacement, drop ? "" : " ");
    }
  });
}

void fuse(std::vector<std::string>& tokens) {
  std::string all;
  for (const std::string& token : tokens) all += token;
  tokens.assign(1, all);
}

void byte_level(std::vector<std::string>& tokens) {
  std::string bytes, text;
  for (const std::string& token : tokens) byte_level_decode(token, bytes);
  repair_utf8(bytes, text);
  tokens.assign(1, text);
}

// "<0x41>" -> 'A'; -1 for any other token.
int byte_of(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  int value = 0;
  for (const char c : token.substr(3, 2)) {
    const int lower = c | 0x20;
    if (c >= '0' && c <= '9') {
      value = value * 16 + (c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      value = value * 16 + (lower - 'a' + 10);
    } else {
      return -1;
    }
  }
  return value;
}

void byte_fallback(std::vector<std::string>& tokens) {
  std::vector<std::string> out;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    if (is_valid_utf8(bytes)) {
      out.push_back(bytes);
    } else {
      out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
    }
    bytes.clear();
  };
  for (std::string& token : tokens) {
    const int byte = byte_of(token);
    if (byte >= 0) {
      bytes.push_back(static_cast<char>(byte));
    } else {
      flush();
      out.push_back(std::move(token));
    }
  }
  flush();
  tokens = std::move(out);
}

std::unique_ptr<Decoder> make_strip(const JsonValue& json) {
  const auto count = [&](std::string_view key) {
    return static_cast<size_t>(std::max<int64_t>(0, json.get(key, 0)));
  };
  const std::string content = json.get("content", "");
  if (count_code_points(content) != 1) json.at("content").fail("one character");
  return from_function(
      [content, start = count("start"), stop = count("stop")](std::vector<std::string>& tokens) {
        for (std::string& token : tokens) {
          std::string_view view = token;
          for (size_t i = 0; i < start && view.starts_with(content); ++i) {
            view.remove_prefix(content.size());
          }
          for (size_t i = 0; i < stop && view.ends_with(content); ++i) {
            view.remove_suffix(content.size());
          }
          token = std::string(view);
        }
      });
}

std::unique_ptr<Decoder> make_replace(const JsonValue& json) {
  return from_function(
      [pattern = Pattern::from_json(json.at("pattern")),
       content = std::string(json.at("content").as_string())](std::vector<std::string>& tokens) {
        for (std::string& token : tokens) {
          std::string out;
          size_t copied = 0;
          pattern.for_each_match(token, [&](size_t begin, size_t end) {
            out.append(token, copied, begin - copied).append(content);
            copied = end;
          });
          token = out.append(token, copied);
        }
      });
}

std::unique_ptr<Decoder> make_bpe(const JsonValue& json) {
  return from_function([suffix = json.get("suffix", "</w>")](std::vector<std::string>& tokens) {
    for (size_t i = 0; i < tokens.size(); ++i) {
      replace_all(tokens[i], suffix, i + 1 == tokens.size() ? "" : " ");
    }
  });
}

std::unique_ptr<Decoder> make_sequence(const JsonValue& json) {
  std::vector<std::unique_ptr<Decoder>> parts;
  for (const JsonValue& item : json.at("decoders").items()) parts.push_back(make_decoder(item));
  return from_function([parts = std::move(parts)](std::vector<std::string>& tokens) {
    for (const auto& part : parts) part->apply(tokens);
  });
}

}  // namespace

std::unique_ptr<Decoder> make_decoder(const JsonValue& json) {
  const std::string_view type = json.at("type").as_string();
  if (type == "Sequence") return make_sequence(json);
  if (type == "WordPiece") return make_wordpiece(json);
  if (type == "Metaspace") return make_metaspace(json);
  if (type == "ByteLevel") return from_function(byte_level);
  if (type == "ByteFallback") return from_function(byte_fallback);
  if (type == "Fuse") return from_function(fuse);
  if (type == "Strip") return make_strip(json);
  if (type == "Replace") return make_replace(json);
  if (type == "BPEDecoder") return make_bpe(json);
  throw_error(ErrorKind::unsupported, json.where(), "unknown decoder type {}", quote(type));
}

}  // namespace akin::text
