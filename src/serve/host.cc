#include "serve/host.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include "serve/host_requests.h"

namespace akin::serve {
namespace {

constexpr std::string_view kProbe = "health";

// A real pass of a model that was just loaded.
void prove(const LoadedModel& model) {
  const auto finite = [&](float value) {
    if (!std::isfinite(value)) {
      throw_error(ErrorKind::bad_format, model.path_name,
                  "the model's first vector is not finite; its weights are broken");
    }
  };
  if (model.encoder != nullptr) {
    if (token_encoder(*model.encoder) == nullptr) {
      throw_error(ErrorKind::unsupported, model.path_name,
                  "this engine cannot take texts of several requests in one pass");
    }
    Mat<float> vector(1, model.info.dim);
    EncodeOptions options;
    options.prompt = "";
    model.encoder->encode({&kProbe, 1}, options, vector.view());
    for (size_t d = 0; d < vector.cols(); ++d) finite(vector(0, d));
  }
  if (model.scorer != nullptr)
    finite(model.scorer->scores(kProbe, {&kProbe, 1}, Truncate::right).logits.at(0));
  if (model.classifier != nullptr) {
    const ClassifierInput probe{kProbe, {}};
    const auto scored = model.classifier->classify({&probe, 1}, Truncate::right);
    for (size_t k = 0; k < scored.logits.cols(); ++k) finite(scored.logits(0, k));
  }
}

Error named(const Error& error, std::string_view model) {
  return {error.kind(), error.what(), fmt::format("model {}", model)};
}

template <typename Result>
void call_back(const std::function<void(Outcome<Result>)>& done, Outcome<Result> outcome) {
  try {
    done(std::move(outcome));
  } catch (const std::exception& error) {
    log_warning("an answer could not be printed: {}", error.what());
  }
}

}  // namespace

Host::Host(std::vector<ModelSource> sources, const HostOptions& options)
    : sources_(std::move(sources)),
      options_(options),
      workers_(std::max<size_t>(1, options.limits.tokenization_workers)) {
  if (sources_.empty()) throw_error(ErrorKind::usage, "--model", "none given; name at least one");
  for (size_t i = 0; i < sources_.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (sources_[i].name == sources_[j].name) {
        throw_error(ErrorKind::usage, "--model",
                    "{} is served twice; give one of them another name: --model NAME=DIR",
                    quote(sources_[i].name));
      }
    }
    slots_.push_back(make_slot(sources_[i]));
  }
  reload_errors_.resize(sources_.size());
}

Host::~Host() {
  for (const auto& slot : slots_) slot->batcher->close();
}

std::shared_ptr<Slot> Host::make_slot(const ModelSource& source) const {
  auto slot = std::make_shared<Slot>();
  slot->name = source.name;
  slot->loaded = source.load();
  prove(slot->loaded);
  if (slot->loaded.encoder) slot->tokens = token_encoder(*slot->loaded.encoder);
  slot->created = static_cast<int64_t>(std::time(nullptr));
  slot->batcher = std::make_unique<Batcher>(
      slot->loaded.encoder, BatcherOptions{options_.limits.max_batch_tokens, options_.cache_bytes},
      workers_, metrics_);
  return slot;
}

size_t Host::reload() {
  const std::lock_guard one_at_a_time(reload_mutex_);
  size_t replaced = 0;
  for (size_t i = 0; i < sources_.size(); ++i) {
    std::shared_ptr<Slot> slot;
    try {
      slot = make_slot(sources_[i]);
    } catch (const std::exception& error) {
      log_warning("reload: model {} stays as it is: {}", sources_[i].name, error.what());
      const std::unique_lock lock(slots_mutex_);
      reload_errors_[i] = error.what();
      continue;
    }
    {
      const std::unique_lock lock(slots_mutex_);
      std::swap(slots_[i], slot);
      reload_errors_[i].clear();
    }
    slot->batcher->close();  // answers what it has
    log_info("reload: model {} replaced", sources_[i].name);
    ++replaced;
  }
  return replaced;
}

