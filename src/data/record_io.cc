// See record_io.h. JSON strings follow RFC 8259: only quotes, backslashes and control characters
// are escaped.
#include "data/record_io.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstring>
#include <iterator>

#include "base/error.h"

namespace akin::data {
namespace {

constexpr std::array<bool, 256> escape_table() {
  std::array<bool, 256> out{};
  for (size_t i = 0; i < 32; ++i) out[i] = true;
  out['"'] = out['\\'] = out[127] = true;
  return out;
}
constexpr std::array<bool, 256> kEscaped = escape_table();

void append_escape(char c, std::string& out) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\r':
      out += "\\r";
      return;
    default:
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
  }
}

void append_key(std::string_view key, std::string& out) {
  out += ",\"";
  out += key;
  out += "\":";
}

void append_number(float value, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}", value);
}

template <typename T>
void put(T value, std::string& out) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void put_text(std::string_view text, std::string& out) {
  AKIN_CHECK(text.size() <= UINT32_MAX);
  put(static_cast<uint32_t>(text.size()), out);
  out += text;
}

class Taker {
 public:
  Taker(std::string_view& in, std::string_view where) : in_(in), where_(where) {}
  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, bytes(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string_view text() { return bytes(number<uint32_t>()); }
  // How many items follow; each takes at least `least` bytes.
  size_t count(size_t least) {
    const size_t out = number<uint32_t>();
    if (out > in_.size() / least) fail();
    return out;
  }

 private:
  std::string_view bytes(size_t size) {
    if (size > in_.size()) fail();
    const auto out = in_.substr(0, size);
    in_.remove_prefix(size);
    return out;
  }
  [[noreturn]] void fail() const {
    throw_error(ErrorKind::bad_format, where_,
                "the work file is cut or damaged; remove the work folder and start again");
  }
  std::string_view& in_;
  std::string_view where_;
};

}  // namespace

void append_json_text(std::string_view text, std::string& out) {
  out += '"';
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!kEscaped[static_cast<unsigned char>(text[i])]) continue;
    out.append(text, begin, i - begin);
    append_escape(text[i], out);
    begin = i + 1;
  }
  out.append(text, begin, text.size() - begin);
  out += '"';
}

void append_json(const Record& record, std::string& out) {
  out += record.is_pair() ? "{\"query\":" : "{\"text\":";
  append_json_text(record.query, out);
  if (record.shape != RowShape::single) {
    append_key(record.is_pair() ? "positive" : "label", out);
    append_json_text(record.positive, out);
  }
  if (!record.negatives.empty()) {
    append_key("negatives", out);
    for (size_t i = 0; i < record.negatives.size(); ++i) {
      out += i == 0 ? '[' : ',';
      append_json_text(record.negatives[i], out);
    }
    out += ']';
  }
  if (record.label) {
    append_key("label", out);
    append_number(*record.label, out);
  }
  if (!record.scores.empty()) {
    append_key("scores", out);
    for (size_t i = 0; i < record.scores.size(); ++i) {
      out += i == 0 ? '[' : ',';
      append_number(record.scores[i], out);
    }
    out += ']';
  }
  const auto append_word = [&](std::string_view key, const std::string& text) {
    if (text.empty()) return;
    append_key(key, out);
    append_json_text(text, out);
  };
  append_word("task", record.task);
  append_word("source", record.source);
  out += '}';
}

void append_packed(const Record& record, std::string& out) {
  put(record.row, out);
  put(static_cast<uint32_t>(record.negatives.size()), out);
  put(static_cast<uint32_t>(record.scores.size()), out);
  put(record.label.value_or(std::nanf("")), out);
  put_text(record.query, out);
  put_text(record.positive, out);
  put_text(record.task, out);
  put_text(record.source, out);
  for (const auto& text : record.negatives) put_text(text, out);
  for (const float score : record.scores) put(score, out);
}

void take_packed(std::string_view& in, Record& record, std::string_view where) {
  Taker take(in, where);
  record.row = take.number<uint64_t>();
  record.negatives.resize(take.count(sizeof(uint32_t)));
  record.scores.resize(take.count(sizeof(float)));
  const auto label = take.number<float>();
  record.label = std::isnan(label) ? std::nullopt : std::optional<float>(label);
  record.query = take.text();
  record.positive = take.text();
  record.task = take.text();
  record.source = take.text();
  for (auto& text : record.negatives) text = take.text();
  for (float& score : record.scores) score = take.number<float>();
}

}  // namespace akin::data
