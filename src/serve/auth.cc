#include "serve/auth.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "base/error.h"
#include "base/file.h"

namespace akin::serve {
namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

bool is_bearer(std::string_view word) {
  constexpr std::string_view kBearer = "bearer ";
  if (word.size() < kBearer.size()) return false;
  for (size_t i = 0; i < kBearer.size(); ++i) {
    const char c = word[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != kBearer[i]) return false;
  }
  return true;
}

}  // namespace

ApiKeys::ApiKeys(const std::vector<std::string>& keys) {
  for (const auto& key : keys) {
    if (trim(key).empty()) throw_error(ErrorKind::usage, "--api-key", "is empty");
    digests_.push_back(digest(trim(key)));
  }
}

ApiKeys::Digest ApiKeys::digest(std::string_view key) {
  Digest out{};
  SHA256(reinterpret_cast<const uint8_t*>(key.data()), key.size(), out.data());
  return out;
}

bool ApiKeys::allows(std::string_view authorization) const {
  if (!needed()) return true;
  if (!is_bearer(authorization)) return false;
  const Digest given = digest(trim(authorization.substr(7)));
  bool found = false;
  for (const auto& known : digests_)
    found = (CRYPTO_memcmp(known.data(), given.data(), given.size()) == 0) || found;
  return found;
}

std::vector<std::string> read_key_file(const std::string& path) {
  const std::string bytes = read_file(path, uint64_t{1} << 20);
  std::vector<std::string> keys;
  for (size_t at = 0; at < bytes.size();) {
    const size_t end = std::min(bytes.find('\n', at), bytes.size());
    const std::string_view line = trim(std::string_view(bytes).substr(at, end - at));
    if (!line.empty() && line[0] != '#') keys.emplace_back(line);
    at = end + 1;
  }
  if (keys.empty()) throw_error(ErrorKind::usage, path, "holds no API key; give one a line");
  return keys;
}

}  // namespace akin::serve
