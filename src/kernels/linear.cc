#include "kernels/linear.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include "kernels/amx.h"
#include "kernels/cpu.h"
#include "kernels/matmul.h"

namespace akin::kernels {
namespace {

bool is_int8(Backend backend) {
  return backend == Backend::simd_int8 || backend == Backend::amx_int8;
}

size_t operand_bytes(Backend backend, size_t rows, size_t k) {
  switch (backend) {
    case Backend::simd_f32:
      return rows * k * sizeof(float);
    case Backend::amx_f32:
      return amx_f32_operand_bytes(rows, k);
    case Backend::amx_f32_short:
      return rows * amx_f32_short_row_floats(k) * sizeof(float);
    case Backend::simd_int8:
      return rows * simd_int8_row_bytes(k) + 64;
    case Backend::amx_int8:
      return amx_int8_operand_bytes(rows, k);
  }
  return 0;
}

size_t weight_bytes(Backend backend, size_t n_padded, size_t k) {
  switch (backend) {
    case Backend::simd_f32:
      return n_padded * k * sizeof(float);
    case Backend::amx_f32:
    case Backend::amx_f32_short:
      return amx_f32_weight_bytes(n_padded, k);
    case Backend::simd_int8:
      return n_padded * (simd_int8_uses_vnni() ? round_up(k, 4) : round_up(k, 2) * 2);
    case Backend::amx_int8:
      return amx_int8_weight_bytes(n_padded, k);
  }
  return 0;
}

// Puts one quantised row of W in its place in the VNNI or the 16-bit layout.
void set_simd_int8_row(uint8_t* data, size_t k, size_t column, size_t cols, const int8_t* q) {
  const bool vnni = simd_int8_uses_vnni();
  const size_t step = vnni ? 4 : 2, steps = (k + step - 1) / step;
  uint8_t* panel = data + column / cols * steps * 4 * cols + column % cols * 4;
  for (size_t i = 0; i < k; ++i) {
    uint8_t* cell = panel + i / step * 4 * cols;
    if (vnni) {
      cell[i % 4] = static_cast<uint8_t>(q[i]);
    } else {
      const auto wide = static_cast<int16_t>(int{q[i]});
      std::memcpy(cell + i % 2 * 2, &wide, sizeof wide);
    }
  }
}

}  // namespace

Backend choose_backend(Precision precision) {
  const bool amx = active_isa() >= Isa::amx;
  if (precision == Precision::int8) return amx ? Backend::amx_int8 : Backend::simd_int8;
  return amx && f32_tiles() ? Backend::amx_f32 : Backend::simd_f32;
}

Backend operand_backend(Backend weights, size_t tokens) {
  constexpr size_t kShortTokens = 16;
  return weights == Backend::amx_f32 && tokens <= kShortTokens ? Backend::amx_f32_short : weights;
}

std::string_view backend_name(Backend backend) {
  constexpr std::string_view kNames[] = {"simd_f32", "amx_f32", "amx_f32_short", "simd_int8",
                                         "amx_int8"};
  return kNames[static_cast<size_t>(backend)];
}

void Operand::reserve(Backend backend, size_t rows, size_t k) {
  data_.ensure(operand_bytes(backend, rows, k));
  if (is_int8(backend)) scales_.ensure(round_up(rows, kRowBlock));
  backend_ = backend;
  rows_ = rows;
  k_ = k;
  own_rows();
}

void Operand::own_rows() {
  borrowed_ = nullptr;
  stride_ = k_;
}

void Operand::set_all(MatView<const float> x) {
  own_rows();
  if (backend_ != Backend::simd_f32) return set_rows(0, x);
  AKIN_CHECK(x.cols() == k_ && x.rows() <= rows_);
  borrowed_ = reinterpret_cast<const uint8_t*>(x.data());
  stride_ = x.stride();
}

void Operand::set_rows(size_t row, MatView<const float> x) {
  AKIN_CHECK(x.cols() == k_ && row + x.rows() <= rows_ && borrowed_ == nullptr);
  for (size_t r = 0; r < x.rows(); ++r, ++row) {
    switch (backend_) {
      case Backend::simd_f32:
        std::memcpy(data_.data() + row * k_ * sizeof(float), x.row(r), k_ * sizeof(float));
        break;
      case Backend::amx_f32_short: {
        const size_t floats = amx_f32_short_row_floats(k_);
        auto* to = reinterpret_cast<float*>(data_.data()) + row * floats;
        std::memcpy(to, x.row(r), k_ * sizeof(float));
        std::fill(to + k_, to + floats, 0.0F);
        break;
      }
      case Backend::amx_f32:
        amx_f32_set_row(data_.data(), k_, row, x.row(r));
        break;
      case Backend::simd_int8:
        scales_[row] =
            simd_set_int8_row(x.row(r), k_, data_.data() + row * simd_int8_row_bytes(k_));
        break;
      case Backend::amx_int8:
        scales_[row] = amx_int8_set_row(data_.data(), k_, row, x.row(r));
        break;
    }
  }
}

PackedLinear::PackedLinear(Backend backend, size_t n, size_t k, const RowReader& read_row,
                           std::span<const float> bias)
    : backend_(backend), n_(n), k_(k) {
  const bool amx = backend == Backend::amx_f32 || backend == Backend::amx_int8;
  panel_cols_ = amx ? kAmxPanelCols : simd_panel_cols();
  const size_t padded = round_up(n, panel_cols_);
  data_.reset(weight_bytes(backend, padded, k));
  std::memset(data_.data(), 0, data_.size());
  bias_.reset(padded);
  std::fill_n(bias_.data(), padded, 0.0F);
  std::copy(bias.begin(), bias.end(), bias_.data());
  if (is_int8(backend)) {
    scales_.reset(padded);
    std::fill_n(scales_.data(), padded, 0.0F);
    sums_.reset(padded);
    std::fill_n(sums_.data(), padded, 0);
  }
  std::vector<float> row(k);
  std::vector<int8_t> q(k);
  for (size_t i = 0; i < n; ++i) {
    read_row(i, row);
    if (backend == Backend::simd_f32) {
      auto* out = reinterpret_cast<float*>(data_.data()) + i / panel_cols_ * k * panel_cols_ +
                  i % panel_cols_;
      for (size_t j = 0; j < k; ++j) out[j * panel_cols_] = row[j];
    } else if (backend == Backend::amx_f32) {
      amx_f32_set_weight_row(data_.data(), k, i, row.data());
    } else {
      scales_[i] = quantize_row(row.data(), k, q.data());
      int32_t sum = 0;
      for (const int8_t value : q) sum += value;
      sums_[i] = 128 * sum;
      if (backend == Backend::amx_int8) {
        amx_int8_set_weight_row(data_.data(), k, i, q.data());
      } else {
        set_simd_int8_row(data_.data(), k, i, panel_cols_, q.data());
      }
    }
  }
}

size_t PackedLinear::panels() const { return (n_ + panel_cols_ - 1) / panel_cols_; }

void PackedLinear::run(const Operand& x, size_t row_begin, size_t row_end, size_t panel_begin,
                       size_t panel_end, Epilogue epilogue, MatView<float> y) const {
  AKIN_CHECK(x.backend() == backend_ ||
             (x.backend() == Backend::amx_f32_short && backend_ == Backend::amx_f32));
  AKIN_CHECK(x.k() == k_ && y.cols() == n_);
  AKIN_CHECK(row_begin % kRowBlock == 0 && row_end <= x.rows() && row_end <= y.rows() &&
             panel_end <= panels());
  if (row_begin >= row_end || panel_begin >= panel_end) return;
  MatmulArgs args;
  args.x = x.data();
  args.x_stride = x.stride();
  args.x_scales = x.scales();
  args.w = data_.data();
  args.w_scales = scales_.data();
  args.w_sums = sums_.data();
  args.bias = bias_.data();
  args.n = n_;
  args.k = k_;
  args.row_begin = row_begin;
  args.row_end = row_end;
  args.panel_begin = panel_begin;
  args.panel_end = panel_end;
  args.epilogue = epilogue;
  args.y = y.data();
  args.y_stride = y.stride();
  switch (x.backend()) {
    case Backend::simd_f32:
      simd_matmul_f32(args);
      break;
    case Backend::amx_f32_short:
      amx_matmul_f32_short(args);
      break;
    case Backend::amx_f32:
      amx_matmul_f32(args);
      break;
    case Backend::simd_int8:
      simd_matmul_int8(args);
      break;
    case Backend::amx_int8:
      amx_matmul_int8(args);
      break;
  }
}

}  // namespace akin::kernels
