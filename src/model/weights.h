// Weight rules applied to files: every tensor found, its shape and dtype checked, and seen under
// its canonical name. Copies no weight. Internal to model/.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/mat.h"
#include "model/family.h"
#include "store/safetensors.h"

namespace akin::model {

// The rows of a checkpoint tensor that a rule names. `where` is the file, for errors: not_found,
// bad_format (shape), unsupported (dtype; integers are accepted where `integers` says so).
Tensor resolve_rule(const WeightRule& rule, const TensorTable& tensors, std::string_view where,
                    bool integers = false);

// The suffix of the F32 [rows] tensor that belongs to a weight stored as I8 by `akin quantize`.
inline constexpr std::string_view kScaleSuffix = ".akin_scale";

class MappedWeights final : public Weights {
 public:
  // Keeps `files` open; apply() takes their tensors by rule.
  void apply(store::TensorFiles files, const std::vector<WeightRule>& rules, std::string_view where,
             bool integers = false);
  // The table of the first file that was applied: the transformer's own.
  const TensorTable& checkpoint() const { return files_.front().tensors(); }
  uint64_t parameters() const { return parameters_; }  // elements of distinct checkpoint tensors
  // A weight that no file holds in this form: of an adapter. Its source is its own name.
  void add_owned(const std::string& name, Mat<float> values);

  bool has(std::string_view name) const override { return table_.contains(name); }
  const Tensor& at(std::string_view name) const override;
  std::vector<std::string> names() const override;
  std::string_view source(std::string_view name) const override;
  void release_pages() const override {
    for (const store::TensorFiles& files : files_) {
      for (const MappedFile& file : files.files()) file.release_pages();
    }
  }

 private:
  std::vector<store::TensorFiles> files_;
  std::vector<Mat<float>> owned_;
  void add_scale(const WeightRule& rule, const TensorTable& tensors, std::string_view where);

  TensorTable table_;
  std::map<std::string, std::string, std::less<>> sources_;  // canonical -> checkpoint name
  uint64_t parameters_ = 0;
};

}  // namespace akin::model
