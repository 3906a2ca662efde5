// A text, or two laid out as one, through the same forward pass as an encoder's. Token types, which
// the pass knows only as one row for all tokens, go into the table of token rows: each call makes a
// small table of the (token, type) pairs it has, and ids that point into it.
#include "engine/pair_scorer.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <unordered_map>

#include "engine/forward.h"
#include "engine/pack.h"
#include "engine/pool.h"
#include "kernels/cpu.h"
#include "kernels/elementwise.h"
#include "model/tokenize.h"
#include "text/prompted.h"
#include "text/truncate.h"

namespace akin::engine {
namespace {

constexpr size_t kTokenBudget = 256;  // per micro-batch, as in an encoder

// Removes tokens from the longer text, one at a time, until both fit ("longest first"); equally
// long: from the second. Cuts at the end, or at the beginning with Truncate::left.
void cut_pair(std::vector<int32_t>& first, std::vector<int32_t>& second, size_t limit,
              Truncate side) {
  size_t a = first.size(), b = second.size();
  while (a + b > limit) (a > b ? a : b) -= 1;
  const auto cut = [&](std::vector<int32_t>& ids, size_t keep) {
    if (side == Truncate::left) {
      ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(keep));
    } else {
      ids.resize(keep);
    }
  };
  cut(first, a);
  cut(second, b);
}

struct Pairs {
  TokenBatch batch;
  std::vector<uint8_t> types;  // [T]
};

class CpuClassifier final : public PairScorer, public TextClassifier {
 public:
  CpuClassifier(model::Model model, model::ClassificationHead head, const CpuOptions& options)
      : model_(std::move(model)),
        head_(std::move(head)),
        info_(model::encoder_info(model_, options.precision)),
        tokenizer_(model_, info_),
        layout_(model::read_pair_layout(model_)),
        packed_(pack_model(model_, options.precision)),
        pool_(options.threads > 0 ? options.threads : usable_cpus()),
        workspaces_(pool_.size()) {
    const auto dim = static_cast<size_t>(model_.arch.hidden);
    dense_ = kernels::PackedLinear(
        kernels::choose_backend(Precision::f32), dim, dim,
        [&](size_t row, std::span<float> out) {
          std::copy_n(head_.dense.data() + row * dim, dim, out.data());
        },
        head_.dense_bias);
    token_table_ = packed_.token_table;
    if (model_.arch.type_vocab > 1) {
      types_ = tensor_to_f32(model_.weights->at("embed.type"));
      packed_.type_row.clear();
    }
  }

  PairScores scores(std::string_view query, std::span<const std::string_view> documents,
                    Truncate truncate) override {
    std::vector<ClassifierInput> inputs;
    inputs.reserve(documents.size());
    for (const auto document : documents) inputs.push_back({query, document});
    ClassLogits scored = classify(inputs, truncate);
    PairScores out;
    for (size_t d = 0; d < documents.size(); ++d) out.logits.push_back(scored.logits(d, 0));
    out.report = std::move(scored.report);
    return out;
  }

  const std::vector<std::string>& labels() const override { return head_.labels; }

  std::vector<TokenPiece> pieces(std::string_view text, bool add_special_tokens) const override {
    return tokenizer_.pieces(text, {}, add_special_tokens);
  }
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens) const override {
    return tokenizer_.decode(ids, skip_special_tokens);
  }

  ClassLogits classify(std::span<const ClassifierInput> inputs, Truncate truncate) override {
    ClassLogits out;
    out.logits = Mat<float>(inputs.size(), head_.labels.size());
    if (inputs.empty()) return out;
    Pairs pairs = lay_out(inputs, truncate, out.report);
    const std::lock_guard lock(mutex_);
    std::vector<float> rows;  // the call's own table; lives as long as the pass
    if (!types_.empty()) rows = join_types(pairs);
    const auto batches = plan_batches(pairs.batch, kTokenBudget, packed_.backend);
    if (batches.size() < pool_.size()) {
      for (const auto& texts : batches) run_team(pairs.batch, texts, out.logits);
    } else {
      std::vector<TokenBatch> gathered(pool_.size());
      parallel_for(pool_, batches.size(), 1, [&](size_t b, size_t thread) {
        gather(pairs.batch, batches[b], gathered[thread]);
        workspaces_[thread].prepare(packed_, gathered[thread], 1);
        forward(packed_, gathered[thread], workspaces_[thread], {});
        score(gathered[thread], workspaces_[thread].hidden, batches[b], out.logits);
      });
    }
    packed_.token_table = token_table_;
    return out;
  }

