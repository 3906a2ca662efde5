// core::Encoder over a TextModel: the model's own tokenizer, batches of near lengths up to a budget
// of tokens, no graph. What is the same for every encoder is model/tokenize.h's.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"
#include "core/long_texts.h"
#include "model/tokenize.h"
#include "nn/text_model.h"

namespace akin::nn {
namespace {

// x / max(|x|, 1e-12).
void normalize(std::span<float> x) {
  double squares = 0;
  for (const float value : x) squares += static_cast<double>(value) * static_cast<double>(value);
  const auto factor = static_cast<float>(1.0 / std::max(std::sqrt(squares), 1e-12));
  for (float& value : x) value *= factor;
}

void append_text(const TokenBatch& all, size_t text, TokenBatch& out) {
  const std::span<const int32_t> ids = all.text(text);
  out.ids.insert(out.ids.end(), ids.begin(), ids.end());
  out.offsets.push_back(static_cast<uint32_t>(out.ids.size()));
  if (!all.prompt_tokens.empty()) out.prompt_tokens.push_back(all.prompt_tokens[text]);
  if (!all.adapters.empty()) out.adapters.push_back(all.adapters[text]);
}

class TorchEncoder final : public Encoder {
 public:
  TorchEncoder(std::shared_ptr<TextModel> model, size_t token_budget, Fingerprint fingerprint)
      : model_(std::move(model)),
        budget_(std::max<size_t>(token_budget, 1)),
        info_(model::encoder_info(model_->description(), Precision::f32)),
        tokenizer_(model_->description(), info_),
        pool_(usable_cpus()) {
    if (fingerprint == Fingerprint::of_weights) info_.fingerprint = weights_fingerprint();
  }

  const EncoderInfo& info() const override { return info_; }

  EncodeReport encode(std::span<const std::string_view> texts, const EncodeOptions& options,
                      MatView<float> out) override {
    AKIN_CHECK(out.rows() == texts.size() && out.cols() == resolve_dims(info_, options));
    EncodeReport report;
    if (texts.empty()) return report;
    const std::lock_guard lock(mutex_);
    const TokenBatch all = tokenizer_.tokenize(texts, options, pool_, report);
    encode_texts(all, info_, options, out,
                 [&](MatView<float> rows) { run_passes(all, options, rows); });
    return report;
  }

  TokenVectors encode_tokens(std::string_view text, const EncodeOptions& options) override {
    const std::lock_guard lock(mutex_);
    EncodeReport report;
    const TokenBatch batch = tokenizer_.tokenize({&text, 1}, options, pool_, report);
    check_whole(batch);
    const at::Tensor states = on_cpu(model_->token_states(batch, {}));
    TokenVectors out;
    out.vectors =
        Mat<float>(static_cast<size_t>(states.size(0)), static_cast<size_t>(states.size(1)));
    if (states.numel() > 0) {
      std::memcpy(out.vectors.data(), states.data_ptr<float>(),
                  static_cast<size_t>(states.numel()) * sizeof(float));
    }
    out.ids = batch.ids;
    tokenizer_.token_offsets(text, options, out);
    return out;
  }

  std::vector<uint32_t> count_tokens(std::span<const std::string_view> texts,
                                     const EncodeOptions& options) override {
    const std::lock_guard lock(mutex_);
    return tokenizer_.count(texts, options, pool_);
  }

 private:
  void run_passes(const TokenBatch& all, const EncodeOptions& options, MatView<float> out) {
    std::vector<uint32_t> order(all.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return all.text(a).size() > all.text(b).size();
    });
    for (size_t begin = 0; begin < order.size();) {
      check_interrupted();
      TokenBatch batch;
      size_t end = begin;
      while (end < order.size() &&
             (end == begin || batch.tokens() + all.text(order[end]).size() <= budget_))
        append_text(all, order[end++], batch);
      embed(batch, std::span(order).subspan(begin, end - begin), options, out);
      begin = end;
      if (options.progress) options.progress({"embedding", end, all.size(), "texts"});
    }
  }

  static at::Tensor on_cpu(const at::Tensor& t) { return t.to(at::kCPU, at::kFloat).contiguous(); }

  // The weights as they are when the encoder is made: caches of vectors hang on it.
  std::string weights_fingerprint() const {
    Hasher hasher;
    hasher.add(info_.fingerprint);
    for (const Parameter& parameter : model_->parameters()) {
      const at::Tensor value = on_cpu(parameter.value.detach());
      hasher.add(
          std::as_bytes(std::span(value.data_ptr<float>(), static_cast<size_t>(value.numel()))));
    }
    return hasher.hex();
  }

  void embed(const TokenBatch& batch, std::span<const uint32_t> texts, const EncodeOptions& options,
             MatView<float> out) {
    const at::Tensor vectors = on_cpu(model_->embed(batch, {}));
    const auto dim = static_cast<size_t>(vectors.size(1));
    std::vector<float> full(dim);
    for (size_t b = 0; b < texts.size(); ++b) {
      std::copy_n(vectors.data_ptr<float>() + b * dim, dim, full.begin());
      if (info_.normalizes) normalize(full);
      const std::span<float> row(out.row(texts[b]), out.cols());
      std::copy_n(full.begin(), row.size(), row.begin());
      if (options.normalize) normalize(row);
    }
  }

  const std::shared_ptr<TextModel> model_;  // shared with the training loop
  const size_t budget_;
  EncoderInfo info_;
  const model::TextTokenizer tokenizer_;
  ThreadPool pool_;
  std::mutex mutex_;  // one pass at a time
};

}  // namespace

std::unique_ptr<Encoder> make_torch_encoder(std::shared_ptr<TextModel> model, size_t token_budget,
                                            Fingerprint fingerprint) {
  return std::make_unique<TorchEncoder>(std::move(model), token_budget, fingerprint);
}

}  // namespace akin::nn
