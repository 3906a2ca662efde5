// The shared sources of this folder's tests, in the one form that the build collects (*_test.cc).
// No tests here.
#include "reference.cc"      // NOLINT(bugprone-suspicious-include)
#include "tiny_families.cc"  // NOLINT(bugprone-suspicious-include)
#include "tiny_folder.cc"    // NOLINT(bugprone-suspicious-include)
