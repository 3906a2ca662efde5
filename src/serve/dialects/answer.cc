#include "serve/dialects/answer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

namespace akin::serve {

HttpRequest request_head(const HttpRequest& request) {
  return {request.method, request.path, request.query, request.headers, {}};
}

std::string error_text(const Error& error, std::string_view too_long) {
  if (error.message().starts_with('`')) return error.message();
  std::string text = error.what();
  if (error.kind() != ErrorKind::too_long) return text;
  text.resize(std::min(text.find(';'), text.size()));
  const bool over_limit = text.find("model limit") != std::string::npos;
  return over_limit ? fmt::format("{}; {}", text, too_long) : text;
}

HttpResponse json_response(std::string body, const Usage& usage) {
  HttpResponse response;
  response.body = std::move(body);
  if (usage.tokens > 0) {
    response.headers.emplace_back("x-compute-tokens", std::to_string(usage.tokens));
  }
  if (usage.truncated_inputs > 0) {
    response.headers.emplace_back("x-akin-truncated-inputs",
                                  std::to_string(usage.truncated_inputs));
  }
  if (usage.empty_inputs > 0) {
    response.headers.emplace_back("x-akin-empty-inputs", std::to_string(usage.empty_inputs));
  }
  return response;
}

std::optional<Truncate> truncate_of(std::optional<bool> flag) {
  if (!flag) return {};
  return *flag ? Truncate::right : Truncate::error;
}

Side side_from_word(std::string_view word, std::string_view path) {
  if (word == "query" || word == "search_query" || word == "retrieval.query") return Side::query;
  if (word == "document" || word == "search_document" || word == "passage" ||
      word == "retrieval.passage") {
    return Side::document;
  }
  if (word == "classification" || word == "clustering") return Side::none;
  throw_error(ErrorKind::usage, path,
              "expected one of query, document, search_query, search_document, classification, "
              "clustering, got {}",
              quote(word, 40));
}

namespace {

bool has_adapter(const Service& service, const EmbedRequest& request, const std::string& task) {
  const std::vector<std::string> tasks = service.model(request.model).info.tasks;
  return std::find(tasks.begin(), tasks.end(), task) != tasks.end();
}

void set_task(const Service& service, const std::string& word, std::string_view path,
              EmbedRequest& request) {
  constexpr std::array<std::string_view, 6> kJina = {"retrieval.query", "retrieval.passage",
                                                     "text-matching",   "classification",
                                                     "separation",      "clustering"};
  if (word == kJina[0]) request.side = Side::query;
  if (word == kJina[1]) request.side = Side::document;
  if (has_adapter(service, request, word)) {
    request.task = word;
  } else if (std::find(kJina.begin(), kJina.end(), word) == kJina.end()) {
    throw_error(ErrorKind::usage, path, "expected one of {}, got {}",
                fmt::join(kJina.begin(), kJina.end(), ", "), quote(word, 40));
  }
}

}  // namespace

void read_prompting(const Service& service, const BodyObject& body, EmbedRequest& request) {
  if (body.has("input_type")) {
    request.side = side_from_word(body.text("input_type"), body.path("input_type"));
  }
  request.prompt_name = body.text("prompt_name", request.prompt_name);
  if (body.has("task")) {
    set_task(service, body.text("task"), body.path("task"), request);
  } else if (request.task.empty() && !request.prompt_name.empty() &&
             has_adapter(service, request, request.prompt_name)) {
    request.task = request.prompt_name;
  }
}

VectorForm form_from_word(std::string_view word) {
  constexpr std::array<std::string_view, 6> kWords = {"float", "base64", "int8",
                                                      "uint8", "binary", "ubinary"};
  const auto* found = std::find(kWords.begin(), kWords.end(), word);
  AKIN_CHECK(found != kWords.end());
  return static_cast<VectorForm>(found - kWords.begin());
}

size_t cut_texts(const Service& service, const std::string& model, size_t max_tokens, Truncate side,
                 std::vector<std::string>& texts) {
  const size_t read = service.model(model).info.max_tokens;
  if (read > 0 && max_tokens >= read) return 0;  // the model reads no more anyway
  size_t cut = 0;
  const auto tokens = service.tokenize(model, texts, false, {});
  for (size_t i = 0; i < texts.size(); ++i) {
    if (tokens[i].size() <= max_tokens) continue;
    if (side == Truncate::error) {
      throw_error(ErrorKind::too_long, "max_tokens", "text {} has {} tokens, {} were allowed", i,
                  tokens[i].size(), max_tokens);
    }
    ++cut;
    if (side == Truncate::left) {
      texts[i].erase(0, tokens[i][tokens[i].size() - max_tokens].begin);
    } else {
      texts[i].resize(tokens[i][max_tokens - 1].end);
    }
  }
  return cut;
}

std::vector<size_t> rank(std::span<const float> scores, std::optional<size_t> top_n) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto key = [&](size_t i) {  // a score that is not a number comes last
    return std::isnan(scores[i]) ? -std::numeric_limits<float>::infinity() : scores[i];
  };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key(a) > key(b); });
  if (top_n && *top_n < order.size()) order.resize(*top_n);
  return order;
}

namespace {

constexpr std::string_view kClientBatch = " (--max-client-batch)";

}  // namespace

std::string_view batch_limit_name(size_t limit, size_t own) {
  return limit < own ? kClientBatch : std::string_view();
}

void check_batch(size_t inputs, size_t limit, std::string_view path) {
  if (limit == 0 || inputs <= limit) return;
  throw_error(ErrorKind::usage, path, "batch size {} > maximum allowed batch size {}", inputs,
              limit);
}

void check_client_batch(const Service& service, size_t inputs, std::string_view path,
                        size_t at_least) {
  const size_t limit = std::max(service.limits().max_client_batch, at_least);
  if (inputs <= limit) return;
  throw_error(ErrorKind::usage, path, "batch size {} > maximum allowed batch size {}{}", inputs,
              limit, kClientBatch);
}

size_t most_tokens(const Service& service, const EncoderInfo& info) {
  if (info.max_tokens > 0) return info.max_tokens;
  constexpr size_t kMost = std::numeric_limits<int32_t>::max();
  const size_t bytes = service.limits().max_body_bytes;
  return bytes > 0 ? std::min(bytes, kMost) : kMost;
}

void append_key(std::string& out, std::string_view name) {
  if (!out.ends_with('{')) out += ',';
  append_json(out, name);
  out += ':';
}

}  // namespace akin::serve
