// See dataset_card.h.
#include "store/dataset_card.h"

#include <cstddef>
#include <utility>

#include "base/error.h"

namespace akin::store {
namespace {

constexpr int kMaxDepth = 16;

// A piece of YAML: one of scalar, list or map. A map has a key for every item, a list none.
struct Node {
  std::string scalar;
  std::vector<std::string> keys;
  std::vector<Node> items;
  size_t line = 0;

  const Node* find(std::string_view key) const {
    for (size_t i = 0; i < keys.size(); ++i) {
      if (keys[i] == key) return &items[i];
    }
    return nullptr;
  }
};

struct Line {
  size_t indent = 0;
  std::string_view text;
  size_t number = 0;
};

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// Up to a comment: a # at the beginning or behind a space, outside of quotes.
std::string_view without_comment(std::string_view text) {
  char quote = '\0';
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != '\0') {
      if (c == quote) quote = '\0';
    } else if ((c == '"' || c == '\'') && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '[')) {
      quote = c;
    } else if (c == '#' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t')) {
      return text.substr(0, i);
    }
  }
  return text;
}

// The lines of the top-level entry `key` of the header, that of the entry itself first.
std::vector<Line> header_lines(std::string_view readme, std::string_view key) {
  std::vector<Line> out;
  bool inside = false;
  for (size_t number = 1; !readme.empty(); ++number) {
    const size_t end = readme.find('\n');
    const std::string_view raw = without_comment(readme.substr(0, end));
    readme.remove_prefix(end == std::string_view::npos ? readme.size() : end + 1);
    const std::string_view text = trim(raw);
    if (number == 1) {
      if (text != "---" && text != "\xEF\xBB\xBF---") return {};
      continue;
    }
    if (text.empty()) continue;
    const size_t indent = raw.find_first_not_of(' ');
    if (indent == 0 && (text == "---" || text == "...")) return out;
    if (indent == 0 && !text.starts_with('-')) {
      inside = text.starts_with(key) && text.substr(key.size()).starts_with(':');
    }
    if (inside) out.push_back({indent, text, number});
  }
  return {};  // a header without an end is none
}

class Parser {
 public:
  Parser(std::vector<Line> lines, const std::string& where)
      : lines_(std::move(lines)), where_(where) {}

  Node parse() { return node(lines_[0].indent, 0); }

 private:
  [[noreturn]] void fail(size_t line, std::string_view what) const {
    throw_error(ErrorKind::bad_format, fmt::format("{}:{}", where_, line),
                "the data set's header: {}. Rewrite `configs:` as indented lists and maps", what);
  }

  // The node whose lines begin at `indent`.
  // NOLINTNEXTLINE(misc-no-recursion): at most kMaxDepth deep
  Node node(size_t indent, int depth) {
    if (depth > kMaxDepth) fail(lines_[at_].number, "nested too deep");
    const bool list = is_item(lines_[at_].text);
    Node out;
    out.line = lines_[at_].number;
    if (!list && key_end(lines_[at_].text) == std::string_view::npos) {
      out = value(lines_[at_].text, lines_[at_].number);
      ++at_;
      return out;
    }
    while (at_ < lines_.size() && lines_[at_].indent == indent &&
           is_item(lines_[at_].text) == list) {
      if (list) {
        out.items.push_back(item(depth));
      } else {
        field(out, depth);
      }
    }
    if (at_ < lines_.size() && lines_[at_].indent > indent) {
      fail(lines_[at_].number, "unexpected indentation");
    }
    return out;
  }

  // "- rest": what follows the dash is a node of its own, at its own column.
  // NOLINTNEXTLINE(misc-no-recursion)
  Node item(int depth) {
    Line& line = lines_[at_];
    const std::string_view rest = trim(line.text.substr(1));
    const size_t outer = line.indent;
    if (rest.empty()) {
      ++at_;
      if (at_ == lines_.size() || lines_[at_].indent <= outer) return {};
      return node(lines_[at_].indent, depth + 1);
    }
    line.indent += static_cast<size_t>(rest.data() - line.text.data());
    line.text = rest;
    return node(line.indent, depth + 1);
  }

