// The row-wise operations of a layer in torch, as kernels/elementwise.h defines them.
//
// Shapes: n rows.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/arch_spec.h"

namespace akin::nn {

// Layer or RMS norm of the rows of x, [n, D]; beta may be undefined. Result in gamma's type.
at::Tensor norm_rows(const ArchSpec& arch, const at::Tensor& x, const at::Tensor& gamma,
                     const at::Tensor& beta);
at::Tensor activate_rows(const at::Tensor& x, Activation activation);
// x W^T + b, [n, out]; bias may be undefined. low_precision: operands rounded to bfloat16, the
// result stays in it.
at::Tensor linear_rows(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       bool low_precision = false);
// Rows of length 1; a row of zeros stays one.
at::Tensor normalize_rows(const at::Tensor& x);

}  // namespace akin::nn
