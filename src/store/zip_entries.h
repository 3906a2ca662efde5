// The entries of a zip archive in memory: stored (not compressed) ones only, as torch.save writes
// them. Not an unzip tool. Follows PKWARE's APPNOTE 6.3, sections 4.3 to 4.5 (zip64 included).
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace akin::store {

// True when the bytes begin with the signature of a local file header.
bool looks_like_zip(std::span<const std::byte> bytes);

// Name -> bytes, borrowed from `bytes`. Sizes come from the central directory, so entries with data
// descriptors are fine. Errors: bad_format; unsupported on compression or encryption.
std::map<std::string, std::span<const std::byte>, std::less<>> read_zip_entries(
    std::span<const std::byte> bytes, const std::string& where);

}  // namespace akin::store
