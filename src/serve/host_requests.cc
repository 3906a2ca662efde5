#include "serve/host_requests.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/late_chunking.h"
#include "core/side.h"

namespace akin::serve {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kTextsPerPiece = 64;  // tokenised before others get their turn
constexpr size_t kInlineBytes = 1024;  // a request this small is tokenised at once
constexpr size_t kInputsPerTask = 16;  // of a classification head, before others get their turn
constexpr size_t kMaxAnswerBytes = size_t{1} << 28;

// An embed request on its way. Keeps itself alive through the tasks that refer to it.
struct EmbedWork : std::enable_shared_from_this<EmbedWork> {
  EmbedPlan plan;
  Workers* workers = nullptr;
  Metrics* metrics = nullptr;
  std::shared_ptr<Job> job = std::make_shared<Job>();
  EmbedResult result;
  size_t next = 0;     // text to tokenise
  size_t segment = 0;  // of `next`
  std::chrono::nanoseconds tokenization{0};
  // Texts that wait until all are counted, where the request has a limit that it may be over.
  std::vector<std::pair<TokenBatch, std::vector<TextIds>>> held;
  bool hold = false;

  bool from_ids() const { return !plan.request.ids.empty(); }
  size_t size() const { return from_ids() ? plan.request.ids.size() : plan.request.texts.size(); }
  void tokenize_next();
  void tokenize_piece();
  TokenBatch piece(size_t end, const EncodeOptions& options, EncodeReport& report) const;
  void add_token_tasks();
  void late_chunks();
  void finish(const std::optional<Error>& error);
};

void EmbedWork::tokenize_next() {
  const Call& call = plan.call;
  if (call.gone && call.gone->load()) {
    plan.slot->batcher->fail(job, Error(ErrorKind::interrupted, "the client has gone"));
    return;
  }
  if (Clock::now() >= call.deadline) {
    plan.slot->batcher->fail(job, Error(ErrorKind::interrupted,
                                        "the deadline passed while tokenising; try again later"));
    return;
  }
  const size_t base = next;
  try {
    tokenize_piece();
  } catch (const Error& error) {
    plan.slot->batcher->fail(job, with_base(error, base));
    return;
  } catch (const std::exception& error) {
    plan.slot->batcher->fail(job, Error(ErrorKind::internal, error.what()));
    return;
  }
  if (next < size()) workers->post([self = shared_from_this()] { self->tokenize_next(); });
}

TokenBatch EmbedWork::piece(size_t end, const EncodeOptions& options, EncodeReport& report) const {
  if (from_ids()) {
    const std::vector<std::span<const int32_t>> ids(
        plan.request.ids.begin() + static_cast<ptrdiff_t>(next),
        plan.request.ids.begin() + static_cast<ptrdiff_t>(end));
    return plan.slot->tokens->wrap(ids, plan.request.add_special_tokens, options, report);
  }
  const std::vector<std::string_view> texts(
      plan.request.texts.begin() + static_cast<ptrdiff_t>(next),
      plan.request.texts.begin() + static_cast<ptrdiff_t>(end));
  return plan.slot->tokens->tokenize(texts, options, report);
}

// The answers may be complete before this returns: after add_texts only `next` is looked at.
void EmbedWork::tokenize_piece() {
  const auto start = Clock::now();
  while (next >= plan.segments[segment].end) ++segment;
  const size_t end = std::min(next + kTextsPerPiece, plan.segments[segment].end);
  EncodeReport report;
  TokenBatch batch = piece(end, plan.segments[segment].options, report);
  result.usage.tokens += batch.tokens();
  result.usage.truncated_inputs += report.truncated.size();
  std::vector<TextIds> texts(batch.size());
  for (size_t b = 0; b < batch.size(); ++b) {
    texts[b] = {next + b, batch.text(b), batch.prompt_tokens[b],
                batch.adapters.empty() ? -1 : batch.adapters[b]};
    metrics->input_length(batch.text(b).size());
    if (batch.text(b).empty()) ++result.usage.empty_inputs;
  }
  tokenization += Clock::now() - start;
  next = end;
  const size_t limit = plan.request.max_tokens;
  const bool over = limit > 0 && result.usage.tokens > limit;
  if (over && (!hold || next == size())) {
    throw_error(ErrorKind::too_long, "request", "Requested {} tokens, max {} tokens per request",
                result.usage.tokens, limit);
  }
  if (hold) {
    if (over) {  // only counted from here on
      held.clear();
    } else {
      held.emplace_back(std::move(batch), std::move(texts));
    }
    if (next < size()) return;
  } else {
    held.emplace_back(std::move(batch), std::move(texts));
  }
  const auto ready = std::move(held);
  held.clear();
  for (const auto& [ids, places] : ready) {
    if (plan.slot->batcher->add_texts(job, places)) continue;
    next = size();  // it has failed: no more of it
    return;
  }
}

void EmbedWork::add_token_tasks() {
  result.token_vectors.resize(size());
  for (size_t i = 0; i < size(); ++i) {
    plan.slot->batcher->add_task(job, [self = shared_from_this(), i] {
      Encoder& encoder = *self->plan.slot->loaded.encoder;
      const EncodeOptions& options = self->plan.segments[0].options;
      const std::string_view text = self->plan.request.texts[i];
      try {
        auto tokens = encoder.encode_tokens(text, options);
        const size_t limit = encoder.info().max_tokens;
        if (limit > 0 && tokens.ids.size() >= limit &&
            encoder.count_tokens({&text, 1}, options)[0] > tokens.ids.size())
          ++self->result.usage.truncated_inputs;
        self->result.usage.tokens += tokens.ids.size();
        self->result.token_vectors[i] = std::move(tokens.vectors);
      } catch (const Error& error) {
        throw with_base(error, i);
      }
    });
  }
}

// The texts as one document: encoded once, each piece the mean of its own tokens' vectors.
void EmbedWork::late_chunks() {
  Encoder& encoder = *plan.slot->loaded.encoder;
  std::string joined;
  std::vector<std::pair<size_t, size_t>> places;
  for (const auto& text : plan.request.texts) {
    if (!joined.empty()) joined += '\n';
    places.emplace_back(joined.size(), joined.size() + text.size());
    joined += text;
  }
  const EncodeOptions& options = plan.segments[0].options;
  const TokenVectors tokens = encoder.encode_tokens(joined, options);
  const size_t width = tokens.vectors.cols();
  if (width != encoder.info().dim) {
    throw_error(ErrorKind::unsupported, "late_chunking",
                "the model's vectors are not means of its token vectors");
  }
  result.usage.tokens = tokens.ids.size();
  const std::string_view whole = joined;
  const bool cut = encoder.count_tokens({&whole, 1}, options)[0] > tokens.ids.size();
  const size_t last =
      tokens.end.empty() ? 0 : *std::max_element(tokens.end.begin(), tokens.end.end());
  std::vector<TextChunk> chunks;
  for (size_t p = 0; p < places.size(); ++p) {
    const auto [begin, end] = places[p];
    TextChunk chunk{static_cast<uint32_t>(begin), static_cast<uint32_t>(end), 0, 0};
    for (size_t t = 0; t < tokens.ids.size(); ++t) {
      // Some tokenizers count the white space before a word among its bytes.
      size_t word = tokens.begin[t];
      if (word < begin) word = std::min(joined.find_first_not_of(" \t\r\n", word), joined.size());
      const bool inside = word < tokens.end[t] && word >= begin && tokens.end[t] <= end;
      if (!inside) continue;
      if (chunk.token_end == 0) chunk.token_begin = t;
      chunk.token_end = t + 1;
    }
    if (cut && end > last) ++result.usage.truncated_inputs;
    if (chunk.token_end == 0 && cut) {
      throw_error(ErrorKind::too_long, fmt::format("input {}", p),
                  "lies beyond the {} tokens that the model reads of the joined texts; send fewer",
                  encoder.info().max_tokens);
    }
    if (chunk.token_end == 0) {
      throw_error(ErrorKind::usage, fmt::format("input {}", p),
                  "has no token of its own, which late chunking could average; leave it out");
    }
    chunks.push_back(chunk);
  }
  pool_chunks(tokens, chunks, options.normalize, result.vectors.view());
}

void EmbedWork::finish(const std::optional<Error>& error) {
  const auto done = std::move(plan.done);
  if (error) {
    done(*error);
    return;
  }
  using std::chrono::nanoseconds;
  result.model = plan.slot->name;
  result.timing.total = Clock::now() - plan.call.start;
  result.timing.tokenization = tokenization;
  result.timing.inference = std::max(nanoseconds{0}, nanoseconds(job->last_run - job->first_run));
  result.timing.queue =
      std::max(nanoseconds{0}, nanoseconds(job->first_run - job->opened) - tokenization);
  if (job->first_run == Clock::time_point{}) result.timing.queue = nanoseconds{0};  // all cached
  done(std::move(result));
}

void check(const EmbedPlan& plan) {
  const auto& request = plan.request;
  const LoadedModel& loaded = plan.slot->loaded;
  if (loaded.encoder == nullptr) {
    throw_error(ErrorKind::unsupported, "model", "{} has no vectors; ask it {} instead",
                quote(plan.slot->name), loaded.scorer ? "for a rerank" : "to predict labels");
  }
  if (!request.ids.empty() && (request.late_chunking || request.token_vectors)) {
    throw_error(ErrorKind::unsupported, "input",
                "token ids have no places in a text; send texts for token vectors");
  }
  const size_t count = request.ids.empty() ? request.texts.size() : request.ids.size();
  if (count == 0) throw_error(ErrorKind::usage, "input", "cannot be empty");
  if (count * loaded.info.dim * sizeof(float) > kMaxAnswerBytes) {
    throw_error(ErrorKind::usage, "input",
                "{} inputs at once make an answer of over {} MB; send fewer a request", count,
                kMaxAnswerBytes >> 20);
  }
}

// A name that the model does not know is a wrong value of that field, not a path that is not there.
template <typename Resolve>
auto check_name(std::string_view field, const Resolve& resolve) {
  try {
    return resolve();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::not_found) throw;
    throw_error(ErrorKind::usage, field, "{}", error.message());
  }
}

}  // namespace

