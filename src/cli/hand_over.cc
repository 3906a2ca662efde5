#include "cli/hand_over.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"

namespace akin::cli {
namespace {

std::vector<std::string> own_words() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> out;
  for (std::string word; std::getline(file, word, '\0');) out.push_back(word);
  return out;
}

}  // namespace

void hand_over(std::string_view what) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path() / "akin-train";
  if (!fs::exists(program, ignored)) {
    throw_error(ErrorKind::unsupported, what,
                "this build has no training: {} is not there; install libtorch (Debian: "
                "libtorch-dev) and build again with -DAKIN_TRAIN=ON",
                program.string());
  }
  std::fflush(nullptr);
  auto words = own_words();
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  // Threads of libtorch's OpenMP would spin between its operations, on the cores that akin's own
  // threads work on: a third of a step of a small model.
  ::setenv("OMP_WAIT_POLICY", "PASSIVE", /*overwrite=*/0);
  ::execv(program.c_str(), arguments.data());
  throw_error(ErrorKind::io, program.string(), "cannot be run: {}", std::strerror(errno));
}

}  // namespace akin::cli
