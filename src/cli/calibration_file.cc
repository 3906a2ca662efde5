#include "cli/calibration_file.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"

namespace akin::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kKind = "calibration";
constexpr uint64_t kMostBytes = uint64_t{1} << 28;

bool is_probability(double value) { return value >= 0 && value <= 1; }

eval::Calibrator read_calibrator(const Json& json, const std::string& where) {
  eval::Calibrator out;
  const auto method = json.at("method").get<std::string>();
  const auto fail = [&](std::string_view what) {
    throw_error(ErrorKind::bad_format, where, "{}; write the file again with akin eval --calibrate",
                what);
  };
  if (method == "platt") {
    out.method = eval::CalibrationMethod::platt;
    out.a = json.at("a").get<double>();
    out.b = json.at("b").get<double>();
    if (!std::isfinite(out.a) || !std::isfinite(out.b)) fail("a or b is not a number");
    return out;
  }
  if (method != "isotonic") fail(fmt::format("the method is {}", quote(method)));
  out.method = eval::CalibrationMethod::isotonic;
  out.knots = json.at("knots").get<std::vector<double>>();
  out.values = json.at("values").get<std::vector<double>>();
  const auto finite = [](double value) { return std::isfinite(value); };
  if (out.knots.empty() || out.knots.size() != out.values.size() ||
      !std::is_sorted(out.knots.begin(), out.knots.end()) ||
      !std::all_of(out.knots.begin(), out.knots.end(), finite) ||
      !std::is_sorted(out.values.begin(), out.values.end()) ||
      !std::all_of(out.values.begin(), out.values.end(), is_probability)) {
    fail("knots and values are no rising steps");
  }
  return out;
}

}  // namespace

void write_calibration(const std::filesystem::path& path, const CalibrationFile& file,
                       const eval::Calibration& fit) {
  Json out = {{"kind", kKind},           {"akin", AKIN_VERSION},
              {"model", file.model},     {"fingerprint", file.fingerprint},
              {"dims", file.dims},       {"dtype", file.dtype},
              {"measure", file.measure}, {"prompt", file.prompt},
              {"adapter", file.adapter}};
  out.update(eval::calibration_json(fit));
  write_file(path, out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

CalibrationFile read_calibration(const std::filesystem::path& path) {
  const std::string where = path.string();
  CalibrationFile out;
  try {
    const Json json = Json::parse(read_file(path, kMostBytes));
    if (json.at("kind").get<std::string>() != kKind) {
      throw_error(ErrorKind::bad_format, where, "is not what akin eval --calibrate --out writes");
    }
    out.model = json.at("model").get<std::string>();
    out.fingerprint = json.at("fingerprint").get<std::string>();
    if (!json.at("dims").is_number_unsigned()) {
      throw_error(ErrorKind::bad_format, where, "\"dims\" is {}, expected a whole number",
                  quote(json.at("dims").dump()));
    }
    out.dims = json.at("dims").get<size_t>();
    out.dtype = json.at("dtype").get<std::string>();
    out.measure = json.at("measure").get<std::string>();
    out.prompt = json.at("prompt").get<std::string>();
    out.adapter = json.at("adapter").get<std::string>();
    out.calibrator = read_calibrator(json.at("calibrator"), where);
    out.threshold = json.at("threshold").at("score").get<double>();
    out.threshold_probability = json.at("threshold").at("probability").get<double>();
  } catch (const nlohmann::json::exception& error) {
    throw_error(ErrorKind::bad_format, where, "is not what akin eval --calibrate --out writes: {}",
                error.what());
  }
  if (!std::isfinite(out.threshold) || !is_probability(out.threshold_probability)) {
    throw_error(
        ErrorKind::bad_format, where,
        "the threshold is a score of {} with a probability of {}; write the file again with "
        "akin eval --calibrate",
        out.threshold, out.threshold_probability);
  }
  if (out.measure != "cosine" && out.measure != "dot") {
    throw_error(ErrorKind::bad_format, where, "the measure is {}, expected cosine or dot",
                quote(out.measure));
  }
  return out;
}

void check_calibration(const CalibrationFile& file, const EncoderInfo& info, size_t dims,
                       std::string_view dtype, const std::string& path) {
  if (file.dtype != dtype && file.model == info.name) {
    throw_error(ErrorKind::usage, path,
                "was fitted on {} vectors, and these are {}; give --dtype {}, or calibrate again",
                file.dtype, dtype, file.dtype);
  }
  if (file.fingerprint != info.fingerprint) {
    throw_error(ErrorKind::usage, path,
                "was fitted on vectors of {} ({}), and this is {} ({}): scores of two models do "
                "not compare; calibrate this one with akin eval --calibrate --out",
                file.model, file.fingerprint, info.name, info.fingerprint);
  }
  if (file.dims != dims) {
    throw_error(ErrorKind::usage, path,
                "was fitted on vectors of {} dims, and these have {}; give --dims {}, or calibrate "
                "again",
                file.dims, dims, file.dims);
  }
}

}  // namespace akin::cli