std::string known_prompt(const EncoderInfo& info, const EncodeOptions& options) {
  return check_name("prompt_name", [&] { return resolve_prompt(info, options); });
}

EncodeOptions options_for(const EmbedRequest& request, const EncoderInfo& info,
                          const HostOptions& host) {
  EncodeOptions options;
  options.prompt_name = request.prompt_name;
  options.prompt = request.prompt;
  options.task = request.task;
  options.dims = request.dims;
  options.allow_any_dims = host.allow_any_dims || request.allow_any_dims;
  options.normalize = request.normalize;
  options.truncate =
      request.truncate.value_or(host.limits.auto_truncate ? Truncate::right : Truncate::error);
  if (request.side != Side::none) {
    const bool query = request.side == Side::query;
    if (info.tasks.empty()) options.task.clear();  // the side says it, as a prompt
    if (request.prompt_name.empty() && !request.prompt) {
      options.prompt_name =
          info.prompts.contains(options.task) ? options.task : side_prompt_name(info, query);
    }
    if (options.task.empty()) options.task = side_task(info, query);
  }
  resolve_dims(info, options);
  known_prompt(info, options);
  check_name("task", [&] { return resolve_task(info, options.task); });
  return options;
}

bool start_embed(EmbedPlan& given, Workers& workers, Metrics& metrics) {
  check(given);
  const auto work = std::make_shared<EmbedWork>();
  work->plan = std::move(given);
  const EmbedPlan& plan = work->plan;
  work->workers = &workers;
  work->metrics = &metrics;
  const EmbedRequest& request = work->plan.request;
  const EncodeOptions& options = plan.segments[0].options;
  size_t bytes = 0;
  for (const auto& text : request.texts) {
    bytes += text.size();
    work->result.usage.characters += count_characters(text);
  }
  if (!request.token_vectors)
    work->result.vectors = Mat<float>(work->size(), resolve_dims(plan.slot->loaded.info, options));
  for (const auto& ids : request.ids) bytes += ids.size();
  // A token has a byte at least; special ones and a prompt's come on top.
  constexpr size_t kTokensBeside = 32;
  work->hold = request.max_tokens > 0 && bytes + kTokensBeside * work->size() > request.max_tokens;
  Job& job = *work->job;
  job.call = plan.call;
  job.answers = request.late_chunking ? 1 : work->size();
  job.deliver = [work, normalize = options.normalize](size_t slot, std::span<const float> vector) {
    finish_vector(vector, normalize, {work->result.vectors.row(slot), work->result.vectors.cols()});
  };
  job.finish = [work](const std::optional<Error>& error) { work->finish(error); };
  if (!plan.slot->batcher->open(work->job)) {
    job.deliver = nullptr;
    job.finish = nullptr;
    given = std::move(work->plan);
    return false;
  }
  if (request.token_vectors) {
    work->add_token_tasks();
  } else if (request.late_chunking) {
    plan.slot->batcher->add_task(work->job, [work] { work->late_chunks(); });
  } else if (bytes <= kInlineBytes && work->size() <= 4) {
    work->tokenize_next();
  } else {
    workers.post([work] { work->tokenize_next(); });
  }
  return true;
}

