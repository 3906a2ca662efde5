#include "engine/static_encoder.h"

#include <algorithm>

#include "core/long_texts.h"
#include "core/token_encoder.h"
#include "engine/packed_model.h"
#include "engine/pool.h"
#include "kernels/elementwise.h"
#include "model/tokenize.h"

namespace akin::engine {
namespace {

constexpr size_t kTextsPerTask = 64;

class StaticEncoder final : public Encoder, public TokenEncoder {
 public:
  StaticEncoder(model::Model model, const CpuOptions& options)
      : model_(std::move(model)),
        info_(model::encoder_info(model_, options.precision)),
        tokenizer_(model_, info_),
        pool_(options.threads > 0 ? options.threads : usable_cpus()) {
    const Tensor& table = model_.weights->at("static.embeddings");
    rows_ =
        Mat<float>(static_cast<size_t>(table.shape.at(0)), static_cast<size_t>(table.shape.at(1)));
    tensor_to_f32(table, 0, {rows_.data(), rows_.rows() * rows_.cols()});
    read_mapping();
    read_weights();
    unk_ = model_.static_spec.skip_unk ? model_.tokenizer->unk_id().value_or(-1) : -1;
  }

  const EncoderInfo& info() const override { return info_; }

  EncodeReport encode(std::span<const std::string_view> texts, const EncodeOptions& options,
                      MatView<float> out) override {
    AKIN_CHECK(out.rows() == texts.size() && out.cols() == resolve_dims(info_, options));
    EncodeReport report;
    const TokenBatch all = tokenizer_.tokenize(texts, options, pool_, report);
    encode_texts(all, info_, options, out,
                 [&](MatView<float> rows) { encode_ids(all, options, rows); });
    return report;
  }

  TokenBatch tokenize(std::span<const std::string_view> texts, const EncodeOptions& options,
                      EncodeReport& report) const override {
    return tokenizer_.tokenize(texts, options, report);
  }

  TokenBatch wrap(std::span<const std::span<const int32_t>> ids, bool add_special_tokens,
                  const EncodeOptions& options, EncodeReport& report) const override {
    return tokenizer_.wrap(ids, add_special_tokens, known_tokens(), options, report);
  }

  void encode_ids(const TokenBatch& all, const EncodeOptions& options,
                  MatView<float> out) override {
    AKIN_CHECK(out.rows() == all.size() && out.cols() == resolve_dims(info_, options));
    const size_t tasks = (all.size() + kTextsPerTask - 1) / kTextsPerTask;
    std::vector<std::vector<float>> buffers(pool_.size());
    parallel_for(pool_, tasks, 4, [&](size_t task, size_t thread) {
      check_interrupted();
      std::vector<float>& vector = buffers[thread];
      for (size_t b = task * kTextsPerTask; b < std::min(all.size(), (task + 1) * kTextsPerTask);
           ++b) {
        vector.assign(rows_.cols(), 0.0F);
        add_text(all.text(b), vector);
        if (model_.static_spec.normalize) normalize(vector);
        std::copy_n(vector.begin(), out.cols(), out.row(b));
        if (options.normalize) normalize({out.row(b), out.cols()});
      }
      if (thread == 0 && options.progress)
        options.progress({"embedding", (task + 1) * kTextsPerTask, all.size(), "texts"});
    });
  }

  std::vector<TokenPiece> pieces(std::string_view text, std::string_view prompt,
                                 bool add_special_tokens) const override {
    return tokenizer_.pieces(text, prompt, add_special_tokens);
  }

  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const override {
    return tokenizer_.decode(ids, skip_special_tokens);
  }

  TokenVectors encode_tokens(std::string_view text, const EncodeOptions&) override {
    const text::Encoding encoding = model_.tokenizer->encode_with_offsets(text, false);
    TokenVectors out;
    out.vectors = Mat<float>(encoding.ids.size(), rows_.cols());
    for (size_t t = 0; t < encoding.ids.size(); ++t)
      add_token(encoding.ids[t], {out.vectors.row(t), rows_.cols()});
    out.ids = encoding.ids;
    out.begin = encoding.begin;
    out.end = encoding.end;
    return out;
  }

  std::vector<uint32_t> count_tokens(std::span<const std::string_view> texts,
                                     const EncodeOptions& options) override {
    return tokenizer_.count(texts, options, pool_);
  }

 private:
  void read_mapping() {
    if (!model_.static_spec.has_mapping) return;
    const Tensor& mapping = model_.weights->at("static.mapping");
    for (int64_t i = 0; i < mapping.elements(); ++i) {
      const int64_t row = tensor_int_at(mapping, static_cast<size_t>(i));
      if (row < 0 || static_cast<size_t>(row) >= rows_.rows()) {
        throw_error(ErrorKind::bad_format, info_.name, "token {} maps to row {}, the table has {}",
                    i, row, rows_.rows());
      }
      mapping_.push_back(static_cast<uint32_t>(row));
    }
  }
  void read_weights() {
    if (model_.static_spec.has_weights)
      weights_ = tensor_to_f32(model_.weights->at("static.weights"));
  }

  // Ids below this have a row and, where there are weights, one of those.
  size_t known_tokens() const {
    const size_t rows = mapping_.empty() ? rows_.rows() : mapping_.size();
    return weights_.empty() ? rows : std::min(rows, weights_.size());
  }

  void add_token(int32_t id, std::span<float> sum) const {
    const auto index = static_cast<size_t>(id);
    const size_t known = known_tokens();
    if (id < 0 || index >= known) {
      throw_error(
          ErrorKind::bad_format, info_.name,
          "the tokenizer gives id {}, the table knows {} tokens; the folder mixes two models", id,
          known);
    }
    const size_t row = mapping_.empty() ? index : mapping_[index];
    kernels::add_scaled(rows_.row(row), weights_.empty() ? 1.0F : weights_[index], sum);
  }

  // Mean over the known tokens. A few tokens at a time are summed in f32, those sums in f64: a long
  // text is then as exact as a short one.
  void add_text(std::span<const int32_t> ids, std::span<float> sum) const {
    constexpr size_t kTokensPerSum = 16;
    std::vector<double> total;
    size_t count = 0;
    const auto move_to_total = [&] {
      total.resize(sum.size());
      for (size_t d = 0; d < sum.size(); ++d) total[d] += static_cast<double>(sum[d]);
      std::fill(sum.begin(), sum.end(), 0.0F);
    };
    for (const int32_t id : ids) {
      if (id == unk_) continue;
      if (count > 0 && count % kTokensPerSum == 0) move_to_total();
      add_token(id, sum);
      ++count;
    }
    if (!total.empty()) {
      move_to_total();
      for (size_t d = 0; d < sum.size(); ++d)
        sum[d] = static_cast<float>(total[d] / static_cast<double>(count));
    } else if (count > 1) {
      kernels::multiply(sum, 1.0F / static_cast<float>(count));
    }
  }

  const model::Model model_;
  const EncoderInfo info_;
  const model::TextTokenizer tokenizer_;
  ThreadPool pool_;
  Mat<float> rows_;                // [R, D]
  std::vector<uint32_t> mapping_;  // token -> row; empty: the same
  std::vector<float> weights_;     // per token; empty: 1
  int32_t unk_ = -1;
};

}  // namespace

std::unique_ptr<Encoder> make_static_encoder(model::Model model, const CpuOptions& options) {
  return std::make_unique<StaticEncoder>(std::move(model), options);
}

}  // namespace akin::engine