  // NOLINTNEXTLINE(misc-no-recursion)
  void field(Node& map, int depth) {
    const Line line = lines_[at_++];
    const size_t end = key_end(line.text);
    if (end == std::string_view::npos) fail(line.number, "expected \"key: value\"");
    const std::string key = value(line.text.substr(0, end), line.number).scalar;
    const std::string_view rest = trim(line.text.substr(end + 1));
    Node child;
    child.line = line.number;
    if (!rest.empty()) {
      child = value(rest, line.number);
    } else if (at_ < lines_.size()) {
      const Line& next = lines_[at_];
      const bool below = next.indent > line.indent;
      if (below || (next.indent == line.indent && is_item(next.text))) {
        child = node(next.indent, depth + 1);
      }
    }
    map.keys.push_back(key);
    map.items.push_back(std::move(child));
  }

  // A scalar, plain or in quotes, or [a, b] of scalars.
  Node value(std::string_view text, size_t line) const {
    Node out;
    out.line = line;
    if (text.starts_with('{') || text.starts_with('|') || text.starts_with('>') ||
        text.starts_with('&')) {
      fail(line, fmt::format("{} is in a form that is not read here", quote(text)));
    }
    if (!text.starts_with('[')) {
      out.scalar = unquote(text);
      return out;
    }
    if (!text.ends_with(']')) fail(line, "a list is left open at the end of the line");
    text = text.substr(1, text.size() - 2);
    while (!trim(text).empty()) {
      const size_t comma = text.find(',');
      Node item;
      item.scalar = unquote(trim(text.substr(0, comma)));
      item.line = line;
      out.items.push_back(std::move(item));
      if (comma == std::string_view::npos) break;
      text.remove_prefix(comma + 1);
    }
    return out;
  }

  static std::string unquote(std::string_view text) {
    const bool quoted = text.size() >= 2 && (text.front() == '"' || text.front() == '\'') &&
                        text.back() == text.front();
    return std::string(quoted ? text.substr(1, text.size() - 2) : text);
  }
  static bool is_item(std::string_view text) { return text == "-" || text.starts_with("- "); }
  static size_t key_end(std::string_view text) {
    if (text.starts_with('"') || text.starts_with('\'')) {
      const size_t close = text.find(text.front(), 1);
      const bool key = close != std::string_view::npos && text.substr(close + 1).starts_with(':');
      return key ? close + 1 : std::string_view::npos;
    }
    const size_t colon = text.find(": ");
    if (colon != std::string_view::npos) return colon;
    return text.ends_with(':') ? text.size() - 1 : std::string_view::npos;
  }

  std::vector<Line> lines_;
  size_t at_ = 0;
  const std::string& where_;
};

class CardReader {
 public:
  explicit CardReader(const std::string& where) : where_(where) {}

  void read_config(const Node& config) {
    const Node* name = config.find("config_name");
    config_ = name == nullptr || name->scalar.empty() ? "default" : name->scalar;
    const Node* folder = config.find("data_dir");
    folder_ = folder == nullptr ? "" : folder->scalar;
    while (folder_.starts_with("./")) folder_.erase(0, 2);
    if (!folder_.empty() && !folder_.ends_with('/')) folder_ += '/';
    if (const Node* files = config.find("data_files")) read_files(*files);
  }
  std::vector<CardFiles> take() { return std::move(out_); }

 private:
  // data_files: a pattern, a list of patterns, a list of {split, path}, or a map split -> path.
  void read_files(const Node& files) {
    if (!files.scalar.empty()) add("train", files.scalar);
    for (size_t i = 0; i < files.keys.size(); ++i) add_paths(files.keys[i], files.items[i]);
    if (!files.keys.empty()) return;
    for (const Node& item : files.items) {
      if (!item.scalar.empty()) {
        add("train", item.scalar);
        continue;
      }
      const Node* split = item.find("split");
      const Node* path = item.find("path");
      if (path == nullptr) {
        throw_error(ErrorKind::bad_format, fmt::format("{}:{}", where_, item.line),
                    "the data set's header: a file has no `path:`. Add it");
      }
      add_paths(split == nullptr || split->scalar.empty() ? "train" : split->scalar, *path);
    }
  }
  void add_paths(const std::string& split, const Node& path) {
    if (!path.scalar.empty()) add(split, path.scalar);
    if (!path.keys.empty()) return;
    for (const Node& item : path.items) add(split, item.scalar);
  }
  void add(const std::string& split, std::string_view pattern) {
    while (pattern.starts_with("./")) pattern.remove_prefix(2);
    out_.push_back({config_, split, folder_ + std::string(pattern)});
  }