namespace {

// Runs `piece` over 0 .. count - 1, a few at a time with the model's thread for itself and others'
// work between; then `done` gets the result.
template <typename Result>
bool start_pieces(const std::shared_ptr<Slot>& slot, const Call& call, size_t count, Result result,
                  std::function<void(Result& result, size_t begin, size_t end)> piece,
                  const std::function<void(Outcome<Result>)>& done) {
  struct Work {
    Result result;
    std::function<void(Result& result, size_t begin, size_t end)> piece;
  };
  const auto work = std::make_shared<Work>(Work{std::move(result), std::move(piece)});
  const auto job = std::make_shared<Job>();
  job->call = call;
  job->answers = (count + kInputsPerTask - 1) / kInputsPerTask;
  job->finish = [work, done, times = std::weak_ptr(job), start = call.start](const auto& error) {
    if (error) return done(*error);
    work->result.timing.total = Clock::now() - start;
    if (const auto timed = times.lock()) {
      work->result.timing.queue = timed->first_run - timed->opened;
      work->result.timing.inference = timed->last_run - timed->first_run;
    }
    done(std::move(work->result));
  };
  if (!slot->batcher->open(job)) return false;
  for (size_t begin = 0; begin < count; begin += kInputsPerTask) {
    slot->batcher->add_task(job, [work, begin, end = std::min(count, begin + kInputsPerTask)] {
      try {
        work->piece(work->result, begin, end);
      } catch (const Error& error) {
        throw with_base(error, begin);
      }
    });
  }
  return true;
}

void add_usage(const EncodeReport& report, Usage& usage) {
  usage.tokens += report.tokens;
  usage.truncated_inputs += report.truncated.size();
}

}  // namespace

