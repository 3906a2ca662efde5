// The CPU engine: core::Encoder over our own kernels, from a loaded model folder.
#pragma once

#include <memory>

#include "core/encoder.h"
#include "model/model.h"

namespace akin::engine {

struct CpuOptions {
  size_t threads = 0;  // 0 = usable_cpus()
  Precision precision = Precision::f32;
};

// Packs (and for int8 quantises) the weights. Errors: unsupported for a spec this engine cannot
// run.
std::unique_ptr<Encoder> make_cpu_encoder(model::Model model, const CpuOptions& options = {});

}  // namespace akin::engine
