// The parser: recursive descent with a bounded depth.
#include "index/filter.h"

#include <charconv>
#include <cmath>

#include "base/error.h"
#include "index/filter_node.h"

namespace akin::index {
namespace {

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         (static_cast<unsigned char>(c) & 0x80) != 0;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name(char c) { return is_name_start(c) || is_digit(c) || c == '-'; }

bool same_word(std::string_view a, std::string_view lower) {
  if (a.size() != lower.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if ((a[i] >= 'A' && a[i] <= 'Z' ? a[i] + 32 : a[i]) != lower[i]) return false;
  }
  return true;
}

void append_code_point(uint32_t c, std::string& out) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

}  // namespace

class FilterParser {
 public:
  using Node = Filter::Node;
  explicit FilterParser(std::string_view text) : text_(text) {
    if (text.size() > Filter::kMaxBytes) {
      throw_error(ErrorKind::usage, "filter", "has {} bytes, at most {} are read", text.size(),
                  Filter::kMaxBytes);
    }
  }

  Node parse() {
    Node node = either(0);
    skip_space();
    if (at_ < text_.size()) fail(at_, "expected and, or, or the end");
    return node;
  }

 private:
  // Columns count characters from 1, as an editor shows them.
  [[noreturn]] void fail(size_t at, std::string_view words) const {
    size_t column = 1;
    for (size_t i = 0; i < at && i < text_.size(); ++i) {
      column += (static_cast<unsigned char>(text_[i]) & 0xC0) == 0x80 ? 0 : 1;
    }
    throw_error(ErrorKind::usage, "filter", "column {}: {}, got {}", column, words,
                at >= text_.size() ? std::string("the end") : quote(text_.substr(at), 20));
  }

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }
  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string_view word_here() {
    skip_space();
    size_t end = at_;
    while (end < text_.size() && is_name(text_[end])) ++end;
    return text_.substr(at_, end - at_);
  }
  bool take_word(std::string_view lower) {
    if (!same_word(word_here(), lower)) return false;
    at_ += lower.size();
    return true;
  }

  // first, and what `more` finds behind each `word`, as one node: never deeper by their number.
  template <typename More>
  Node chain(Node::Kind kind, std::string_view word, Node first, More more) {
    if (!take_word(word)) return first;
    Node node;
    node.kind = kind;
    node.children.push_back(std::move(first));
    do {
      node.children.push_back(more());
    } while (take_word(word));
    return node;
  }
  static Node negate(Node child) {
    Node node;
    node.kind = Node::Kind::negation;
    node.children.push_back(std::move(child));
    return node;
  }

  Node either(int depth) {
    return chain(Node::Kind::any, "or", both(depth), [&] { return both(depth); });
  }
  Node both(int depth) {
    return chain(Node::Kind::all, "and", single(depth), [&] { return single(depth); });
  }

  Node single(int depth) {
    if (depth > Filter::kMaxDepth) fail(at_, "nested too deep, at most 64");
    if (take_word("not")) return negate(single(depth + 1));
    if (take('(')) {
      Node node = either(depth + 1);
      if (!take(')')) fail(at_, "expected )");
      return node;
    }
    return condition();
  }

  Node condition() {
    Node node;
    node.path = path();
    if (take_word("not")) {
      if (take_word("in")) return negate(in_list(std::move(node)));
      if (!take_word("exists")) fail(at_, "expected in or exists after not");
      node.kind = Node::Kind::exists;
      return negate(std::move(node));
    }
    if (take_word("in")) return in_list(std::move(node));
    if (take_word("exists")) {
      node.kind = Node::Kind::exists;
      return node;
    }
    return comparison(std::move(node));
  }

  Node comparison(Node node) {
    skip_space();
    const auto rest = text_.substr(at_);
    bool negative = false;
    if (rest.starts_with("!=") || rest.starts_with("<>")) {
      negative = true;
      at_ += 2;
    } else if (rest.starts_with("<=")) {
      node.kind = Node::Kind::at_most;
      at_ += 2;
    } else if (rest.starts_with(">=")) {
      node.kind = Node::Kind::at_least;
      at_ += 2;
    } else if (rest.starts_with("<")) {
      node.kind = Node::Kind::less;
      at_ += 1;
    } else if (rest.starts_with(">")) {
      node.kind = Node::Kind::more;
      at_ += 1;
    } else if (rest.starts_with("=")) {
      at_ += rest.starts_with("==") ? 2 : 1;
    } else {
      fail(at_, "expected =, !=, <, <=, >, >=, in or exists after the field");
    }
    if (node.kind == Node::Kind::all) node.kind = Node::Kind::equal;
    node.values.push_back(value());
    return negative ? negate(std::move(node)) : node;
  }

