// What a write that was killed leaves behind: "<name>.<process>.tmp" beside the file or folder that
// it was to become (file.h).
#pragma once

#include <filesystem>

namespace akin {

// Removes those of `path` whose processes are gone. Other names are left alone. A process of
// another machine looks gone: call it where nobody else writes `path`.
void remove_leftovers(const std::filesystem::path& path);

}  // namespace akin
