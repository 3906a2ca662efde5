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
  for (char c : bytes.substr(0, n)) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 || u == 0x7F) {
      out += fmt::format("\\x{:02x}", u);
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
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
