#include "nn/mlm_head.h"

#include <ATen/ATen.h>

#include <functional>
#include <memory>

#include "base/hash.h"
#include "base/rng.h"
#include "nn/autograd_op.h"
#include "nn/torch_ops.h"
#include "nn/vocabulary_softmax.h"
#include "store/safetensors.h"

namespace akin::nn {
namespace {

namespace fs = std::filesystem;

Parameter make_parameter(const NewWeights& weights, const std::string& name,
                         const std::vector<int64_t>& shape,
                         const std::function<void(at::Tensor&)>& fill) {
  Parameter out;
  out.name = name;
  if (const auto it = weights.given.find(name); it != weights.given.end()) {
    if (it->second.sizes().vec() != shape) {
      throw_error(ErrorKind::bad_format, name,
                  "the head's weight has another shape than this model needs; start without it");
    }
    out.value = it->second.clone();
  } else {
    out.value = at::empty(shape, at::kFloat);
    fill(out.value);
  }
  out.value = out.value.to(weights.device).contiguous();
  out.value.set_requires_grad(true);
  out.decay = shape.size() > 1;
  return out;
}

MatView<float> view(const at::Tensor& t) {
  return {t.data_ptr<float>(), static_cast<size_t>(t.size(0)), static_cast<size_t>(t.size(1))};
}
std::span<float> values(const at::Tensor& t) {
  return {t.data_ptr<float>(), static_cast<size_t>(t.numel())};
}

// What the loss of either kind computes: its value, given where gradients go.
using Compute = std::function<double(const VocabularyWeights&, MatView<const float>,
                                     const VocabularyGradients&)>;

// scale * compute(...) with its gradients, which are worked out beside the value and kept.
at::Tensor fused(const at::Tensor& rows, const at::Tensor& table, const at::Tensor& bias,
                 double scale, const Compute& compute) {
  const at::Tensor x = rows.detach().contiguous(), weights = table.detach(), b = bias.detach();
  const at::Tensor inputs[] = {rows, table, bias};
  const VocabularyWeights given{view(weights), values(b)};
  std::vector<at::Tensor> kept;
  VocabularyGradients gradients;
  if (wants_graph(inputs)) {
    kept = {at::empty_like(x), at::zeros_like(weights), at::zeros_like(b)};
    gradients = {view(kept[0]), view(kept[1]), values(kept[2]), scale};
  }
  const double value = compute(given, view(x), gradients);
  const at::Tensor out = at::scalar_tensor(scale * value, at::kFloat);
  return with_backward(out, inputs, "VocabularyLoss",
                       [kept](const at::Tensor& d_out, const std::vector<bool>& needs) {
                         const float factor = d_out.item<float>();
                         std::vector<at::Tensor> result(3);
                         for (size_t i = 0; i < 3; ++i) {
                           if (!needs[i]) continue;
                           result[i] = factor == 1.0F ? kept[i] : kept[i] * factor;
                         }
                         return result;
                       });
}

at::Tensor as_longs(std::span<const int32_t> ids, const at::Device& device) {
  return at::tensor(std::vector<int64_t>(ids.begin(), ids.end()), at::kLong).to(device);
}

at::Tensor to_tensor(const Tensor& stored) {
  at::Tensor out = at::empty(stored.shape, at::kFloat);
  tensor_to_f32(stored, 0, values(out.view({-1})));
  return out;
}

}  // namespace

Parameter NewWeights::matrix(const std::string& name, int64_t rows, int64_t cols) const {
  return make_parameter(*this, name, {rows, cols}, [&](at::Tensor& out) {
    Rng rng(hash64(name, seed));
    for (float& value : values(out)) value = static_cast<float>(deviation * rng.normal());
  });
}

Parameter NewWeights::vector(const std::string& name, int64_t size, float value) const {
  return make_parameter(*this, name, {size}, [&](at::Tensor& out) { out.fill_(value); });
}

NamedTensors find_mlm_head(const fs::path& model_folder) {
  NamedTensors out;
  std::error_code ignored;
  const fs::path folder = model_folder.has_filename() ? model_folder : model_folder.parent_path();
  const fs::path beside = folder.parent_path() / "heads.safetensors";
  if (fs::exists(beside, ignored)) {
    const auto files = store::TensorFiles::open_safetensors(beside);
    for (const auto& [name, tensor] : files.tensors()) out[name] = to_tensor(tensor);
    return out;
  }
  if (!fs::exists(folder / "config.json", ignored)) return out;
  const auto files = store::TensorFiles::open_folder(folder);
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"cls.predictions.transform.dense.weight", "mlm.dense.weight"},
      {"cls.predictions.transform.dense.bias", "mlm.dense.bias"},
      {"cls.predictions.transform.LayerNorm.weight", "mlm.norm.weight"},
      {"cls.predictions.transform.LayerNorm.gamma", "mlm.norm.weight"},
      {"cls.predictions.transform.LayerNorm.bias", "mlm.norm.bias"},
      {"cls.predictions.transform.LayerNorm.beta", "mlm.norm.bias"},
      {"cls.predictions.bias", "mlm.bias"},
      {"lm_head.dense.weight", "mlm.dense.weight"},
      {"lm_head.dense.bias", "mlm.dense.bias"},
      {"lm_head.layer_norm.weight", "mlm.norm.weight"},
      {"lm_head.layer_norm.bias", "mlm.norm.bias"},
      {"lm_head.bias", "mlm.bias"}};
  for (const auto& [theirs, ours] : kNames) {
    const auto it = files.tensors().find(theirs);
    if (it != files.tensors().end()) out[std::string(ours)] = to_tensor(it->second);
  }
  return out;
}

