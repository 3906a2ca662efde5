// The way of one request through the host: options from what the client asked, tokenising piece by
// piece, answers gathered from the queue. Internal to host.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/token_encoder.h"
#include "serve/batcher.h"
#include "serve/host.h"

namespace akin::serve {

struct Slot {
  std::string name;
  LoadedModel loaded;
  TokenEncoder* tokens = nullptr;  // of loaded.encoder
  int64_t created = 0;             // unix seconds
  std::unique_ptr<Batcher> batcher;
};

// resolve_prompt. Errors: usage naming the request's field.
std::string known_prompt(const EncoderInfo& info, const EncodeOptions& options);

// What the model is asked for one side: prompt, adapter, dims, cut. Errors: usage, not_found.
EncodeOptions options_for(const EmbedRequest& request, const EncoderInfo& info,
                          const HostOptions& host);

struct Segment {
  size_t end = 0;  // texts from the last segment's end up to here
  EncodeOptions options;
};

struct EmbedPlan {
  std::shared_ptr<Slot> slot;
  EmbedRequest request;
  std::vector<Segment> segments;
  Call call;
  std::function<void(Outcome<EmbedResult>)> done;
};

// These return false, having done nothing, when the slot's queue takes no more. Errors (thrown
// before anything begins): usage, unsupported.
bool start_embed(EmbedPlan& plan, Workers& workers, Metrics& metrics);
bool start_scores(const std::shared_ptr<Slot>& slot, const RerankRequest& request,
                  Truncate truncate, const Call& call,
                  const std::function<void(Outcome<RerankResult>)>& done);

bool start_predict(const std::shared_ptr<Slot>& slot, const PredictRequest& request,
                   Truncate truncate, const Call& call,
                   const std::function<void(Outcome<PredictResult>)>& done);

// Logits of one input to shares of its labels: a softmax, or a sigmoid where there is one label.
void logits_to_shares(std::span<float> logits);

// Scores of documents by the cosine (or the model's own measure) with the query, row 0.
RerankResult rank_by_similarity(EmbedResult result, const std::string& similarity);

// First dims of a full vector, unit length when asked: what an encoder does after its pass.
void finish_vector(std::span<const float> full, bool normalize, std::span<float> out);

// An error about one text, under its number in the whole request and in a server's words.
Error with_base(const Error& error, size_t base);

uint64_t count_characters(std::string_view utf8);

}  // namespace akin::serve
