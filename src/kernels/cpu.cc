#include "kernels/cpu.h"

#include <hwy/highway.h>
#include <hwy/targets.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "kernels/amx.h"
#include "kernels/bf16.h"

namespace akin::kernels {
namespace {

constexpr std::array<std::string_view, 7> kNames = {"baseline", "sse4", "avx2", "avx512",
                                                    "vnni",     "bf16", "amx"};

int64_t targets_up_to(Isa isa) {
  int64_t targets = HWY_EMU128 | HWY_SCALAR;
#if HWY_ARCH_X86
  if (isa >= Isa::sse4) targets |= HWY_SSE4;
  if (isa >= Isa::avx2) targets |= HWY_AVX2;
  if (isa >= Isa::avx512) targets |= HWY_AVX3;
  if (isa >= Isa::vnni) targets |= HWY_AVX3_DL;
#else
  targets = ~int64_t{0};
#endif
  return targets;
}

Isa detect() {
#if HWY_ARCH_X86
  const int64_t targets = hwy::SupportedTargets();
  if ((targets & HWY_AVX3_DL) != 0) {
    if (amx_available()) return Isa::amx;
    return avx512_bf16_fast() ? Isa::bf16 : Isa::vnni;
  }
  if ((targets & HWY_AVX3) != 0) return Isa::avx512;
  if ((targets & HWY_AVX2) != 0) return Isa::avx2;
  if ((targets & HWY_SSE4) != 0) return Isa::sse4;
#endif
  return Isa::baseline;
}

std::atomic<int>& current() {
  static std::atomic<int> value{-1};
  return value;
}
std::atomic<int>& current_f32_tiles() {
  static std::atomic<int> tiles{-1};  // not settled yet
  return tiles;
}

}  // namespace

std::string_view isa_name(Isa isa) { return kNames[static_cast<size_t>(isa)]; }

Isa detected_isa() {
  static const Isa isa = detect();
  return isa;
}

std::vector<Isa> usable_isas() {
  std::vector<Isa> out;
  for (int i = 0; i <= static_cast<int>(detected_isa()); ++i) out.push_back(static_cast<Isa>(i));
  return out;
}

Isa active_isa() {
  if (const int value = current().load(std::memory_order_relaxed); value >= 0) {
    return static_cast<Isa>(value);
  }
  Isa isa = detected_isa();
  if (const char* word = std::getenv("AKIN_ISA"); word != nullptr && *word != '\0') {
    const auto it = std::find(kNames.begin(), kNames.end(), std::string_view(word));
    if (it == kNames.end()) {
      throw_error(ErrorKind::usage, "AKIN_ISA", "{} is not one of {}", quote(word),
                  fmt::join(kNames, ", "));
    }
    isa = std::min(isa, static_cast<Isa>(it - kNames.begin()));
  }
  set_isa(isa);
  return isa;
}

bool f32_tiles() {
  if (const int value = current_f32_tiles().load(std::memory_order_relaxed); value >= 0)
    return value != 0;
  const char* word = std::getenv("AKIN_F32");
  const std::string_view choice = word == nullptr ? "" : word;
  if (!choice.empty() && choice != "tiles" && choice != "vectors")
    throw_error(ErrorKind::usage, "AKIN_F32", "{} is not one of vectors, tiles", quote(choice));
  set_f32_tiles(choice == "tiles");
  return choice == "tiles";
}

void set_f32_tiles(bool tiles) {
  current_f32_tiles().store(tiles ? 1 : 0, std::memory_order_relaxed);
}

void set_isa(Isa isa) {
  isa = std::min(isa, detected_isa());
  hwy::GetChosenTarget().Update(hwy::SupportedTargets() & targets_up_to(isa));
  current().store(static_cast<int>(isa), std::memory_order_relaxed);
}

}  // namespace akin::kernels