  const std::string& where_;
  std::string config_, folder_;
  std::vector<CardFiles> out_;
};

// [abc], [a-z] or [!abc] at the front of `pattern`, which then begins behind it.
bool matches_class(std::string_view& pattern, char c) {
  size_t close = pattern.find(']', 2);
  if (close == std::string_view::npos) {  // no class: the bracket stands for itself
    pattern.remove_prefix(1);
    return c == '[';
  }
  std::string_view set = pattern.substr(1, close - 1);
  pattern.remove_prefix(close + 1);
  const bool negated = set.starts_with('!') || set.starts_with('^');
  if (negated) set.remove_prefix(1);
  bool found = false;
  for (size_t i = 0; i < set.size(); ++i) {
    if (i + 2 < set.size() && set[i + 1] == '-') {
      found = found || (c >= set[i] && c <= set[i + 2]);
      i += 2;
    } else {
      found = found || c == set[i];
    }
  }
  return found != negated && c != '/';
}

// Where to go on when a * has to take one more character.
struct Star {
  std::string_view pattern, path;
  bool crosses = false, set = false;
};

// With one place to go back to, as for plain globs; a later star never needs an earlier one, but
// for a ** in front of a *, which keeps its own.
bool matches_whole(std::string_view pattern, std::string_view path) {
  Star star, wide;
  while (true) {
    if (pattern.starts_with('*')) {
      Star& to = pattern.starts_with("**") ? wide : star;
      const bool crosses = pattern.starts_with("**");
      pattern.remove_prefix(crosses ? 2 : 1);
      if (crosses && pattern.starts_with('/')) {  // "**/x" is also "x"
        pattern.remove_prefix(1);
      }
      to = {pattern, path, crosses, true};
      if (crosses) star = {};
      continue;
    }
    if (pattern.empty() && path.empty()) return true;
    bool matched = false;
    if (!pattern.empty() && !path.empty()) {
      std::string_view rest = pattern;
      if (rest.front() == '[') {
        matched = matches_class(rest, path.front());
      } else {
        matched = rest.front() == path.front() || (rest.front() == '?' && path.front() != '/');
        rest.remove_prefix(1);
      }
      if (matched) {
        pattern = rest;
        path.remove_prefix(1);
        continue;
      }
    }
    const bool can_star = star.set && !star.path.empty() && star.path.front() != '/';
    Star* back = can_star ? &star : &wide;
    if (!back->set || back->path.empty()) return false;
    back->path.remove_prefix(1);
    if (back == &wide) star = {};
    pattern = back->pattern;
    path = back->path;
  }
}

}  // namespace

std::vector<std::string> read_card_datasets(std::string_view readme) {
  std::vector<std::string> out;
  const std::string where = "README.md";
  auto lines = header_lines(readme, "datasets");
  if (lines.empty()) return out;
  // "datasets: [a, b]" as well as a list below: only the value counts.
  try {
    const Node root = Parser(std::move(lines), where).parse();
    const Node* const names = root.find("datasets");
    if (names == nullptr) return out;
    if (!names->scalar.empty()) out.push_back(names->scalar);
    for (const Node& item : names->items) {
      if (!item.scalar.empty()) out.push_back(item.scalar);
    }
  } catch (const Error&) {
    out.clear();  // a card for people, not a file that the model needs
  }
  return out;
}

bool matches_glob(std::string_view pattern, std::string_view path) {
  while (pattern.ends_with('/')) pattern.remove_suffix(1);
  if (matches_whole(pattern, path)) return true;
  // A folder stands for all that it holds.
  return pattern.find_first_of("*?[") == std::string_view::npos && path.starts_with(pattern) &&
         path.substr(pattern.size()).starts_with('/');
}

std::vector<CardFiles> read_card_files(std::string_view readme, const std::string& where) {
  std::vector<Line> lines = header_lines(readme, "configs");
  if (lines.empty()) return {};
  const Node header = Parser(std::move(lines), where).parse();
  CardReader reader(where);
  if (const Node* configs = header.find("configs")) {
    if (configs->keys.empty()) {
      for (const Node& config : configs->items) reader.read_config(config);
    }
  }
  return reader.take();
}

}  // namespace akin::store
