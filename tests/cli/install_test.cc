// The installed tree works for somebody who has nothing else: tools/check_install on the build that
// is under test.
#include <gtest/gtest.h>

#include "run_program.h"

namespace akin::cli_test {
namespace {

TEST(Install, ExamplesBuildAgainstTheInstalledTree) {
  const auto build = std::filesystem::path(AKIN_PROGRAM).parent_path().parent_path();
  const TemporaryFolder folder;
  const std::string command =
      "tools/check_install " + build.string() + " > " + folder.file("log") + " 2>&1";
  const int status = std::system(command.c_str());
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "skipped: " << read(folder.file("log"));
  EXPECT_EQ(status, 0) << read(folder.file("log"));
}

}  // namespace
}  // namespace akin::cli_test
