// A model for tests of this room: exact, instant, and as slow as a test asks. Its tokens are the
// bytes of a text; its vector says which text it was.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/token_encoder.h"
#include "serve/host.h"

namespace akin::serve {

// Vector of ids: [sum of i-th id * (i + 1), length, first, last] + bias; a text with byte '!'
// fails.
class ByteEncoder final : public Encoder, public TokenEncoder {
 public:
  explicit ByteEncoder(float bias = 0) : bias_(bias) {
    info_.name = "bytes";
    info_.fingerprint = "bytes";
    info_.dim = 4;
    info_.max_tokens = 64;
    info_.matryoshka_dims = {2};
    info_.prompts = {{"query", "q:"}, {"document", ""}};
  }

  static std::vector<float> expected(std::string_view text, float bias = 0) {
    float sum = 0;
    for (size_t i = 0; i < text.size(); ++i)
      sum += static_cast<float>(static_cast<uint8_t>(text[i])) * static_cast<float>(i + 1);
    const auto at = [&](size_t i) { return static_cast<float>(static_cast<uint8_t>(text[i])); };
    return {sum + bias, static_cast<float>(text.size()) + bias, (text.empty() ? 0 : at(0)) + bias,
            (text.empty() ? 0 : at(text.size() - 1)) + bias};
  }

  const EncoderInfo& info() const override { return info_; }
  EncodeReport encode(std::span<const std::string_view> texts, const EncodeOptions& options,
                      MatView<float> out) override {
    EncodeReport report;
    encode_ids(tokenize(texts, options, report), options, out);
    return report;
  }
  TokenVectors encode_tokens(std::string_view text, const EncodeOptions& options) override {
    EncodeReport report;
    const TokenBatch batch = tokenize({&text, 1}, options, report);
    TokenVectors out;
    out.ids = batch.ids;
    out.vectors = Mat<float>(out.ids.size(), info_.dim);
    for (size_t t = 0; t < out.ids.size(); ++t) {
      for (size_t d = 0; d < info_.dim; ++d)
        out.vectors(t, d) = static_cast<float>(out.ids[t]) * static_cast<float>(d + 1);
      out.begin.push_back(static_cast<uint32_t>(t));
      out.end.push_back(static_cast<uint32_t>(t + 1));
    }
    return out;
  }
  std::vector<uint32_t> count_tokens(std::span<const std::string_view> texts,
                                     const EncodeOptions&) override {
    std::vector<uint32_t> out;
    for (const auto text : texts) out.push_back(static_cast<uint32_t>(text.size()));
    return out;
  }
  TokenBatch tokenize(std::span<const std::string_view> texts, const EncodeOptions& options,
                      EncodeReport& report) const override {
    TokenBatch batch;
    for (size_t i = 0; i < texts.size(); ++i) {
      const std::string text = resolve_prompt(info_, options) + std::string(texts[i]);
      size_t keep = text.size();
      if (keep > info_.max_tokens) {
        if (options.truncate == Truncate::error)
          throw_error(ErrorKind::too_long, fmt::format("input {}", i), "{} tokens, model limit {}",
                      keep, info_.max_tokens);
        keep = info_.max_tokens;
        report.truncated.push_back(i);
      }
      for (size_t b = 0; b < keep; ++b) batch.ids.push_back(static_cast<uint8_t>(text[b]));
      batch.offsets.push_back(static_cast<uint32_t>(batch.ids.size()));
      batch.prompt_tokens.push_back(0);
    }
    return batch;
  }
  TokenBatch wrap(std::span<const std::span<const int32_t>> ids, bool, const EncodeOptions&,
                  EncodeReport&) const override {
    TokenBatch batch;
    for (const auto text : ids) {
      batch.ids.insert(batch.ids.end(), text.begin(), text.end());
      batch.offsets.push_back(static_cast<uint32_t>(batch.ids.size()));
      batch.prompt_tokens.push_back(0);
    }
    return batch;
  }
  void encode_ids(const TokenBatch& batch, const EncodeOptions&, MatView<float> out) override {
    {
      std::unique_lock lock(mutex_);
      opened_.wait(lock, [&] { return open_; });
    }
    std::this_thread::sleep_for(delay);
    const std::lock_guard lock(mutex_);
    std::vector<std::string> texts;
    for (size_t b = 0; b < batch.size(); ++b) {
      std::string text;
      for (const int32_t id : batch.text(b)) text += static_cast<char>(id);
      if (text.find('!') != std::string::npos)
        throw_error(ErrorKind::device, "", "a text that this model cannot take");
      const auto vector = expected(text, bias_);
      std::copy(vector.begin(), vector.end(), out.row(b));
      texts.push_back(std::move(text));
    }
    batches_.push_back(std::move(texts));
  }
  std::vector<TokenPiece> pieces(std::string_view, std::string_view, bool) const override {
    return {};
  }
  std::string decode(std::span<const int32_t>, bool) const override { return {}; }

  void gate(bool open) {  // closed: passes wait
    const std::lock_guard lock(mutex_);
    open_ = open;
    opened_.notify_all();
  }
  std::vector<std::vector<std::string>> seen() {
    const std::lock_guard lock(mutex_);
    return batches_;
  }
  size_t count(const std::string& text) {
    size_t found = 0;
    for (const auto& batch : seen())
      found += static_cast<size_t>(std::count(batch.begin(), batch.end(), text));
    return found;
  }

  std::chrono::microseconds delay{0};

 private:
  const float bias_;
  EncoderInfo info_;
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = true;
  std::vector<std::vector<std::string>> batches_;
};

inline ModelSource bytes_source(const std::shared_ptr<ByteEncoder>& encoder,
                                const std::string& name = "bytes") {
  return {name, [encoder] {
            LoadedModel loaded;
            loaded.path_name = "bytes-folder";
            loaded.info = encoder->info();
            loaded.encoder = encoder;
            return loaded;
          }};
}

inline Call call_within(std::chrono::milliseconds time = std::chrono::seconds(20)) {
  Call call;
  call.start = std::chrono::steady_clock::now();
  call.deadline = call.start + time;
  call.gone = std::make_shared<std::atomic<bool>>(false);
  return call;
}

inline EmbedRequest raw_request(std::vector<std::string> texts) {
  EmbedRequest request;
  request.texts = std::move(texts);
  request.normalize = false;
  return request;
}

inline std::future<Outcome<EmbedResult>> ask(Service& service, EmbedRequest request,
                                             const Call& call) {
  const auto promise = std::make_shared<std::promise<Outcome<EmbedResult>>>();
  auto future = promise->get_future();
  service.embed(std::move(request), call, [promise](Outcome<EmbedResult> outcome) {
    promise->set_value(std::move(outcome));
  });
  return future;
}

}  // namespace akin::serve
