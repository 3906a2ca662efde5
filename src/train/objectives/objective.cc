// Masked language modelling, RetroMAE and DupMAE as sums of the parts in nn/: BERT
// (arXiv:1810.04805), RetroMAE (arXiv:2205.12035), RetroMAE-2 or DupMAE (arXiv:2211.08769,
// arXiv:2305.02564).
//
// Shapes: B texts, T tokens in all, M masked ones, D hidden.
#include "train/objectives/objective.h"

#include <ATen/ATen.h>

#include <optional>

#include "base/error.h"
#include "base/hash.h"
#include "data/masking.h"
#include "nn/enhanced_decoder.h"
#include "nn/mlm_head.h"
#include "train/checkpoint.h"

namespace akin::train {
namespace {

at::Tensor indices(const std::vector<int64_t>& values, const at::Device& device) {
  return at::tensor(values, at::kLong).to(device);
}

double number(const at::Tensor& loss) { return loss.detach().to(at::kDouble).item<double>(); }

class MaskedObjective final : public Objective {
 public:
  MaskedObjective(const Recipe& recipe, nn::TextModel& model, ThreadPool& pool)
      : table_(recipe.pretrain),
        model_(model),
        pool_(pool),
        masker_(*model.description().tokenizer, table_.whole_words, table_.segmenter),
        head_(model.description().arch, new_weights(recipe, model)) {
    if (table_.objective == PretrainObjective::mlm) return;
    nn::StackOptions numbers;
    numbers.dropout = recipe.model.dropout;
    numbers.attention_dropout = recipe.model.attention_dropout;
    decoder_.emplace(model.description().arch, numbers, new_weights(recipe, model));
  }

  std::vector<nn::Parameter> parameters() const override {
    std::vector<nn::Parameter> out = head_.parameters();
    if (decoder_) {
      out.insert(out.end(), decoder_->parameters().begin(), decoder_->parameters().end());
    }
    return out;
  }

  ObjectiveValue forward(const TokenBatch& texts, uint64_t seed) const override {
    nn::NamedTensors weights;
    for (const auto& parameter : model_.parameters()) {
      if (parameter.name.starts_with("embed.")) weights[parameter.name] = parameter.value;
    }
    const data::MaskedBatch masked = masker_.mask(texts, table_.mask, seed);
    const at::Tensor states = model_.token_states(masked.texts, {true, seed, 0});
    ObjectiveValue out;
    const std::vector<int64_t> rows(masked.positions.begin(), masked.positions.end());
    const at::Tensor encoder = vocabulary_loss(
        states.index_select(0, indices(rows, states.device())), masked.labels, weights);
    out.parts["encoder"] = number(encoder);
    out.loss = encoder;
    if (decoder_) {
      const at::Tensor decoder = decoder_loss(texts, states, weights, seed);
      out.parts["decoder"] = number(decoder);
      out.loss = out.loss + decoder;
    }
    if (table_.objective == PretrainObjective::dupmae) {
      const at::Tensor bag = bag_loss(texts, states, weights);
      out.parts["bag"] = number(bag);
      out.loss = out.loss + bag * table_.bag_weight;
    }
    return out;
  }

 private:
  static nn::NewWeights new_weights(const Recipe& recipe, const nn::TextModel& model) {
    nn::NewWeights out;
    out.seed = recipe.train.seed;
    out.deviation = recipe.model.init_std;
    out.device = model.device();
    if (!recipe.model.open.empty()) out.given = nn::find_mlm_head(recipe.model.open);
    return out;
  }

  at::Tensor vocabulary_loss(const at::Tensor& rows, std::span<const int32_t> labels,
                             const nn::NamedTensors& weights) const {
    return head_.loss(head_.transform(rows), nn::tensor_at(weights, "embed.token"), labels, pool_);
  }