std::shared_ptr<Slot> Host::slot(std::string_view name) const {
  const std::shared_lock lock(slots_mutex_);
  if (name.empty()) return slots_.front();
  constexpr std::string_view kLatest = ":latest";  // as Ollama's clients add
  const std::string_view bare =
      name.ends_with(kLatest) ? name.substr(0, name.size() - kLatest.size()) : name;
  for (const auto& slot : slots_) {
    if (slot->name == name || slot->name == bare) return slot;
  }
  for (const auto& slot : slots_) {
    if (slot->loaded.path_name == name || slot->loaded.info.name == name) return slot;
  }
  std::vector<std::string> known;
  for (const auto& slot : slots_) known.push_back(slot->name);
  throw_error(ErrorKind::not_found, "model", "{} is not served here; served: {}", quote(name),
              fmt::join(known, ", "));
}

template <typename Result>
std::function<void(Outcome<Result>)> Host::admit(bool rerank, size_t texts,
                                                 const std::function<void(Outcome<Result>)>& done) {
  const bool single = texts == 1;
  metrics_.request_started(single, rerank);
  if (metrics_.active.fetch_add(1) >= static_cast<int64_t>(options_.limits.max_queue)) {
    --metrics_.active;
    metrics_.request_failed(Failure::overloaded);
    workers_.post_first([done, waiting = options_.limits.max_queue] {
      call_back<Result>(
          done, Error(ErrorKind::overloaded,
                      fmt::format("{} requests wait already; try again in a second", waiting)));
    });
    return {};
  }
  return [this, single, rerank, texts, done](Outcome<Result> outcome) {
    --metrics_.active;
    if (const auto* error = std::get_if<Error>(&outcome)) {
      metrics_.request_failed(failure_of(*error));
    } else {
      const auto& result = std::get<Result>(outcome);
      metrics_.request_done(single, rerank, result.timing, result.usage, texts);
    }
    call_back(done, std::move(outcome));
  };
}

template <typename Result>
void Host::begin(std::string_view model, const std::function<void(Outcome<Result>)>& done,
                 const std::function<bool(const std::shared_ptr<Slot>&)>& start) {
  const auto fail = [&](const Error& error) {
    workers_.post_first([done, error] { done(error); });
  };
  try {
    while (!start(slot(model))) {  // a queue closes only after another has taken its place
    }
  } catch (const Error& error) {
    fail(error);
  } catch (const std::exception& error) {
    fail(Error(ErrorKind::internal, error.what()));
  }
}

void Host::embed(EmbedRequest request, const Call& call,
                 std::function<void(Outcome<EmbedResult>)> done) {
  const size_t texts = std::max(request.texts.size(), request.ids.size());
  const auto counted = admit<EmbedResult>(false, texts, done);
  if (!counted) return;
  EmbedPlan plan;
  plan.call = call;
  plan.request = std::move(request);
  plan.done = counted;
  begin<EmbedResult>(plan.request.model, counted, [&](const std::shared_ptr<Slot>& slot) {
    plan.slot = slot;
    plan.segments = {{texts, options_for(plan.request, slot->loaded.info, options_)}};
    return start_embed(plan, workers_, metrics_);
  });
}

void Host::rerank(RerankRequest request, const Call& call,
                  std::function<void(Outcome<RerankResult>)> done) {
  const size_t documents = request.documents.size();
  const auto counted = admit<RerankResult>(true, documents, done);
  if (!counted) return;
  const Truncate truncate = truncation(request.truncate);
  begin<RerankResult>(request.model, counted, [&](const std::shared_ptr<Slot>& slot) {
    if (documents == 0) throw_error(ErrorKind::usage, "documents", "cannot be empty");
    if (slot->loaded.scorer) return start_scores(slot, request, truncate, call, counted);
    if (!slot->loaded.encoder) {
      throw_error(ErrorKind::unsupported, "model",
                  "{} labels texts; a rerank needs an embedding model or a cross-encoder",
                  quote(slot->name));
    }
    const auto& info = slot->loaded.info;
    EmbedPlan plan;
    plan.slot = slot;
    plan.call = call;
    EmbedRequest& embed = plan.request;
    embed.texts = request.documents;
    embed.texts.insert(embed.texts.begin(), request.query);
    embed.truncate = truncate;
    embed.normalize = info.similarity == "cosine";
    for (const Side side : {Side::query, Side::document}) {
      embed.side = side;
      plan.segments.push_back(
          {side == Side::query ? 1 : documents + 1, options_for(embed, info, options_)});
    }
    plan.done = [counted, similarity = info.similarity](Outcome<EmbedResult> outcome) {
      if (auto* result = std::get_if<EmbedResult>(&outcome)) {
        counted(rank_by_similarity(std::move(*result), similarity));
      } else {
        counted(std::get<Error>(std::move(outcome)));
      }
    };
    return start_embed(plan, workers_, metrics_);
  });
}