MlmHead::MlmHead(const ArchSpec& arch, const NewWeights& weights) : arch_(arch) {
  parameters_.push_back(weights.matrix("mlm.dense.weight", arch.hidden, arch.hidden));
  dense_ = parameters_.back().value;
  parameters_.push_back(weights.vector("mlm.dense.bias", arch.hidden, 0));
  dense_bias_ = parameters_.back().value;
  parameters_.push_back(weights.vector("mlm.norm.weight", arch.hidden, 1));
  gamma_ = parameters_.back().value;
  parameters_.push_back(weights.vector("mlm.norm.bias", arch.hidden, 0));
  beta_ = parameters_.back().value;
  parameters_.push_back(weights.vector("mlm.bias", arch.vocab_size, 0));
  bias_ = parameters_.back().value;
}

at::Tensor MlmHead::transform(const at::Tensor& rows) const {
  const at::Tensor active = activate_rows(linear_rows(rows, dense_, dense_bias_), arch_.activation);
  return at::layer_norm(active, {arch_.hidden}, gamma_, beta_, static_cast<double>(arch_.norm_eps));
}

at::Tensor MlmHead::loss(const at::Tensor& transformed, const at::Tensor& table,
                         std::span<const int32_t> labels, ThreadPool& pool) const {
  if (labels.empty()) return transformed.sum() * 0;
  const double scale = 1 / static_cast<double>(labels.size());
  if (!transformed.device().is_cpu()) {
    const at::Tensor logits = at::addmm(bias_, transformed, table.t());
    return at::nll_loss(at::log_softmax(logits, 1), as_longs(labels, logits.device()));
  }
  return fused(transformed, table, bias_, scale,
               [&](const VocabularyWeights& weights, MatView<const float> rows,
                   const VocabularyGradients& gradients) {
                 return vocabulary_softmax(weights, rows, labels, pool, gradients);
               });
}

at::Tensor MlmHead::bag_loss(const at::Tensor& transformed, const at::Tensor& table,
                             std::span<const int32_t> ids, std::span<const uint32_t> offsets,
                             ThreadPool& pool) const {
  const double scale = 1 / static_cast<double>(offsets.size() - 1);
  if (transformed.device().is_cpu()) {
    return fused(transformed, table, bias_, scale,
                 [&](const VocabularyWeights& weights, MatView<const float> rows,
                     const VocabularyGradients& gradients) {
                   return bag_of_words(weights, rows, ids, offsets, pool, gradients);
                 });
  }
  at::Tensor sum = at::zeros({}, transformed.options());
  for (size_t b = 0; b + 1 < offsets.size(); ++b) {
    const auto begin = static_cast<int64_t>(offsets[b]);
    const int64_t size = static_cast<int64_t>(offsets[b + 1]) - begin;
    if (size == 0) continue;
    const at::Tensor logits = at::addmm(bias_, transformed.narrow(0, begin, size), table.t());
    const at::Tensor shares = at::log_softmax(std::get<0>(logits.max(0)), 0);
    const auto own = ids.subspan(offsets[b], static_cast<size_t>(size));
    const at::Tensor present = std::get<0>(at::_unique(as_longs(own, logits.device())));
    sum = sum - shares.index_select(0, present).sum() / static_cast<double>(size);
  }
  return sum * scale;
}

}  // namespace akin::nn
