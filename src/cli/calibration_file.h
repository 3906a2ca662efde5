// What akin eval --calibrate leaves for akin similarity --calibrated: a fitted calibration and all
// that its scores hang on. JSON. Fits nothing (eval/calibration.h).
#pragma once

#include <filesystem>
#include <string>

#include "core/encoder.h"
#include "eval/calibration.h"

namespace akin::cli {

struct CalibrationFile {
  std::string model, fingerprint, dtype, prompt, adapter;
  std::string measure;  // cosine or dot
  size_t dims = 0;
  eval::Calibrator calibrator;
  double threshold = 0, threshold_probability = 0;  // a match from this score on
};

// `fit` holds calibrator and threshold, those of `file` are not read; its other figures (precision,
// recall, held-out measures) go into the file, too. Written whole or not at all.
void write_calibration(const std::filesystem::path& path, const CalibrationFile& file,
                       const eval::Calibration& fit);
// Errors: not_found, bad_format.
CalibrationFile read_calibration(const std::filesystem::path& path);

// Errors: usage, when the vectors of this model at this length and precision are not those that the
// calibration was fitted on.
void check_calibration(const CalibrationFile& file, const EncoderInfo& info, size_t dims,
                       std::string_view dtype, const std::string& path);

}  // namespace akin::cli