  Node in_list(Node node) {
    node.kind = Node::Kind::in;
    if (!take('[')) fail(at_, "expected [ after in");
    if (take(']')) return node;
    do {
      node.values.push_back(value());
    } while (take(','));
    if (!take(']')) fail(at_, "expected , or ]");
    return node;
  }

  std::vector<std::string> path() {
    std::vector<std::string> out;
    do {
      skip_space();
      if (at_ < text_.size() && text_[at_] == '`') {
        const size_t end = text_.find('`', at_ + 1);
        if (end == std::string_view::npos) fail(at_, "expected a field name closed by `");
        out.emplace_back(text_.substr(at_ + 1, end - at_ - 1));
        at_ = end + 1;
        continue;
      }
      const auto word = word_here();
      if (word.empty()) fail(at_, "expected the name of a field");
      out.emplace_back(word);
      at_ += word.size();
    } while (at_ < text_.size() && text_[at_] == '.' && ++at_ != 0);
    return out;
  }

  FilterValue value() {
    skip_space();
    if (at_ < text_.size() && (text_[at_] == '"' || text_[at_] == '\'')) return string();
    if (take_word("true")) return true;
    if (take_word("false")) return false;
    if (take_word("null")) return FilterNull{};
    return number();
  }

  FilterValue number() {
    size_t end = at_;
    const auto is_part = [](char c) {
      return is_digit(c) || c == '+' || c == '-' || c == '.' || c == 'e' || c == 'E';
    };
    while (end < text_.size() && is_part(text_[end])) ++end;
    const char *first = text_.data() + at_, *last = text_.data() + end;
    const bool word_follows = end < text_.size() && is_name(text_[end]);
    const auto whole = [&](auto& number) {
      const auto [stop, error] = std::from_chars(first, last, number);
      return !word_follows && error == std::errc() && stop == last && first != last;
    };
    int64_t integer = 0;
    uint64_t large = 0;
    double real = 0;
    FilterValue out;
    if (whole(integer)) {
      out = integer;
    } else if (whole(large)) {
      out = large;
    } else if (whole(real) && std::isfinite(real)) {
      out = real;
    } else {
      fail(at_, "expected a value: \"text\" in quotes, a number, true, false or null");
    }
    at_ = end;
    return out;
  }

  std::string string() {
    const size_t begin = at_;
    const char close = text_[at_++];
    std::string out;
    while (at_ < text_.size() && text_[at_] != close) {
      if (text_[at_] != '\\') {
        out += text_[at_++];
      } else {
        escape(out);
      }
    }
    if (at_ >= text_.size()) fail(begin, "expected text closed by its quote");
    ++at_;
    return out;
  }

  void escape(std::string& out) {
    const size_t begin = at_++;
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    ++at_;
    switch (c) {
      case 'n':
        out += '\n';
        return;
      case 't':
        out += '\t';
        return;
      case '"':
      case '\'':
      case '\\':
      case '/':
        out += c;
        return;
      case 'u':
        return append_code_point(code_point(begin), out);
      default:
        fail(begin, R"(expected \", \', \\, \n, \t or \u with four hex digits)");
    }
  }

  uint32_t hex4(size_t begin) {
    uint32_t out = 0;
    const char* first = text_.data() + at_;
    if (text_.size() - at_ < 4) fail(begin, "expected four hex digits after \\u");
    const auto [stop, error] = std::from_chars(first, first + 4, out, 16);
    if (error != std::errc() || stop != first + 4) {
      fail(begin, "expected four hex digits after \\u");
    }
    at_ += 4;
    return out;
  }

  uint32_t code_point(size_t begin) {
    const uint32_t high = hex4(begin);
    if (high < 0xD800 || high > 0xDFFF) return high;
    if (high <= 0xDBFF && text_.substr(at_).starts_with("\\u")) {
      at_ += 2;
      const uint32_t low = hex4(begin);
      if (low >= 0xDC00 && low <= 0xDFFF) return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    }
    fail(begin, "expected both halves of a surrogate pair");
  }

  std::string_view text_;
  size_t at_ = 0;
};

Filter::Filter(std::string_view text) : root_(std::make_unique<Node>(FilterParser(text).parse())) {}
Filter::~Filter() = default;
Filter::Filter(Filter&&) noexcept = default;
Filter& Filter::operator=(Filter&&) noexcept = default;

}  // namespace akin::index
