// akin eval --calibrate: similarity scores of labelled pairs, turned into probabilities and a
// threshold (eval/calibration.h). Reads the pairs and shows the outcome; fits nothing itself.
#pragma once

#include <string>

#include "cli/context.h"
#include "core/encoder.h"
#include "eval/calibration.h"

namespace akin::cli {

// A file of two texts and a label 0 or 1 a row, in any format of store/rows.h; vectors cut to
// `dims`. Errors: bad_format naming file and row.
// `out`: a file for akin similarity --calibrated; empty: none is written.
void run_calibration(const std::string& pairs, Encoder& encoder, size_t dims,
                     const eval::CalibrationOptions& options, const std::string& out,
                     Context& context);

}  // namespace akin::cli
