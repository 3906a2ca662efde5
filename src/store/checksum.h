// Checksums of downloads, through OpenSSL: what the hub's etags are. Internal to store/.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace akin::store {

enum class EtagKind { sha256, git_sha1, unknown };
// 64 hex digits: sha256 of the content (LFS); 40: git's blob hash; anything else proves nothing.
EtagKind etag_kind(std::string_view etag);

// The checksum of a file as lower-case hex; empty for EtagKind::unknown. Errors: io, interrupted.
std::string file_checksum(const std::filesystem::path& path, EtagKind kind);

}  // namespace akin::store
