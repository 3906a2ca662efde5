// The diagonal Fisher information of a model on pairs, for elastic weight consolidation (ewc.h): a
// query reads the batch's documents as classes, p(j | i) = softmax_j(s(q_i, d_j) / temperature),
// and likewise a document the queries. The vectors of the candidates are held fixed, so that a text
// costs one backward pass.
//
//   F_w = 1/n sum over texts of (d ln p(y | text) / dw)^2,  y the text's own partner (empirical) or
//   drawn from p (sampled: at a model that fits its data, the former goes to zero sooner)
//
// One gradient a text, squared, then summed: the square of a batch's mean gradient is another
// quantity, which depends on the batch. Without dropout.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <string>

#include "data/loader.h"
#include "nn/text_model.h"
#include "train/ewc.h"

namespace akin::train {

class FisherEstimate {
 public:
  // The model outlives this. Only trained parameters are looked at.
  FisherEstimate(nn::TextModel& model, FisherLabels labels, uint64_t seed);
  // The batch's pairs, both ways; its candidates are its documents and negatives.
  void add(const data::TrainBatch& batch, double temperature);
  uint64_t queries() const { return queries_; }
  // F as above with n = queries(), not normalised, anchored where the weights are now.
  Importance finish() const;

 private:
  void add_text(const TokenBatch& text, const at::Tensor& candidates, const at::Tensor& allowed,
                int64_t partner, double temperature);
  void take_squares();

  nn::TextModel& model_;
  FisherLabels labels_;
  uint64_t seed_, queries_ = 0, drawn_ = 0;
  std::map<std::string, at::Tensor> sums_;
};

}  // namespace akin::train
