// Masked language modelling's head (BERT, arXiv:1810.04805): token vectors through a linear map, an
// activation and a norm, then a product with the model's own token table. On the CPU the product
// and the softmax are nn/vocabulary_softmax.h; elsewhere torch operations. Not part of a model
// folder: it is thrown away, or goes on from its own file.
//
// Shapes: M rows, V tokens of the vocabulary, D hidden, B texts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/threads.h"
#include "core/arch_spec.h"
#include "nn/named_tensors.h"
#include "nn/text_model.h"

namespace akin::nn {

// A new weight: normal with the deviation, or a constant where that is 0. The numbers depend on the
// seed and the name alone.
struct NewWeights {
  uint64_t seed = 1;
  double deviation = 0.02;
  at::Device device = at::kCPU;
  // Weights that are there already, by name; others are new.
  NamedTensors given = {};
  Parameter matrix(const std::string& name, int64_t rows, int64_t cols) const;
  Parameter vector(const std::string& name, int64_t size, float value) const;
};

// The head in a model folder whose checkpoint has one (cls.predictions.*, lm_head.*) or in the file
// of an earlier run beside it; empty where there is none. Errors: bad_format.
NamedTensors find_mlm_head(const std::filesystem::path& model_folder);

class MlmHead {
 public:
  MlmHead(const ArchSpec& arch, const NewWeights& weights);
  const std::vector<Parameter>& parameters() const { return parameters_; }  // "mlm.*"

  // [M, D] -> [M, D]
  at::Tensor transform(const at::Tensor& rows) const;
  // Mean of the cross-entropies of the transformed rows, [M, D], with labels of `table`, [V, D].
  at::Tensor loss(const at::Tensor& transformed, const at::Tensor& table,
                  std::span<const int32_t> labels, ThreadPool& pool) const;
  // Mean over texts of the bag-of-words loss. Rows and ids of text b: [offsets[b], offsets[b + 1]).
  at::Tensor bag_loss(const at::Tensor& transformed, const at::Tensor& table,
                      std::span<const int32_t> ids, std::span<const uint32_t> offsets,
                      ThreadPool& pool) const;

 private:
  const ArchSpec arch_;
  std::vector<Parameter> parameters_;
  at::Tensor dense_, dense_bias_, gamma_, beta_, bias_;
};

}  // namespace akin::nn
