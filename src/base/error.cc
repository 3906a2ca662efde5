#include "base/error.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "base/utf8_sequence.h"

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
  for (std::string_view rest = bytes.substr(0, n); !rest.empty();) {
    const auto u = static_cast<unsigned char>(rest[0]);
    size_t subpart = 0;
    const size_t size =
        sequence_length(reinterpret_cast<const uint8_t*>(rest.data()), rest.size(), &subpart);
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

std::string list_some(std::span<const std::string> names, size_t most) {
  std::string out;
  for (size_t i = 0; i < std::min(names.size(), most); ++i) {
    if (i > 0) out += ", ";
    out += names[i];
  }
  if (names.size() > most) out += fmt::format(" and {} more", names.size() - most);
  return out.empty() ? "none" : out;
}

std::string quote_some(std::span<const std::string> names, size_t most) {
  std::vector<std::string> quoted;
  quoted.reserve(names.size());
  for (const auto& name : names) quoted.push_back(quote(name, 40));
  return list_some(quoted, most);
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

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates) {
  const auto near = nearest(word, candidates.data(), candidates.size());
  return near.empty() ? "" : fmt::format("; did you mean {}?", near);
}

}  // namespace akin
