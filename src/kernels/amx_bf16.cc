// Products of bf16 matrices summed in f32 on the AMX tile unit (bf16.h). One part only: see
// amx_f32.cc for products with f32's accuracy. Tile registers 4 and 5 hold rows, 6 and 7 columns.
#include <algorithm>

#include "kernels/amx-inl.h"
#include "kernels/bf16.h"

namespace akin::kernels {
namespace {

using namespace amx;  // NOLINT(google-build-using-namespace): one product's file

static_assert(kBf16PanelCols == kAmxPanelCols && kBf16BlockRows == kTileRows &&
              kBf16RowsBytes == kTileBytes);

}  // namespace

#ifdef AKIN_HAVE_AMX

namespace {

// 32 x 32 sums over `blocks` k blocks.
AKIN_AMX_TARGET inline void multiply_blocks(const uint8_t* a0, const uint8_t* a1, const uint8_t* b,
                                            size_t blocks) {
  for (size_t i = 0; i < blocks; ++i) {
    _tile_loadd(4, a0, 64);
    _tile_loadd(6, b, 64);
    _tile_loadd(7, b + kTileBytes, 64);
    _tile_loadd(5, a1, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    a0 += kTileBytes;
    a1 += kTileBytes;
    b += kBf16ColumnsBytes;
  }
}

}  // namespace

namespace {

// Up to 32 x 32 of y. A whole block's sums start at the bias or at what y holds, and go straight to
// y; others, and activations, pass through scratch and the epilogue.
AKIN_AMX_TARGET void run_block(const MatmulArgs& args, const Block& block, const uint8_t* a,
                               size_t tile_row, const uint8_t* b, size_t begin, size_t count,
                               bool last, uint8_t* scratch) {
  const bool whole = block.rows == kRowBlock && block.cols == kAmxPanelCols &&
                     args.epilogue.kind != EpilogueKind::activate;
  float* y = args.y + block.row * args.y_stride + block.col;
  const size_t row_bytes = args.y_stride * sizeof(float);
  float* below = y + kTileRows * args.y_stride;
  if (!whole) {
    if (begin == 0) {
      zero_sums();
    } else {
      load_sums(scratch);
    }
  } else if (begin > 0 || args.epilogue.kind == EpilogueKind::add) {
    _tile_loadd(0, y, row_bytes);
    _tile_loadd(1, y + 16, row_bytes);
    _tile_loadd(2, below, row_bytes);
    _tile_loadd(3, below + 16, row_bytes);
  } else {
    const float* bias = args.bias + block.col;  // the same line for every row
    _tile_loadd(0, bias, 0);
    _tile_loadd(1, bias + 16, 0);
    _tile_loadd(2, bias, 0);
    _tile_loadd(3, bias + 16, 0);
  }
  multiply_blocks(a, a + tile_row, b, count);
  if (whole) {
    _tile_stored(0, y, row_bytes);
    _tile_stored(1, y + 16, row_bytes);
    _tile_stored(2, below, row_bytes);
    _tile_stored(3, below + 16, row_bytes);
    return;
  }
  store_sums(scratch);
  if (last) simd_epilogue_f32(args, block, reinterpret_cast<const float*>(scratch), kAmxPanelCols);
}

// y += bias, row by row: what run_block leaves out when it starts from y.
void add_bias(const MatmulArgs& args) {
  const size_t cols = args.n / kAmxPanelCols * kAmxPanelCols;
  const size_t rows = args.row_begin + (args.row_end - args.row_begin) / kRowBlock * kRowBlock;
  if (std::all_of(args.bias, args.bias + cols, [](float b) { return b == 0; })) return;
  for (size_t r = args.row_begin; r < rows; ++r) {
    float* y = args.y + r * args.y_stride;
    for (size_t c = 0; c < cols; ++c) y[c] += args.bias[c];
  }
}

}  // namespace

AKIN_AMX_TARGET void amx_matmul_bf16(const MatmulArgs& args) {
  const size_t blocks = bf16_depth_blocks(args.k), tile_row = blocks * kTileBytes,
               pieces = (blocks + kBf16L1Blocks - 1) / kBf16L1Blocks,
               piece = (blocks + pieces - 1) / pieces,
               row_blocks = (args.row_end - args.row_begin + kRowBlock - 1) / kRowBlock;
  if (args.epilogue.kind == EpilogueKind::add) add_bias(args);
  const TileScope tiles(kTileRows);
  thread_local AlignedArray<uint8_t> scratch;
  scratch.ensure(row_blocks * kBlockBytes);
  for (size_t panel = args.panel_begin; panel < args.panel_end; ++panel) {
    const size_t col = panel * kAmxPanelCols, cols = std::min(kAmxPanelCols, args.n - col);
    const uint8_t* b = args.w + panel * blocks * kBf16ColumnsBytes;
    for (size_t begin = 0; begin < blocks; begin += piece) {
      const size_t count = std::min(piece, blocks - begin);
      const uint8_t* next = b + (begin + count) * kBf16ColumnsBytes;
      const size_t share = (count * kBf16ColumnsBytes / kCacheLine + row_blocks - 1) / row_blocks;
      for (size_t r = 0; r < row_blocks; ++r, next += share * kCacheLine) {
        prefetch_far(next, share);
        const size_t row = args.row_begin + r * kRowBlock;
        const uint8_t* a = args.x + row / kTileRows * tile_row + begin * kTileBytes;
        run_block(args, {row, std::min(kRowBlock, args.row_end - row), col, cols}, a, tile_row,
                  b + begin * kBf16ColumnsBytes, begin, count, begin + count == blocks,
                  scratch.data() + r * kBlockBytes);
      }
    }
  }
}

#else

void amx_matmul_bf16(const MatmulArgs&) { AKIN_CHECK(amx_available()); }

#endif

}  // namespace akin::kernels