void Host::predict(PredictRequest request, const Call& call,
                   std::function<void(Outcome<PredictResult>)> done) {
  const auto counted = admit<PredictResult>(true, request.inputs.size(), done);
  if (!counted) return;
  begin<PredictResult>(request.model, counted, [&](const std::shared_ptr<Slot>& slot) {
    if (request.inputs.empty()) throw_error(ErrorKind::usage, "inputs", "cannot be empty");
    if (!slot->loaded.classifier) throw Error(ErrorKind::device, "Model is not a classifier model");
    return start_predict(slot, request, truncation(request.truncate), call, counted);
  });
}

void Host::check_health(const Call& call, const std::shared_ptr<Slot>& slot,
                        const std::function<void(const std::optional<Error>&)>& done) {
  const auto job = std::make_shared<Job>();
  job->call = call;
  job->answers = 1;
  job->urgent = true;
  job->deliver = [](size_t, std::span<const float>) {};
  job->finish = [done, name = slot->name](const std::optional<Error>& error) {
    done(error ? std::optional(named(*error, name)) : std::nullopt);
  };
  if (!slot->batcher->open(job)) {  // replaced a moment ago, by one that was proven
    workers_.post_first([done] { done(std::nullopt); });
    return;
  }
  if (slot->tokens == nullptr) {
    slot->batcher->add_task(job, [slot] { prove(slot->loaded); });
    return;
  }
  EncodeReport report;
  EncodeOptions options;
  options.prompt = "";
  const TokenBatch batch = slot->tokens->tokenize({&kProbe, 1}, options, report);
  const TextIds text{0, batch.text(0), batch.prompt_tokens[0], -1};
  slot->batcher->add_texts(job, {&text, 1}, false);
}

void Host::health(const Call& call, std::function<void(Outcome<bool>)> done) {
  std::vector<std::shared_ptr<Slot>> slots;
  {
    const std::shared_lock lock(slots_mutex_);
    slots = slots_;
  }
  struct Together {
    std::mutex mutex;
    size_t left = 0;
    std::optional<Error> error;
  };
  const auto together = std::make_shared<Together>();
  together->left = slots.size();
  for (const auto& slot : slots) {
    check_health(call, slot, [together, done](const std::optional<Error>& error) {
      {
        const std::lock_guard lock(together->mutex);
        if (error) together->error = error;
        if (--together->left > 0) return;
      }
      call_back<bool>(done,
                      together->error ? Outcome<bool>(*together->error) : Outcome<bool>(true));
    });
  }
}

namespace {

ModelStatus status_of(const Slot& slot) {
  return {slot.name,
          slot.loaded.path_name,
          slot.loaded.info,
          slot.loaded.scorer != nullptr,
          slot.loaded.classifier ? slot.loaded.classifier->labels() : std::vector<std::string>(),
          slot.created};
}

const TextClassifier& classifier_of(const Slot& slot) {
  if (slot.loaded.classifier != nullptr) return *slot.loaded.classifier;
  throw_error(ErrorKind::unsupported, "model", "{} shows no tokens", quote(slot.name));
}

std::vector<Token> pieces_of(const Slot& slot, const std::string& text, const std::string& prompt,
                             bool add_special_tokens) {
  if (slot.tokens != nullptr) return slot.tokens->pieces(text, prompt, add_special_tokens);
  return classifier_of(slot).pieces(prompt + text, add_special_tokens);
}

}  // namespace

std::vector<ModelStatus> Host::models() const {
  const std::shared_lock lock(slots_mutex_);
  std::vector<ModelStatus> out;
  for (const auto& slot : slots_) out.push_back(status_of(*slot));
  return out;
}

std::vector<std::pair<std::string, std::string>> Host::not_reloaded() const {
  std::vector<std::pair<std::string, std::string>> out;
  const std::shared_lock lock(slots_mutex_);
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (!reload_errors_[i].empty()) out.emplace_back(slots_[i]->name, reload_errors_[i]);
  }
  return out;
}

