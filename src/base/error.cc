#include "base/error.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

namespace akin {
namespace {

constexpr std::array<ErrorKindInfo, 10> kInfo = {{
    {"usage", 2, 400, "Validation", "invalid_request_error"},
    {"not_found", 1, 404, "Validation", "not_found_error"},
    {"bad_format", 1, 400, "Validation", "invalid_request_error"},
    {"unsupported", 1, 422, "Validation", "invalid_request_error"},
    {"too_long", 1, 422, "Validation", "invalid_request_error"},
    {"overloaded", 1, 429, "Overloaded", "rate_limit_error"},
    {"io", 1, 500, "Backend", "server_error"},
    {"device", 1, 500, "Backend", "server_error"},
    {"interrupted", 130, 503, "Backend", "server_error"},
    {"internal", 1, 500, "Backend", "server_error"},
}};

// Bytes of the character that begins here; 0 where it is no UTF-8 (Unicode 15, table 3-7).
size_t character_size(std::string_view text) {
  const auto at = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto follows = [&](size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return at(i) >= low && at(i) <= high;
  };
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool second = follows(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF);
    return second && follows(2) ? 3 : 0;
  }
  if (first < 0xF0 || first > 0xF4) return 0;
  const bool second = follows(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF);
  return second && follows(2) && follows(3) ? 4 : 0;
}

}  // namespace

const ErrorKindInfo& error_kind_info(ErrorKind kind) { return kInfo[static_cast<size_t>(kind)]; }

Error::Error(ErrorKind kind, std::string message, std::string where)
    : std::runtime_error(where.empty() ? message : where + ": " + message),
      kind_(kind),
      message_(std::move(message)),
      where_(std::move(where)) {}

void check_failed(const char* condition, const char* file, int line) {
  throw Error(ErrorKind::internal,
              fmt::format("check failed: {}; this is a bug in akin, please report it", condition),
              fmt::format("{}:{}", file, line));
}

std::string quote(std::string_view bytes, size_t max_bytes) {
  std::string out = "\"";
  size_t n = std::min(bytes.size(), max_bytes);
  while (n < bytes.size() && n > 0 && (static_cast<unsigned char>(bytes[n]) & 0xC0) == 0x80) --n;
  for (std::string_view rest = bytes.substr(0, n); !rest.empty();) {
    const auto u = static_cast<unsigned char>(rest[0]);
    const size_t size = character_size(rest);
    if (size == 0 || u < 0x20 || u == 0x7F) {
      out += fmt::format("\\x{:02x}", u);
    } else {
      if (u == '"' || u == '\\') out += '\\';
      out += rest.substr(0, size);
    }
    rest.remove_prefix(std::max<size_t>(size, 1));
  }
  out += n < bytes.size() ? fmt::format("\"... ({} bytes)", bytes.size()) : "\"";
  return out;
}

std::string_view nearest(std::string_view word, const std::string_view* candidates, size_t count) {
  std::string_view best;
  size_t best_distance = std::max<size_t>(2, word.size() / 3) + 1;
  for (size_t c = 0; c < count; ++c) {
    const std::string_view other = candidates[c];
    std::vector<size_t> row(other.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= word.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i;
      for (size_t j = 1; j <= other.size(); ++j) {
        const size_t substitute = diagonal + (word[i - 1] != other[j - 1]);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = other;
    }
  }
  return best;
}

}  // namespace akin
