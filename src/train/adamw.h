// AdamW with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101) over the parameters
// of a model, gradient clipping by the global norm, and a running average of the weights. One pass
// over memory for each parameter.
//
// Tables whose gradient comes as sparse rows are updated lazily: a row that no text of the batch
// used keeps its moments and is not decayed, and the bias correction counts steps, not uses of the
// row (as torch's SparseAdam does). So a step costs what its texts touch, not the vocabulary.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <string>
#include <vector>

#include "base/threads.h"
#include "nn/text_model.h"

namespace akin::train {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01;
  double clip = 1;  // 0: none
  double ema = 0;   // 0: no average is kept
};

class AdamW {
 public:
  // `parameters` outlives this; frozen ones are left alone.
  AdamW(std::vector<nn::Parameter>& parameters, const AdamWOptions& options, ThreadPool& pool);

  // Takes the gradients of the parameters, updates these, and drops the gradients. Returns the
  // norm of the gradient before clipping. A gradient that is not finite changes nothing and is
  // returned as it is.
  double step(double learning_rate);
  uint64_t steps() const { return steps_; }

  // The averaged weights, in the order of the parameters; empty without ema. Frozen ones are the
  // parameters themselves.
  std::vector<at::Tensor> averages() const;

  // Everything that the next step depends on, by name: "adam.m.<parameter>", "adam.v.", "ema.".
  std::map<std::string, at::Tensor> state() const;
  // Errors: bad_format, when something is missing or of another shape.
  void restore(const std::map<std::string, at::Tensor>& state, uint64_t steps);

 private:
  struct Slot {
    at::Tensor m, v, average;  // of the parameter's shape, on its device
  };
  struct Factors;
  void update_cpu(nn::Parameter& parameter, Slot& slot, const at::Tensor& gradient,
                  const Factors& factors);
  void update_any(nn::Parameter& parameter, Slot& slot, const at::Tensor& gradient,
                  const Factors& factors);
  void average_dense(nn::Parameter& parameter, Slot& slot);

  std::vector<nn::Parameter>& parameters_;
  AdamWOptions options_;
  ThreadPool& pool_;
  std::vector<Slot> slots_;
  uint64_t steps_ = 0;
};

}  // namespace akin::train