 private:
  std::vector<int32_t> encode(std::string_view text, size_t* replaced) const {
    std::vector<int32_t> ids;
    text::encode_prompted(*model_.tokenizer, {}, text, model_.do_lower_case, false, ids, replaced);
    for (const int32_t id : ids) {
      if (id < 0 || id >= model_.arch.vocab_size) {
        throw_error(ErrorKind::bad_format, model_.name,
                    "the tokenizer gives id {}, the embedding table has {} rows; the folder mixes "
                    "two models, download it again",
                    id, model_.arch.vocab_size);
      }
    }
    return ids;
  }

  Pairs lay_out(std::span<const ClassifierInput> inputs, Truncate truncate,
                EncodeReport& report) const {
    Pairs out;
    std::vector<int32_t> first_ids;  // of the input before, which often has the same first text
    size_t first_replaced = 0;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto& [text, other] = inputs[i];
      if (i == 0 || text.data() != inputs[i - 1].text.data() ||
          text.size() != inputs[i - 1].text.size()) {
        first_replaced = 0;
        first_ids = encode(text, &first_replaced);
        if (first_replaced > 0) ++report.invalid_utf8;
      }
      std::vector<int32_t> first = first_ids;
      const bool cut = other ? lay_pair(first, *other, i, truncate, report, out)
                             : lay_one(first, i, truncate, out);
      if (cut) report.truncated.push_back(i);
      out.batch.offsets.push_back(static_cast<uint32_t>(out.batch.ids.size()));
      out.batch.prompt_tokens.push_back(0);
    }
    report.texts = inputs.size();
    report.tokens = out.batch.tokens();
    return out;
  }

  // True: it was cut.
  bool lay_pair(std::vector<int32_t>& first, std::string_view other, size_t number,
                Truncate truncate, EncodeReport& report, Pairs& out) const {
    size_t replaced = 0;
    std::vector<int32_t> second = encode(other, &replaced);
    if (replaced > 0) ++report.invalid_utf8;
    const size_t tokens = first.size() + second.size() + layout_.special();
    const bool cut = model_.max_tokens != 0 && tokens > model_.max_tokens;
    if (cut && truncate == Truncate::error) {
      throw_error(ErrorKind::too_long, fmt::format("input {}", number),
                  "{} tokens with the query, model limit {}; ask for truncation to cut it", tokens,
                  model_.max_tokens);
    }
    if (cut) cut_pair(first, second, model_.max_tokens - layout_.special(), truncate);
    append(layout_.before.ids, layout_.before.types, out);
    append(first, std::vector<uint8_t>(first.size(), layout_.first_type), out);
    append(layout_.between.ids, layout_.between.types, out);
    append(second, std::vector<uint8_t>(second.size(), layout_.second_type), out);
    append(layout_.after.ids, layout_.after.types, out);
    return cut;
  }

  bool lay_one(std::vector<int32_t>& ids, size_t number, Truncate truncate, Pairs& out) const {
    const auto prefix = model_.tokenizer->prefix_ids(), suffix = model_.tokenizer->suffix_ids();
    ids.insert(ids.begin(), prefix.begin(), prefix.end());
    ids.insert(ids.end(), suffix.begin(), suffix.end());
    const bool cut = model_.max_tokens != 0 && ids.size() > model_.max_tokens;
    if (cut && truncate == Truncate::error) {
      throw_error(ErrorKind::too_long, fmt::format("input {}", number),
                  "{} tokens, model limit {}; ask for truncation to cut it", ids.size(),
                  model_.max_tokens);
    }
    if (cut) text::cut_ids(ids, model_.max_tokens, prefix.size(), suffix.size(), truncate);
    append(ids, std::vector<uint8_t>(ids.size(), 0), out);
    return cut;
  }

  static void append(const std::vector<int32_t>& ids, const std::vector<uint8_t>& types,
                     Pairs& out) {
    out.batch.ids.insert(out.batch.ids.end(), ids.begin(), ids.end());
    out.types.insert(out.types.end(), types.begin(), types.end());
  }

  // Row + type row of each (token, type) in the call; ids then name rows of that table.
  std::vector<float> join_types(Pairs& pairs) {
    const auto dim = static_cast<size_t>(model_.arch.hidden);
    std::unordered_map<uint64_t, int32_t> numbers;
    std::vector<float> rows;
    for (size_t t = 0; t < pairs.batch.ids.size(); ++t) {
      const auto id = static_cast<uint64_t>(pairs.batch.ids[t]);
      const auto [entry, added] = numbers.emplace(id << 8 | pairs.types[t], numbers.size());
      if (added) {
        rows.resize(rows.size() + dim);
        const std::span<float> row(rows.data() + rows.size() - dim, dim);
        tensor_to_f32(token_table_, id * dim, row);
        kernels::add_scaled(types_.data() + pairs.types[t] * dim, 1.0F, row);
      }
      pairs.batch.ids[t] = entry->second;
    }
    packed_.token_table = {DType::f32,
                           {static_cast<int64_t>(numbers.size()), model_.arch.hidden},
                           std::as_bytes(std::span(rows))};
    return rows;
  }

  void run_team(const TokenBatch& all, std::span<const uint32_t> texts, Mat<float>& logits) {
    TokenBatch batch;
    gather(all, texts, batch);
    Workspace& workspace = workspaces_[0];
    forward_with_team(packed_, batch, workspace, pool_);
    score(batch, workspace.hidden, texts, logits);
  }

  // The head: pooled row -> dense, activation -> norm -> a logit for each class.
  void score(const TokenBatch& batch, MatView<const float> hidden, std::span<const uint32_t> texts,
             Mat<float>& logits) const {
    const size_t dim = hidden.cols();
    Mat<float> pooled(batch.size(), dim), inner(batch.size(), dim);
    for (size_t b = 0; b < batch.size(); ++b) {
      pool_text({{head_.pooling}, true}, hidden.row_range(batch.offsets[b], batch.text(b).size()),
                0, {pooled.row(b), dim});
    }
    kernels::Operand operand;
    operand.reserve(kernels::choose_backend(Precision::f32), batch.size(), dim);
    operand.set_rows(0, pooled.view());
    dense_.run(operand, batch.size(), {kernels::EpilogueKind::activate, head_.activation},
               inner.view());
    if (!head_.norm_gamma.empty()) {
      kernels::layer_norm(inner.view(), head_.norm_gamma.data(),
                          head_.norm_beta.empty() ? nullptr : head_.norm_beta.data(),
                          head_.norm_eps, inner.view());
    }
    for (size_t b = 0; b < batch.size(); ++b) {
      for (size_t k = 0; k < head_.labels.size(); ++k) {
        double sum = head_.out_bias.empty() ? 0.0 : static_cast<double>(head_.out_bias[k]);
        for (size_t c = 0; c < dim; ++c)
          sum += static_cast<double>(inner(b, c)) * static_cast<double>(head_.out[k * dim + c]);
        logits(texts[b], k) = static_cast<float>(sum);
      }
    }
  }

  const model::Model model_;
  const model::ClassificationHead head_;
  const EncoderInfo info_;
  const model::TextTokenizer tokenizer_;
  const model::PairLayout layout_;
  PackedModel packed_;  // its token table changes with each call, under mutex_
  Tensor token_table_;
  std::vector<float> types_;  // [types, D]; empty: one type, which the pass adds
  kernels::PackedLinear dense_;
  ThreadPool pool_;
  std::mutex mutex_;
  std::vector<Workspace> workspaces_;
};

}  // namespace

