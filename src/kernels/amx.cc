#include "kernels/amx.h"

#include "kernels/amx-inl.h"
#include "kernels/bf16.h"

#ifdef AKIN_HAVE_AMX
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace akin::kernels {

#ifdef AKIN_HAVE_AMX

namespace {

bool has_amx_cpu() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  constexpr unsigned kBf16 = 1U << 22, kTile = 1U << 24, kInt8 = 1U << 25;
  return (d & (kBf16 | kTile | kInt8)) == (kBf16 | kTile | kInt8) && avx512_bf16_available();
}

}  // namespace

bool amx_available() {
  static const bool available = [] {
    constexpr long kRequestPermission = 0x1023,
                   kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return has_amx_cpu() && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  }();
  return available;
}

#else

bool amx_available() { return false; }

#endif

}  // namespace akin::kernels
