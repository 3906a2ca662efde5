// akin-train: akin with libtorch, a program of its own so that akin starts without it. Becoming
// that program; nothing of what it does.
#pragma once

#include <string_view>

namespace akin::cli {

// Becomes akin-train with this process's own words, so before anything is read from stdin. Errors:
// unsupported, naming `what` was asked for, where there is no such program; io.
[[noreturn]] void hand_over(std::string_view what);

}  // namespace akin::cli