  // The cross-entropy of every token but the first and the last of a text (basic decoding: of the
  // masked ones), as the decoder tells them.
  at::Tensor decoder_loss(const TokenBatch& texts, const at::Tensor& states,
                          const nn::NamedTensors& weights, uint64_t seed) const {
    std::vector<int64_t> first, rows;
    std::vector<int32_t> labels;
    std::vector<std::vector<uint8_t>> visible;
    for (size_t b = 0; b < texts.size(); ++b) first.push_back(texts.offsets[b]);
    const bool basic = table_.decoding == Decoding::basic;
    data::MaskedBatch masked;
    if (basic) {
      masked = masker_.mask(texts, table_.decoder_mask, hash64("decoder", seed));
      rows.assign(masked.positions.begin(), masked.positions.end());
      labels = masked.labels;
    } else {
      for (size_t b = 0; b < texts.size(); ++b) {
        const auto ids = texts.text(b);
        Rng rng(hash64(fmt::format("decoder {}", b), seed));
        visible.push_back(data::decoder_visibility(masker_.words(ids), table_.decoder_mask, rng));
        for (size_t i = 1; i + 1 < ids.size(); ++i) {
          rows.push_back(static_cast<int64_t>(texts.offsets[b] + i));
          labels.push_back(ids[i]);
        }
      }
    }
    const at::Tensor sentences = states.index_select(0, indices(first, states.device()));
    const at::Tensor decoded =
        decoder_->forward({weights, sentences, basic ? masked.texts : texts, visible, {seed, 0}});
    return vocabulary_loss(decoded.index_select(0, indices(rows, states.device())), labels,
                           weights);
  }

  // Over the ordinary tokens of every text: all but the first and the last.
  at::Tensor bag_loss(const TokenBatch& texts, const at::Tensor& states,
                      const nn::NamedTensors& weights) const {
    std::vector<int64_t> rows;
    std::vector<int32_t> ids;
    std::vector<uint32_t> offsets{0};
    for (size_t b = 0; b < texts.size(); ++b) {
      const auto own = texts.text(b);
      for (size_t i = 1; i + 1 < own.size(); ++i) {
        rows.push_back(static_cast<int64_t>(texts.offsets[b] + i));
        ids.push_back(own[i]);
      }
      offsets.push_back(static_cast<uint32_t>(ids.size()));
    }
    const at::Tensor ordinary = states.index_select(0, indices(rows, states.device()));
    return head_.bag_loss(head_.transform(ordinary), nn::tensor_at(weights, "embed.token"), ids,
                          offsets, pool_);
  }

  const PretrainTable table_;
  nn::TextModel& model_;
  ThreadPool& pool_;
  data::Masker masker_;
  nn::MlmHead head_;
  std::optional<nn::EnhancedDecoder> decoder_;
};

// What a recipe may ask of contrastive training only.
void refuse_unused(const Recipe& recipe) {
  const auto refuse = [](std::string_view key) {
    throw_error(ErrorKind::usage, key,
                "has no part in pre-training ([pretrain] objective); leave it out");
  };
  if (recipe.train.grad_cache > 0) refuse("train.grad_cache");
  if (!recipe.matryoshka.dims.empty()) refuse("matryoshka.dims");
  if (!recipe.adapters.names.empty()) refuse("adapters.names");
  if (recipe.ewc.lambda > 0) refuse("ewc.lambda");
  if (recipe.ewc.estimate > 0) refuse("ewc.estimate");
}

}  // namespace

std::unique_ptr<Objective> make_objective(const Recipe& recipe, nn::TextModel& model,
                                          ThreadPool& pool) {
  if (recipe.pretrain.objective == PretrainObjective::none) return nullptr;
  if (model.description().arch.kind == ModelKind::static_embedding) {
    throw_error(ErrorKind::unsupported, "pretrain.objective",
                "a static model has no layers to pre-train; train it contrastively");
  }
  refuse_unused(recipe);
  return std::make_unique<MaskedObjective>(recipe, model, pool);
}

void save_heads(const std::filesystem::path& path, const std::vector<nn::Parameter>& heads) {
  Checkpoint out;
  for (const auto& head : heads) out.tensors.emplace(head.name, head.value.detach());
  write_checkpoint(path, out);
}

}  // namespace akin::train
