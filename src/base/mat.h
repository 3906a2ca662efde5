// Matrices: MatView borrows, Mat owns 64-byte aligned rows. Row-major; no arithmetic here (see
// kernels/).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>

#include "base/error.h"

namespace akin {

inline constexpr size_t kAlignment = 64;  // bytes: one cache line, one AVX-512 register

// A borrowed matrix, [rows, cols], `stride` elements from one row to the next. Never outlives the
// call it is passed to.
template <typename T>
class MatView {
 public:
  MatView() = default;
  MatView(T* data, size_t rows, size_t cols) : MatView(data, rows, cols, cols) {}
  MatView(T* data, size_t rows, size_t cols, size_t stride)
      : data_(data), rows_(rows), cols_(cols), stride_(stride) {}
  // NOLINTNEXTLINE(google-explicit-constructor): MatView<T> converts to MatView<const T>
  operator MatView<const T>() const requires(!std::is_const_v<T>) {
    return {data_, rows_, cols_, stride_};
  }

  T* data() const { return data_; }
  size_t rows() const { return rows_; }
  size_t cols() const { return cols_; }
  size_t stride() const { return stride_; }
  bool empty() const { return rows_ == 0 || cols_ == 0; }
  T* row(size_t r) const {
    AKIN_DCHECK(r < rows_);
    return data_ + r * stride_;
  }
  T& operator()(size_t r, size_t c) const {
    AKIN_DCHECK(c < cols_);
    return row(r)[c];
  }
  MatView row_range(size_t begin, size_t count) const {
    AKIN_DCHECK(begin + count <= rows_);
    return {data_ + begin * stride_, count, cols_, stride_};
  }
  MatView col_range(size_t begin, size_t count) const {
    AKIN_DCHECK(begin + count <= cols_);
    return {data_ + begin, rows_, count, stride_};
  }

 private:
  T* data_ = nullptr;
  size_t rows_ = 0, cols_ = 0, stride_ = 0;
};

// An owned, 64-byte aligned, uninitialised array of trivial T. Throws std::bad_alloc.
template <typename T>
class AlignedArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  AlignedArray() = default;
  explicit AlignedArray(size_t size) { reset(size); }
  void reset(size_t size) {
    if (size > (size_t{1} << 60) / sizeof(T)) throw std::bad_alloc();
    const size_t bytes = (size * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    data_.reset(static_cast<T*>(bytes == 0 ? nullptr : std::aligned_alloc(kAlignment, bytes)));
    if (bytes != 0 && !data_) throw std::bad_alloc();
    size_ = size;
  }
  // Keeps the old block when it is large enough; contents are undefined after growth.
  void ensure(size_t size) {
    if (size > size_) reset(size);
  }
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data_.get()[i]; }
  const T& operator[](size_t i) const { return data_.get()[i]; }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data_;
  size_t size_ = 0;
};

// An owned matrix, zero-filled, [rows, cols], stride == cols. Throws std::bad_alloc.
template <typename T>
class Mat {
 public:
  Mat() = default;
  Mat(size_t rows, size_t cols) : array_(area(rows, cols)), rows_(rows), cols_(cols) {
    std::fill_n(array_.data(), array_.size(), T{});
  }
  static Mat unfilled(size_t rows, size_t cols) {  // for who writes every value
    Mat mat;
    mat.array_.reset(area(rows, cols));
    mat.rows_ = rows;
    mat.cols_ = cols;
    return mat;
  }
  size_t rows() const { return rows_; }
  size_t cols() const { return cols_; }
  T* data() { return array_.data(); }
  const T* data() const { return array_.data(); }
  T* row(size_t r) { return view().row(r); }
  const T* row(size_t r) const { return view().row(r); }
  T& operator()(size_t r, size_t c) { return view()(r, c); }
  const T& operator()(size_t r, size_t c) const { return view()(r, c); }
  MatView<T> view() { return {array_.data(), rows_, cols_}; }
  MatView<const T> view() const { return {array_.data(), rows_, cols_}; }

 private:
  static size_t area(size_t rows, size_t cols) {
    size_t out = 0;
    if (__builtin_mul_overflow(rows, cols, &out)) throw std::bad_alloc();
    return out;
  }

  AlignedArray<T> array_;
  size_t rows_ = 0, cols_ = 0;
};

}  // namespace akin
