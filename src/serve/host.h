// The Service of `akin serve`: several models in one process, each with its queue (batcher.h),
// and the workers that tokenise for them. Loads nothing itself: the caller gives a function per
// model, which is called again to load it anew.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "core/encoder.h"
#include "core/pair_scorer.h"
#include "core/text_classifier.h"
#include "serve/batcher.h"
#include "serve/host_workers.h"
#include "serve/metrics.h"
#include "serve/service.h"

namespace akin::serve {

struct LoadedModel {
  std::string path_name;             // where it came from, for people
  EncoderInfo info;                  // of whichever of these there is
  std::shared_ptr<Encoder> encoder;  // with a TokenEncoder. Shared by the queue that runs it and
                                     // requests that ask about it
  std::shared_ptr<PairScorer> scorer;
  std::shared_ptr<TextClassifier> classifier;
};

struct ModelSource {
  std::string name;  // as clients know it
  std::function<LoadedModel()> load;
};

struct Slot;  // a served model with its queue: host_requests.h

struct HostOptions {
  Limits limits;
  size_t cache_bytes = 0;       // of vectors, per model; 0: none
  bool allow_any_dims = false;  // serve dims that a model does not declare
};

class Host final : public Service {
 public:
  // Loads every model and runs it once. Errors: usage (no model, a name twice); what loading gives.
  Host(std::vector<ModelSource> sources, const HostOptions& options);
  ~Host() override;  // answers what it took on

  // Loads each model anew. One that loads and encodes takes its place; the one before it answers
  // what it has and goes. One that does not is logged, and the old one stays. Blocks; one call at a
  // time. Returns how many were replaced.
  size_t reload();

  void embed(EmbedRequest request, const Call& call,
             std::function<void(Outcome<EmbedResult>)> done) override;
  void rerank(RerankRequest request, const Call& call,
              std::function<void(Outcome<RerankResult>)> done) override;
  void predict(PredictRequest request, const Call& call,
               std::function<void(Outcome<PredictResult>)> done) override;
  void health(const Call& call, std::function<void(Outcome<bool>)> done) override;
  std::vector<ModelStatus> models() const override;
  ModelStatus model(std::string_view name) const override;
  std::vector<std::vector<Token>> tokenize(std::string_view model,
                                           const std::vector<std::string>& texts,
                                           bool add_special_tokens,
                                           const std::string& prompt_name) const override;
  std::vector<std::string> decode(std::string_view model,
                                  const std::vector<std::vector<int32_t>>& ids,
                                  bool skip_special_tokens) const override;
  std::vector<std::pair<std::string, std::string>> not_reloaded() const override;
  const Limits& limits() const override { return options_.limits; }
  std::string metrics() const override;
  std::string status_json() const override;
  IndexService* indexes() override { return indexes_; }

  void carry_indexes(IndexService* indexes) { indexes_ = indexes; }  // before requests come
  Metrics& counts() { return metrics_; }
  Workers& workers() { return workers_; }

 private:
  std::shared_ptr<Slot> slot(std::string_view name) const;
  std::shared_ptr<Slot> make_slot(const ModelSource& source) const;
  std::pair<Batcher::Depth, VectorCache::Counts> waiting() const;  // of all models
  Truncate truncation(const std::optional<Truncate>& asked) const {
    return asked.value_or(options_.limits.auto_truncate ? Truncate::right : Truncate::error);
  }
  void check_health(const Call& call, const std::shared_ptr<Slot>& slot,
                    const std::function<void(const std::optional<Error>&)>& done);
  // Counts a request in; what it returns counts it out. When too many wait: answers so, and returns
  // null.
  template <typename Result>
  std::function<void(Outcome<Result>)> admit(bool rerank, size_t texts,
                                             const std::function<void(Outcome<Result>)>& done);
  // Runs `start` with a queue that is open; an error becomes the answer.
  template <typename Result>
  void begin(std::string_view model, const std::function<void(Outcome<Result>)>& done,
             const std::function<bool(const std::shared_ptr<Slot>&)>& start);

  const std::vector<ModelSource> sources_;
  const HostOptions options_;
  mutable Metrics metrics_;
  mutable Workers workers_;
  IndexService* indexes_ = nullptr;
  mutable std::shared_mutex slots_mutex_;
  std::vector<std::shared_ptr<Slot>> slots_;  // by source; shared with requests under way
  std::vector<std::string> reload_errors_;    // by source, of the last reload; empty: none
  std::mutex reload_mutex_;
};

}  // namespace akin::serve
