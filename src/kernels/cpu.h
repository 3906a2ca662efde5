// Which instruction set the kernels run with: the best the CPU has, or less when AKIN_ISA or
// set_isa() says so.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace akin::kernels {

// In rising order; each includes those before it. `baseline` is plain x86-64 (SSE2), or the
// portable code elsewhere; `bf16` is AVX512_BF16 (bf16.h) where it is fast, or below AMX.
enum class Isa : uint8_t { baseline, sse4, avx2, avx512, vnni, bf16, amx };

std::string_view isa_name(Isa isa);
Isa detected_isa();              // what this CPU and kernel offer
std::vector<Isa> usable_isas();  // every one up to detected_isa() that the program has code for

// The one in use. First call reads AKIN_ISA (baseline|sse4|avx2|avx512|vnni|bf16|amx). Errors:
// usage for another word.
Isa active_isa();
// Lowers (never raises above detected_isa()) the one in use; weights packed before the call must
// not be used after it. Not thread-safe: for tests and start-up.
void set_isa(Isa isa);

// Whether f32 products go to the tile unit of an AMX machine. AKIN_F32=tiles asks for it; without
// it they stay on vectors (docs/ARCHITECTURE.md says why). Errors: usage for another word.
bool f32_tiles();
void set_f32_tiles(bool tiles);  // as set_isa()

}  // namespace akin::kernels