bool start_scores(const std::shared_ptr<Slot>& slot, const RerankRequest& request,
                  Truncate truncate, const Call& call,
                  const std::function<void(Outcome<RerankResult>)>& done) {
  RerankResult result;
  result.model = slot->name;
  result.scores.resize(request.documents.size());
  for (const auto& document : request.documents)
    result.usage.characters += count_characters(document);
  const auto piece = [slot, request, truncate](RerankResult& out, size_t begin, size_t end) {
    const std::vector<std::string_view> views(
        request.documents.begin() + static_cast<ptrdiff_t>(begin),
        request.documents.begin() + static_cast<ptrdiff_t>(end));
    const PairScores scores = slot->loaded.scorer->scores(request.query, views, truncate);
    std::copy(scores.logits.begin(), scores.logits.end(),
              out.scores.begin() + static_cast<ptrdiff_t>(begin));
    for (size_t i = begin; i < end && !request.raw_scores; ++i)
      logits_to_shares({&out.scores[i], 1});
    add_usage(scores.report, out.usage);
  };
  return start_pieces<RerankResult>(slot, call, request.documents.size(), std::move(result), piece,
                                    done);
}

bool start_predict(const std::shared_ptr<Slot>& slot, const PredictRequest& request,
                   Truncate truncate, const Call& call,
                   const std::function<void(Outcome<PredictResult>)>& done) {
  PredictResult result;
  result.model = slot->name;
  result.labels = slot->loaded.classifier->labels();
  result.scores = Mat<float>(request.inputs.size(), result.labels.size());
  for (const auto& input : request.inputs)
    result.usage.characters +=
        count_characters(input.text) + count_characters(input.second.value_or(""));
  const auto piece = [slot, request, truncate](PredictResult& out, size_t begin, size_t end) {
    std::vector<ClassifierInput> inputs;
    for (size_t i = begin; i < end; ++i)
      inputs.push_back({request.inputs[i].text, request.inputs[i].second});
    const ClassLogits scored = slot->loaded.classifier->classify(inputs, truncate);
    for (size_t i = begin; i < end; ++i) {
      const std::span<float> row(out.scores.row(i), out.scores.cols());
      std::copy_n(scored.logits.row(i - begin), row.size(), row.begin());
      if (!request.raw_scores) logits_to_shares(row);
    }
    add_usage(scored.report, out.usage);
  };
  return start_pieces<PredictResult>(slot, call, request.inputs.size(), std::move(result), piece,
                                     done);
}