ModelStatus Host::model(std::string_view name) const { return status_of(*slot(name)); }

std::vector<std::vector<Token>> Host::tokenize(std::string_view model,
                                               const std::vector<std::string>& texts,
                                               bool add_special_tokens,
                                               const std::string& prompt_name) const {
  const auto chosen = slot(model);
  EncodeOptions options;
  options.prompt_name = prompt_name;
  const std::string prompt =
      prompt_name.empty() ? std::string() : known_prompt(chosen->loaded.info, options);
  std::vector<std::vector<Token>> out;
  out.reserve(texts.size());
  for (const auto& text : texts)
    out.push_back(pieces_of(*chosen, text, prompt, add_special_tokens));
  return out;
}

std::vector<std::string> Host::decode(std::string_view model,
                                      const std::vector<std::vector<int32_t>>& ids,
                                      bool skip_special_tokens) const {
  const auto chosen = slot(model);
  std::vector<std::string> out;
  out.reserve(ids.size());
  for (const auto& text : ids) {
    out.push_back(chosen->tokens != nullptr
                      ? chosen->tokens->decode(text, skip_special_tokens)
                      : classifier_of(*chosen).decode(text, skip_special_tokens));
  }
  return out;
}

std::pair<Batcher::Depth, VectorCache::Counts> Host::waiting() const {
  Batcher::Depth depth;
  VectorCache::Counts cache;
  const std::shared_lock lock(slots_mutex_);
  for (const auto& slot : slots_) {
    const auto one = slot->batcher->depth();
    const auto kept = slot->batcher->cache_counts();
    depth.texts += one.texts;
    depth.tokens += one.tokens;
    cache.entries += kept.entries;
    cache.bytes += kept.bytes;
    cache.hits += kept.hits;
    cache.misses += kept.misses;
  }
  return {depth, cache};
}

std::string Host::metrics() const {
  const auto [depth, cache] = waiting();
  const std::pair<std::string, double> extra[] = {
      {"te_queue_size", static_cast<double>(depth.texts)},
      {"akin_queue_tokens", static_cast<double>(depth.tokens)},
      {"akin_requests_active", static_cast<double>(metrics_.active.load())},
      {"akin_cache_entries", static_cast<double>(cache.entries)},
      {"akin_cache_bytes", static_cast<double>(cache.bytes)},
      {"akin_cache_hits", static_cast<double>(cache.hits)},
      {"akin_cache_misses", static_cast<double>(cache.misses)},
      {"akin_models_not_reloaded", static_cast<double>(not_reloaded().size())},
  };
  return metrics_.prometheus(extra);
}

std::string Host::status_json() const {
  using nlohmann::ordered_json;
  const auto [depth, cache] = waiting();
  ordered_json models = ordered_json::array();
  {
    const std::shared_lock lock(slots_mutex_);
    for (size_t i = 0; i < slots_.size(); ++i) {
      const Slot& slot = *slots_[i];
      models.push_back({{"name", slot.name},
                        {"dim", slot.loaded.info.dim},
                        {"max_tokens", slot.loaded.info.max_tokens},
                        {"queued_texts", slot.batcher->depth().texts}});
      if (!reload_errors_[i].empty()) models.back()["reload_error"] = reload_errors_[i];
    }
  }
  const auto rates = metrics_.rates();
  const auto [p50, p99] = metrics_.latency_ms();
  const int64_t active = metrics_.active.load();
  const ordered_json status = {
      {"uptime_seconds", metrics_.uptime_seconds()},
      {"connections", metrics_.connections.load()},
      {"requests",
       {{"total", metrics_.requests()},
        {"active", active},
        {"failed", metrics_.failures()},
        {"rejected", metrics_.rejected()}}},
      {"queue", {{"requests", active}, {"texts", depth.texts}, {"tokens", depth.tokens}}},
      {"rate",
       {{"requests_per_second", rates.requests},
        {"texts_per_second", rates.texts},
        {"tokens_per_second", rates.tokens}}},
      {"latency_ms", {{"p50", p50}, {"p99", p99}}},
      {"cache",
       {{"entries", cache.entries},
        {"bytes", cache.bytes},
        {"hits", cache.hits},
        {"misses", cache.misses}}},
      {"models", std::move(models)}};
  return status.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace akin::serve
