// How a scan walks over its rows: in order or by number, asking for memory ahead. Compiled once per
// Highway target; include only from files that use foreach_target.h.

#if defined(AKIN_KERNELS_SCAN_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef AKIN_KERNELS_SCAN_ROWS_INL_H_
#undef AKIN_KERNELS_SCAN_ROWS_INL_H_
#else
#define AKIN_KERNELS_SCAN_ROWS_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/scan.h"

HWY_BEFORE_NAMESPACE();
namespace akin::kernels::HWY_NAMESPACE {

constexpr size_t kScanAheadBytes = 4096;  // of rows in order
constexpr size_t kScanAheadRows = 8;      // of rows by number

struct RowsInOrder {
  explicit RowsInOrder(const ScanRows& rows) : base(rows.base), stride(rows.stride) {}
  HWY_INLINE const uint8_t* row(size_t i) const { return base + i * stride; }
  HWY_INLINE const uint8_t* ahead(size_t i) const { return row(i) + kScanAheadBytes; }
  const uint8_t* base;
  size_t stride;
};
struct RowsByNumber {
  explicit RowsByNumber(const ScanRows& rows)
      : base(rows.base), stride(rows.stride), last(rows.count - 1), ids(rows.ids) {}
  HWY_INLINE const uint8_t* row(size_t i) const { return base + ids[i] * stride; }
  HWY_INLINE const uint8_t* ahead(size_t i) const {
    return row(std::min(i + kScanAheadRows, last));
  }
  const uint8_t* base;
  size_t stride, last;
  const uint32_t* ids;
};

// f(rows) with the right one of the two.
template <class F>
HWY_INLINE void with_rows(const ScanRows& rows, const F& f) {
  if (rows.count == 0) return;
  if (rows.ids == nullptr) {
    f(RowsInOrder(rows));
  } else {
    f(RowsByNumber(rows));
  }
}

}  // namespace akin::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard per target
