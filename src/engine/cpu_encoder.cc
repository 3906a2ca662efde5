#include "engine/cpu_encoder.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>

#include "core/long_texts.h"
#include "core/token_encoder.h"
#include "engine/forward.h"
#include "engine/pack.h"
#include "engine/pool.h"
#include "engine/static_encoder.h"
#include "kernels/cpu.h"
#include "model/tokenize.h"

namespace akin::engine {
namespace {

constexpr size_t kTokenBudget = 256;  // per micro-batch: activations of a layer stay in L2
constexpr size_t kTeamBelowTokens =
    96;  // per thread: a call with fewer tokens is one batch shared by the team

// The output vector of a text from its full vector: first dims, unit length when asked.
void finish_vector(std::span<const float> full, const EncodeOptions& options,
                   std::span<float> out) {
  std::copy_n(full.begin(), out.size(), out.begin());
  if (options.normalize) normalize(out);
}

class CpuEncoder final : public Encoder, public TokenEncoder {
 public:
  CpuEncoder(model::Model model, const CpuOptions& options)
      : model_(std::move(model)),
        info_(model::encoder_info(model_, options.precision)),
        packed_(pack_model(model_, options.precision)),
        tokenizer_(model_, info_),
        pool_(options.threads > 0 ? options.threads : usable_cpus()),
        workspaces_(pool_.size()) {
    table_rows_ = static_cast<size_t>(packed_.token_table.shape.at(0));
  }

  const EncoderInfo& info() const override { return info_; }

  EncodeReport encode(std::span<const std::string_view> texts, const EncodeOptions& options,
                      MatView<float> out) override {
    AKIN_CHECK(out.rows() == texts.size() && out.cols() == resolve_dims(info_, options));
    EncodeReport report;
    if (texts.empty()) return report;
    const TokenBatch all = tokenizer_.tokenize(texts, options, pool_, report);
    check_ids(all);
    encode_texts(all, info_, options, out,
                 [&](MatView<float> rows) { run_passes(all, options, rows); });
    return report;
  }

  TokenVectors encode_tokens(std::string_view text, const EncodeOptions& options) override {
    EncodeReport report;
    const TokenBatch batch = tokenizer_.tokenize({&text, 1}, options, pool_, report);
    check_whole(batch);
    check_ids(batch);
    const std::lock_guard lock(mutex_);
    const MatView<float> hidden = run_team(batch);
    TokenVectors vectors;
    vectors.vectors = Mat<float>(hidden.rows(), hidden.cols());
    if (!hidden.empty())
      std::memcpy(vectors.vectors.data(), hidden.data(),
                  hidden.rows() * hidden.cols() * sizeof(float));
    vectors.ids = batch.ids;
    tokenizer_.token_offsets(text, options, vectors);
    return vectors;
  }

  std::vector<uint32_t> count_tokens(std::span<const std::string_view> texts,
                                     const EncodeOptions& options) override {
    return tokenizer_.count(texts, options, pool_);
  }

  TokenBatch tokenize(std::span<const std::string_view> texts, const EncodeOptions& options,
                      EncodeReport& report) const override {
    TokenBatch all = tokenizer_.tokenize(texts, options, report);
    check_ids(all);
    return all;
  }

  TokenBatch wrap(std::span<const std::span<const int32_t>> ids, bool add_special_tokens,
                  const EncodeOptions& options, EncodeReport& report) const override {
    return tokenizer_.wrap(ids, add_special_tokens, table_rows_, options, report);
  }

  void encode_ids(const TokenBatch& batch, const EncodeOptions& options,
                  MatView<float> out) override {
    AKIN_CHECK(out.rows() == batch.size() && out.cols() == resolve_dims(info_, options));
    if (batch.size() == 0) return;
    check_ids(batch);
    run_passes(batch, options, out);
  }

  std::vector<TokenPiece> pieces(std::string_view text, std::string_view prompt,
                                 bool add_special_tokens) const override {
    return tokenizer_.pieces(text, prompt, add_special_tokens);
  }

  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const override {
    return tokenizer_.decode(ids, skip_special_tokens);
  }

