// Elastic weight consolidation: weights that earlier data made important are held where they were
// (Kirkpatrick et al., arXiv:1612.00796), over several stages by one running Fisher (Schwarz et
// al., arXiv:1805.06370) or by the exact sum of the stages' quadratics. Not here: estimating the
// Fisher (fisher.h).
//
//   penalty = lambda / 2 * sum_i F_i (w_i - a_i)^2,   F scaled so that sum_i F_i a_i^2 = 1
//
// is lambda / 2 times the mean square of the weights' relative movement, weighted by importance: a
// number that does not depend on the model's size, the scale of its weights, the temperature or the
// number of candidates. Moving all that matters by 1 % costs lambda / 20,000.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/threads.h"
#include "core/arch_spec.h"
#include "nn/text_model.h"
#include "train/continual_tables.h"

namespace akin::train {

// A parameter's name, with an adapter's task in place of its number, which may be another when the
// model is opened again.
std::string lasting_name(const std::string& parameter, const ArchSpec& arch);

// What earlier stages leave behind, by lasting name.
struct Importance {
  std::map<std::string, at::Tensor> fisher, anchor;  // f32, of the parameter's shape
  nlohmann::json about = nlohmann::json::object();   // how it was estimated, for people
};

void write_importance(const std::filesystem::path& path, const Importance& importance);
// Errors: not_found; bad_format (damaged, or not such a file).
Importance read_importance(const std::filesystem::path& path);

// Cuts the largest shares of F down to its `quantile` (1: none) and scales F as above. Errors:
// usage, where nothing is important.
void normalize(Importance& importance, double quantile);

// One importance of two: `fresh` was estimated after the stage that `old` was held in. online: F =
// decay * old + fresh, held where `fresh` is. sum: F = old + fresh, held at the F-weighted mean of
// both places, which is the sum of the two penalties but for a constant.
Importance combine(const Importance& old, const Importance& fresh, KeepFisher keep, double decay);

class Ewc {
 public:
  // Parameters that `held` does not know, and frozen ones, are free. Errors: bad_format (other
  // shapes); usage (it knows none of the trained parameters).
  Ewc(Importance held, const std::vector<nn::Parameter>& parameters, const ArchSpec& arch,
      double lambda, ThreadPool& pool);

  // Adds the penalty's gradient to the parameters' gradients and returns the penalty. Sparse rows
  // stay sparse: the batch's rows and those that are away from their anchor.
  double add(std::vector<nn::Parameter>& parameters);
  const Importance& held() const { return held_; }
  double lambda() const { return lambda_; }

 private:
  struct Term {
    at::Tensor fisher, anchor;  // undefined: free
  };
  double add_dense(nn::Parameter& parameter, const Term& term);
  double add_rows(nn::Parameter& parameter, const Term& term);
  double add_on_device(nn::Parameter& parameter, const Term& term) const;

  Importance held_;
  std::vector<Term> terms_;
  double lambda_;
  ThreadPool& pool_;
};

}  // namespace akin::train