std::unique_ptr<PairScorer> make_pair_scorer(model::Model model, model::ClassificationHead head,
                                             const CpuOptions& options) {
  if (head.labels.size() != 1) {
    throw_error(ErrorKind::unsupported, model.folder.string(),
                "a classifier of {} classes; a reranker has one", head.labels.size());
  }
  kernels::active_isa();  // settles the instruction set before anything is packed for it
  return std::make_unique<CpuClassifier>(std::move(model), std::move(head), options);
}

LoadedTextClassifier load_text_classifier(const std::filesystem::path& folder,
                                          const CpuOptions& options) {
  model::Model model = model::load_classifier_body(folder);
  model::ClassificationHead head = model::load_classification_head(folder, model);
  model::add_head(head, model);
  LoadedTextClassifier out;
  out.info = model::encoder_info(model, options.precision);
  out.info.dim = head.labels.size();
  kernels::active_isa();
  const auto both = std::make_shared<CpuClassifier>(std::move(model), std::move(head), options);
  out.classifier = both;
  if (out.info.dim == 1) out.scorer = both;
  return out;
}

LoadedPairScorer load_pair_scorer(const std::filesystem::path& folder, const CpuOptions& options) {
  model::Model model = model::load_classifier_body(folder);
  model::ClassificationHead head = model::load_classification_head(folder, model);
  model::add_head(head, model);
  LoadedPairScorer out;
  out.info = model::encoder_info(model, options.precision);
  out.info.dim = 1;
  out.scorer = make_pair_scorer(std::move(model), std::move(head), options);
  return out;
}

}  // namespace akin::engine
