#include "eval/cached_encoder.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <unordered_map>

#include "base/error.h"
#include "eval/embedding_cache.h"
#include "eval/task_spec.h"

namespace akin::eval {
namespace {

constexpr size_t kChunkTexts = 4096;  // of one call to the model, and of one block of the cache

std::string_view side_name(TextSide side) {
  return side == TextSide::query ? "query" : side == TextSide::document ? "document" : "";
}

// The adapter that Jina v3's card gives for a task type.
std::string adapter_for(const EncoderInfo& info, std::string_view type, TextSide side) {
  std::string name;
  if (type == "Retrieval" || type == "LongContext") {
    name = side == TextSide::query ? "retrieval.query" : "retrieval.passage";
  } else if (type == "Clustering" || type == "Reranking") {
    name = "separation";
  } else if (type == "Classification" || type == "PairClassification" ||
             type == "MultilabelClassification") {
    name = "classification";
  } else {
    name = "text-matching";
  }
  const bool there = std::find(info.tasks.begin(), info.tasks.end(), name) != info.tasks.end();
  return there ? name : std::string();
}

}  // namespace

PromptChoice choose_prompt(const EncoderInfo& info, const TaskSpec& spec, TextSide side) {
  PromptChoice out;
  out.adapter = adapter_for(info, spec.type, side);
  const std::string word(side_name(side));
  for (const auto& key : {word, std::string()}) {
    if (const auto it = spec.prompts.find(key); it != spec.prompts.end()) {
      out.prompt = it->second;
      return out;
    }
  }
  std::vector<std::string> keys;
  const std::string type = spec.type == "LongContext" ? "Retrieval" : spec.type;
  if (!word.empty()) keys.push_back(spec.name + "-" + word);
  keys.push_back(spec.name);
  if (!word.empty()) keys.push_back(type + "-" + word);
  keys.push_back(type);
  if (!word.empty()) keys.push_back(word);
  if (side == TextSide::document) keys.insert(keys.end(), {"passage", "corpus"});
  keys.push_back(info.default_prompt_name);
  for (const auto& key : keys) {
    if (const auto it = info.prompts.find(key); it != info.prompts.end()) {
      out.prompt = it->second;
      return out;
    }
  }
  return out;
}

// Texts that neither this call nor the cache has seen, each once.
struct CachedEncoder::Missing {
  std::vector<std::string_view> texts;
  std::vector<EmbeddingKey> keys;
  std::vector<size_t> rows;  // of out
};

Mat<float> CachedEncoder::encode(std::span<const std::string> texts, const PromptChoice& prompt,
                                 const ProgressSink& progress) {
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  return encode(std::span<const std::string_view>(views), prompt, progress);
}

Mat<float> CachedEncoder::encode(std::span<const std::string_view> texts,
                                 const PromptChoice& prompt, const ProgressSink& progress) {
  Mat<float> out(texts.size(), dim());
  const EmbeddingKeys keys(prompt.prompt, prompt.adapter);
  std::unordered_map<std::string_view, size_t> first;  // text -> row of its first place
  std::vector<std::pair<size_t, size_t>> copies;       // row, row of its first place
  Missing missing;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto [it, fresh] = first.try_emplace(texts[i], i);
    if (!fresh) {
      copies.emplace_back(i, it->second);
      continue;
    }
    const EmbeddingKey key = keys.key(texts[i]);
    if (cache_ != nullptr && cache_->find(key, out.row(i))) {
      ++counts_.cached;
      continue;
    }
    missing.texts.push_back(texts[i]);
    missing.keys.push_back(key);
    missing.rows.push_back(i);
  }
  counts_.texts += texts.size();
  encode_missing(missing, prompt, progress, out.view());
  for (const auto& [row, source] : copies) std::copy_n(out.row(source), dim(), out.row(row));
  return out;
}

void CachedEncoder::encode_missing(const Missing& missing, const PromptChoice& prompt,
                                   const ProgressSink& progress, MatView<float> out) {
  EncodeOptions options;
  options.prompt = prompt.prompt;
  options.task = prompt.adapter;
  options.normalize = info().normalizes;
  options.truncate = Truncate::right;
  for (size_t begin = 0; begin < missing.texts.size(); begin += kChunkTexts) {
    check_interrupted();
    const size_t count = std::min(kChunkTexts, missing.texts.size() - begin);
    options.progress = [&](const Progress& inner) {
      if (progress) progress({"embedding", begin + inner.done, missing.texts.size(), "texts"});
    };
    Mat<float> vectors(count, dim());
    const auto start = std::chrono::steady_clock::now();
    const EncodeReport report =
        encoder_.encode(std::span<const std::string_view>(missing.texts).subspan(begin, count),
                        options, vectors.view());
    counts_.seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    counts_.encoded += count;
    counts_.tokens += report.tokens;
    counts_.truncated += report.truncated.size();
    if (progress) progress({"embedding", begin + count, missing.texts.size(), "texts"});
    if (cache_ != nullptr) {
      cache_->add(std::span<const EmbeddingKey>(missing.keys).subspan(begin, count),
                  vectors.view());
    }
    for (size_t i = 0; i < count; ++i) {
      std::copy_n(vectors.row(i), dim(), out.row(missing.rows[begin + i]));
    }
  }
}

CachedEncoder::Counts CachedEncoder::take_counts() {
  const Counts out = counts_;
  counts_ = {};
  return out;
}

Mat<float> cut(MatView<const float> vectors, size_t dim, bool normalize) {
  AKIN_CHECK(dim <= vectors.cols());
  Mat<float> out(vectors.rows(), dim);
  for (size_t r = 0; r < vectors.rows(); ++r) {
    std::copy_n(vectors.row(r), dim, out.row(r));
    if (!normalize || dim == vectors.cols()) continue;
    double sum = 0;
    for (size_t c = 0; c < dim; ++c) sum += double{out(r, c)} * out(r, c);
    const auto factor = static_cast<float>(1.0 / std::max(std::sqrt(sum), 1e-12));
    for (size_t c = 0; c < dim; ++c) out(r, c) *= factor;
  }
  return out;
}

}  // namespace akin::eval
