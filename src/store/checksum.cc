// See checksum.h.
#include "store/checksum.h"

#include <openssl/evp.h>

#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"

namespace akin::store {

EtagKind etag_kind(std::string_view etag) {
  if (etag.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return EtagKind::unknown;
  }
  return etag.size() == 64   ? EtagKind::sha256
         : etag.size() == 40 ? EtagKind::git_sha1
                             : EtagKind::unknown;
}

std::string file_checksum(const std::filesystem::path& path, EtagKind kind) {
  if (kind == EtagKind::unknown) return {};
  const MappedFile file(path);
  const std::unique_ptr<EVP_MD_CTX, decltype(&::EVP_MD_CTX_free)> context(::EVP_MD_CTX_new(),
                                                                          ::EVP_MD_CTX_free);
  const EVP_MD* method = kind == EtagKind::sha256 ? ::EVP_sha256() : ::EVP_sha1();
  AKIN_CHECK(context != nullptr && ::EVP_DigestInit_ex(context.get(), method, nullptr) == 1);
  if (kind == EtagKind::git_sha1) {
    std::string header = fmt::format("blob {}", file.bytes().size());
    header += '\0';
    AKIN_CHECK(::EVP_DigestUpdate(context.get(), header.data(), header.size()) == 1);
  }
  constexpr size_t kChunkBytes = size_t{4} << 20;
  for (size_t at = 0; at < file.bytes().size(); at += kChunkBytes) {
    check_interrupted();
    const auto chunk = file.bytes().subspan(at, std::min(kChunkBytes, file.bytes().size() - at));
    AKIN_CHECK(::EVP_DigestUpdate(context.get(), chunk.data(), chunk.size()) == 1);
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  AKIN_CHECK(::EVP_DigestFinal_ex(context.get(), digest, &size) == 1);
  std::string out;
  for (unsigned i = 0; i < size; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

}  // namespace akin::store
