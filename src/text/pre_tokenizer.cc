#include "text/pre_tokenizer.h"

#include "base/error.h"
#include "text/byte_level.h"
#include "text/pattern.h"
#include "text/unicode.h"

namespace akin::text {
namespace {

template <typename F>
class FunctionPreTokenizer final : public PreTokenizer {
 public:
  FunctionPreTokenizer(bool needs_spans, F f) : needs_spans_(needs_spans), f_(std::move(f)) {}
  void apply(SplitText& split) const override { f_(split); }
  bool needs_spans() const override { return needs_spans_; }

 private:
  bool needs_spans_;
  F f_;
};

template <typename F>
std::unique_ptr<PreTokenizer> from_function(F f, bool needs_spans = false) {
  return std::make_unique<FunctionPreTokenizer<F>>(needs_spans, std::move(f));
}

// Cuts at every character of a class.
template <typename IsMatch>
std::unique_ptr<PreTokenizer> at_characters(SplitBehavior behavior, IsMatch is_match) {
  return from_function([behavior, is_match](SplitText& split) {
    cut_pieces(split, behavior, [&](std::string_view piece, std::vector<Stretch>& stretches) {
      match_characters(piece, stretches, is_match);
    });
  });
}

std::unique_ptr<PreTokenizer> make_bert() {
  return from_function([](SplitText& split) {
    cut_pieces(split, SplitBehavior::removed,
               [](std::string_view piece, std::vector<Stretch>& stretches) {
                 match_characters(piece, stretches, is_white_space);
               });
    cut_pieces(split, SplitBehavior::isolated,
               [](std::string_view piece, std::vector<Stretch>& stretches) {
                 match_characters(piece, stretches, is_punctuation);
               });
  });
}

// \w+|[^\w\s]+
void find_words(std::string_view piece, std::vector<Stretch>& stretches) {
  const char* const base = piece.data();
  const char* const end = base + piece.size();
  enum class Kind : uint8_t { none, space, word, other };
  Kind open_kind = Kind::none;
  uint32_t open = 0;
  for (const char* p = base; p < end;) {
    const auto at = static_cast<uint32_t>(p - base);
    const char32_t c = next_code_point(p);
    const Kind kind = is_word_character(c) ? Kind::word
                      : is_white_space(c)  ? Kind::space
                                           : Kind::other;
    if (kind == open_kind) continue;
    if (open_kind != Kind::none) stretches.push_back({open, at, open_kind == Kind::space});
    open = at;
    open_kind = kind;
  }
  if (open < piece.size()) {
    stretches.push_back({open, static_cast<uint32_t>(piece.size()), open_kind == Kind::space});
  }
}

std::unique_ptr<PreTokenizer> make_split(const JsonValue& json) {
  const bool invert = json.get("invert", false);
  const SplitBehavior behavior = split_behavior(json.at("behavior"));
  return from_function(
      [invert, behavior, pattern = Pattern::from_json(json.at("pattern"))](SplitText& split) {
        cut_pieces(split, behavior, [&](std::string_view piece, std::vector<Stretch>& stretches) {
          uint32_t open = 0;
          pattern.for_each_match(piece, [&](size_t begin, size_t end) {
            const auto b = static_cast<uint32_t>(begin), e = static_cast<uint32_t>(end);
            if (open < b) stretches.push_back({open, b, invert});
            stretches.push_back({b, e, !invert});
            open = e;
          });
          const auto size = static_cast<uint32_t>(piece.size());
          if (open < size) stretches.push_back({open, size, invert});
        });
      });
}

// Rewrites the text of every open piece: f(out, piece) appends the new text and pushes the pieces
// it falls into.
template <typename F>
void rewrite_pieces(SplitText& split, F&& f) {
  struct Tag;
  NormalizedText& text = thread_scratch<Tag>(split.text.tracking);
  static thread_local std::vector<Piece> pieces;
  pieces.clear();
  for (const Piece& piece : split.pieces) {
    if (piece.id >= 0) {
      const auto begin = static_cast<uint32_t>(text.text.size());
      text.append_from(split.text, piece.begin, piece.end);
      Piece moved = piece;
      moved.begin = begin;
      moved.end = static_cast<uint32_t>(text.text.size());
      pieces.push_back(moved);
    } else {
      f(text, pieces, piece);
    }
  }
  split.text.become(text);
  std::swap(split.pieces, pieces);
  if (pieces.capacity() > 1U << 16) pieces = {};
}

void metaspace(SplitText& split, const MetaspaceOptions& options) {
  rewrite_pieces(split, [&](NormalizedText& out, std::vector<Piece>& pieces, Piece piece) {
    const std::string_view text = split.view(piece);
    const std::string& mark = options.replacement;
    auto open = static_cast<uint32_t>(out.text.size());
    const auto close = [&](uint32_t end) {
      if (end == open) return;
      pieces.push_back({open, end, -1, {}, piece.at_start});
      piece.at_start = false;
      open = end;
    };
    const auto add_mark = [&](Span span) {
      if (options.split) close(static_cast<uint32_t>(out.text.size()));
      out.append(mark, span);
    };
    const bool wanted =
        options.prepend == MetaspaceOptions::Prepend::always ||
        (options.prepend == MetaspaceOptions::Prepend::first && split.begins_original(piece));
    if (wanted && !text.starts_with(' ') && !text.starts_with(mark)) {
      add_mark(split.text.span_at(piece.begin));
    }
    for (size_t i = 0; i < text.size();) {
      if (text[i] == ' ') {
        add_mark(split.text.span_at(piece.begin + i));
        ++i;
      } else if (text[i] == mark[0] && text.substr(i).starts_with(mark)) {
        add_mark(split.text.span_at(piece.begin + i));
        i += mark.size();
      } else {
        size_t end = i + 1;
        while (end < text.size() && text[end] != ' ' && text[end] != mark[0]) ++end;
        out.append_from(split.text, piece.begin + i, piece.begin + end);
        i = end;
      }
    }
    close(static_cast<uint32_t>(out.text.size()));
  });
}

struct ByteLevelOptions {
  bool add_prefix_space, use_regex;
};

void byte_level(SplitText& split, const ByteLevelOptions& options) {
  static thread_local std::string prefixed;
  static thread_local std::vector<uint32_t> offsets;
  rewrite_pieces(split, [&](NormalizedText& out, std::vector<Piece>& pieces, const Piece& piece) {
    std::string_view text = split.view(piece);
    const bool prefix = options.add_prefix_space && !text.starts_with(' ');
    if (prefix) {
      prefixed.assign(" ").append(text);
      text = prefixed;
    }
    for (size_t pos = 0; pos < text.size();) {
      const size_t end = options.use_regex ? byte_level_next(text, pos) : text.size();
      const auto begin = static_cast<uint32_t>(out.text.size());
      offsets.clear();
      byte_level_encode(text.substr(pos, end - pos), out.text, out.tracking ? &offsets : nullptr);
      for (const uint32_t offset : offsets) {
        const size_t at = pos + offset;
        out.spans.push_back(
            split.text.span_at(piece.begin + (prefix ? at - (at > 0 ? 1 : 0) : at)));
      }
      pieces.push_back({begin, static_cast<uint32_t>(out.text.size()), -1, {}, piece.at_start});
      pos = end;
    }
  });
  if (prefixed.capacity() > 1U << 20) prefixed = {};
  if (offsets.capacity() > 1U << 20) offsets = {};
}

std::unique_ptr<PreTokenizer> make_sequence(const JsonValue& json) {
  std::vector<std::unique_ptr<PreTokenizer>> parts;
  bool needs_spans = false;
  for (const JsonValue& item : json.at("pretokenizers").items()) {
    parts.push_back(make_pre_tokenizer(item));
    needs_spans |= parts.back()->needs_spans();
  }
  return from_function(
      [parts = std::move(parts)](SplitText& split) {
        for (const auto& part : parts) part->apply(split);
      },
      needs_spans);
}

}  // namespace

MetaspaceOptions metaspace_options(const JsonValue& json) {
  MetaspaceOptions options;
  options.replacement = json.get("replacement", options.replacement);
  if (count_code_points(options.replacement) != 1) {
    throw_error(ErrorKind::bad_format, json.where(), "replacement is {}, expected one character",
                quote(options.replacement));
  }
  using Prepend = MetaspaceOptions::Prepend;
  const std::string scheme = json.get("prepend_scheme", "always");
  if (scheme == "first") {
    options.prepend = Prepend::first;
  } else if (scheme == "never" || !json.get("add_prefix_space", true)) {
    options.prepend = Prepend::never;
  } else if (scheme != "always") {
    throw_error(ErrorKind::bad_format, json.where(),
                "prepend_scheme is {}, expected always, first or never", quote(scheme));
  }
  options.split = json.get("split", true);
  return options;
}

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const JsonValue& json) {
  const std::string_view type = json.at("type").as_string();
  if (type == "Sequence") return make_sequence(json);
  if (type == "BertPreTokenizer") return make_bert();
  if (type == "WhitespaceSplit") return at_characters(SplitBehavior::removed, is_white_space);
  if (type == "Whitespace") {
    return from_function(
        [](SplitText& split) { cut_pieces(split, SplitBehavior::removed, find_words); });
  }
  if (type == "Punctuation") {
    const auto behavior = json.find("behavior");
    return at_characters(behavior ? split_behavior(*behavior) : SplitBehavior::isolated,
                         is_punctuation);
  }
  if (type == "Digits") {
    const bool each = json.get("individual_digits", false);
    return at_characters(each ? SplitBehavior::isolated : SplitBehavior::contiguous, is_numeric);
  }
  if (type == "CharDelimiterSplit" || type == "Delimiter") {
    const std::string_view delimiter = json.at("delimiter").as_string();
    if (count_code_points(delimiter) != 1) json.at("delimiter").fail("one character");
    const char* p = delimiter.data();
    return at_characters(SplitBehavior::removed,
                         [wanted = next_code_point(p)](char32_t c) { return c == wanted; });
  }
  if (type == "Split") return make_split(json);
  if (type == "Metaspace") {
    const MetaspaceOptions options = metaspace_options(json);
    return from_function([options](SplitText& split) { metaspace(split, options); },
                         options.prepend == MetaspaceOptions::Prepend::first);
  }
  if (type == "ByteLevel") {
    const ByteLevelOptions options{json.get("add_prefix_space", true), json.get("use_regex", true)};
    return from_function([options](SplitText& split) { byte_level(split, options); });
  }
  throw_error(ErrorKind::unsupported, json.where(), "unknown pre-tokenizer type {}", quote(type));
}

}  // namespace akin::text
