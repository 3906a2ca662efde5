// What the tests of the numeric core share: the stored results of numpy, scipy and scikit-learn
// (tools/make_eval_goldens.py) and the inputs they belong to. Only for *_test.cc.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/mat.h"
#include "eval/rng.h"

namespace akin::eval {

using Json = nlohmann::json;

inline const Json& goldens(const std::string& name) {
  static std::map<std::string, Json> files;
  auto& file = files[name];
  if (file.is_null()) file = Json::parse(read_file("tests/goldens/eval_" + name + ".json"));
  return file;
}

// The column a spec stands for: uniform draws, cut into `levels` whole numbers if not 0.
inline std::vector<double> column(const Json& spec) {
  NumpyRandom rng(spec.at("seed").get<uint32_t>());
  const auto levels = spec.at("levels").get<double>(), scale = spec.at("scale").get<double>(),
             offset = spec.at("offset").get<double>();
  std::vector<double> values(spec.at("n").get<size_t>());
  for (auto& v : values) {
    const double u = rng.uniform();
    v = offset + scale * (levels == 0 ? u : std::floor(u * levels));
  }
  return values;
}

template <typename T>
std::vector<T> whole_column(const Json& spec) {
  std::vector<T> out;
  for (const double v : column(spec)) out.push_back(static_cast<T>(v));
  return out;
}

inline double number(const Json& value) {  // null stands for NaN
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

// Rows of uniform noise, the columns j = row (mod classes) raised by `shift`; labels row % classes.
struct Embeddings {
  Mat<float> x;
  std::vector<int32_t> labels;
};
inline Embeddings embeddings(uint32_t seed, size_t rows, size_t dims, size_t classes,
                             double shift) {
  NumpyRandom rng(seed);
  Embeddings out{Mat<float>(rows, dims), {}};
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < dims; ++c) {
      const double lift = c % classes == r % classes ? shift : 0;
      out.x(r, c) = static_cast<float>(rng.uniform() - 0.5 + lift);
    }
    out.labels.push_back(static_cast<int32_t>(r % classes));
  }
  return out;
}

// Equal, or both NaN, or nearer than `tolerance` (relative above 1).
inline bool near(double got, double expected, double tolerance = 1e-9) {
  if (std::isnan(expected)) return std::isnan(got);
  return std::abs(got - expected) <= tolerance * std::max(1.0, std::abs(expected));
}

}  // namespace akin::eval
