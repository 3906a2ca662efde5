// What files are, as far as can be told without reading them: for keys of what is made of them.
// Internal to data/.
#pragma once

#include <filesystem>

#include "base/hash.h"

namespace akin::data {

// Adds name, size and time of a file, or of each file under a folder. Errors: not_found, io.
void add_path_key(const std::filesystem::path& path, Hasher& hasher);

}  // namespace akin::data