void logits_to_shares(std::span<float> logits) {
  if (logits.size() == 1) {
    logits[0] = 1.0F / (1.0F + std::exp(-logits[0]));
    return;
  }
  const float highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float& value : logits) {
    value = std::exp(value - highest);
    sum += static_cast<double>(value);
  }
  for (float& value : logits) value = static_cast<float>(static_cast<double>(value) / sum);
}

RerankResult rank_by_similarity(EmbedResult result, const std::string& similarity) {
  RerankResult out;
  const auto& vectors = result.vectors;
  for (size_t r = 1; r < vectors.rows(); ++r) {
    double dot = 0, squares = 0, sum = 0;
    for (size_t d = 0; d < vectors.cols(); ++d) {
      const auto a = static_cast<double>(vectors(0, d)), b = static_cast<double>(vectors(r, d));
      dot += a * b;
      squares += (a - b) * (a - b);
      sum += std::abs(a - b);
    }
    double score = dot;
    if (similarity == "euclidean") score = -std::sqrt(squares);
    if (similarity == "manhattan") score = -sum;
    out.scores.push_back(static_cast<float>(score));
  }
  out.model = std::move(result.model);
  out.usage = result.usage;
  out.timing = result.timing;
  return out;
}

void finish_vector(std::span<const float> full, bool normalize, std::span<float> out) {
  std::copy_n(full.begin(), out.size(), out.begin());
  if (!normalize) return;
  double squares = 0;
  for (const float value : out) squares += static_cast<double>(value) * static_cast<double>(value);
  const auto factor = static_cast<float>(1.0 / std::max(std::sqrt(squares), 1e-12));
  for (float& value : out) value *= factor;
}

Error with_base(const Error& error, size_t base) {
  constexpr std::string_view kPrefix = "input ";
  const std::string& where = error.where();
  size_t index = 0;
  if (!std::string_view(where).starts_with(kPrefix)) return error;
  const char* end = where.data() + where.size();
  const auto [stop, failed] = std::from_chars(where.data() + kPrefix.size(), end, index);
  if (failed != std::errc() || stop != end) return error;
  std::string message = error.message();
  if (error.kind() == ErrorKind::too_long) {
    message.erase(std::min(message.find(';'), message.size()));
    message += "; send \"truncate\": true to have it cut";
  }
  return {error.kind(), message, fmt::format("input {}", base + index)};
}

uint64_t count_characters(std::string_view utf8) {
  return static_cast<uint64_t>(std::count_if(
      utf8.begin(), utf8.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; }));
}

}  // namespace akin::serve