 private:
  void run_passes(const TokenBatch& all, const EncodeOptions& options, MatView<float> out) {
    const std::lock_guard lock(mutex_);
    const size_t team_tokens = kTeamBelowTokens * pool_.size();
    size_t budget = kTokenBudget;
    if (all.tokens() >= team_tokens) {
      budget = std::clamp((all.tokens() + pool_.size() - 1) / pool_.size(), kTeamBelowTokens,
                          kTokenBudget);
    }
    const auto batches = plan_batches(all, budget, packed_.backend);
    if (batches.size() < pool_.size()) {
      for (const auto& batch : batches) encode_with_team(all, batch, options, out);
    } else {
      encode_in_parallel(all, batches, options, out);
    }
  }

  void check_ids(const TokenBatch& batch) const {
    for (const int32_t id : batch.ids) {
      if (id < 0 || static_cast<size_t>(id) >= table_rows_) {
        throw_error(ErrorKind::bad_format, info_.name,
                    "the tokenizer gives id {}, the embedding table has {} rows; the folder mixes "
                    "two models, download it again",
                    id, table_rows_);
      }
    }
  }

  MatView<float> run_team(const TokenBatch& batch) {
    Workspace& workspace = workspaces_[0];
    forward_with_team(packed_, batch, workspace, pool_);
    return workspace.hidden;
  }

  void encode_with_team(const TokenBatch& all, std::span<const uint32_t> texts,
                        const EncodeOptions& options, MatView<float> out) {
    TokenBatch batch;
    gather(all, texts, batch);
    pool_batch(batch, run_team(batch), texts, options, out);
  }

  void encode_in_parallel(const TokenBatch& all, const std::vector<std::vector<uint32_t>>& batches,
                          const EncodeOptions& options, MatView<float> out) {
    std::vector<TokenBatch> gathered(pool_.size());
    std::atomic<uint64_t> done{0};
    parallel_for(pool_, batches.size(), 1, [&](size_t b, size_t thread) {
      check_interrupted();
      TokenBatch& batch = gathered[thread];
      gather(all, batches[b], batch);
      Workspace& workspace = workspaces_[thread];
      workspace.prepare(packed_, batch, 1);
      forward(packed_, batch, workspace, {});
      pool_batch(batch, workspace.hidden, batches[b], options, out);
      const uint64_t finished = done.fetch_add(batches[b].size()) + batches[b].size();
      if (thread == 0 && options.progress)
        options.progress({"embedding", finished, all.size(), "texts"});
    });
  }

  void pool_batch(const TokenBatch& batch, MatView<const float> hidden,
                  std::span<const uint32_t> texts, const EncodeOptions& options,
                  MatView<float> out) const {
    const size_t width = model_.pooling.modes.size() * hidden.cols();
    Mat<float> pooled(batch.size(), width);
    for (size_t b = 0; b < batch.size(); ++b) {
      pool_text(model_.pooling, hidden.row_range(batch.offsets[b], batch.text(b).size()),
                batch.prompt_tokens[b], {pooled.row(b), width});
    }
    pooled = apply_heads(packed_, std::move(pooled));
    for (size_t b = 0; b < batch.size(); ++b)
      finish_vector({pooled.row(b), pooled.cols()}, options, {out.row(texts[b]), out.cols()});
  }

  const model::Model model_;
  const EncoderInfo info_;
  const PackedModel packed_;
  const model::TextTokenizer tokenizer_;
  size_t table_rows_ = 0;
  ThreadPool pool_;
  std::mutex mutex_;  // one pass at a time: passes share the pool and the workspaces
  std::vector<Workspace> workspaces_;
};

}  // namespace

std::unique_ptr<Encoder> make_cpu_encoder(model::Model model, const CpuOptions& options) {
  kernels::active_isa();  // settles the instruction set before anything is packed for it
  if (model.arch.kind == ModelKind::static_embedding)
    return make_static_encoder(std::move(model), options);
  return std::make_unique<CpuEncoder>(std::move(model), options);
}

}  // namespace akin::engine
