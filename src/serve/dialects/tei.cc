// text-embeddings-inference: its routes, defaults, headers, errors and statuses; the routes that
// answer by the model's own task (/, /invocations, /vertex) are in tei_any.cc, /predict is in
// tei_predict.cc. /rerank is shared
// with Infinity and llama.cpp, whose requests carry "documents" instead of "texts". Follows
// router/src/http of the project, version 1.8.
#include "serve/dialects/tei.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "serve/dialects/rerank.h"
#include "text/utf8.h"

namespace akin::serve {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMaxDims = 65536;
constexpr std::string_view kNothing = "`inputs` cannot be empty";

uint64_t milliseconds(std::chrono::nanoseconds time) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

[[noreturn]] void nothing() { throw Error(ErrorKind::usage, std::string(kNothing)); }

Inputs read_batch(const Service& service, const BodyObject& body) {
  const JsonElement element = body.need("inputs");
  if (element.is_array() && as_list(element, "inputs", "").size() == 0) nothing();
  Inputs inputs = read_inputs(element, "inputs");
  check_client_batch(service, inputs.size(), "");
  return inputs;
}

EmbedRequest read_embed(const Service& service, const BodyObject& body) {
  EmbedRequest request;
  Inputs inputs = read_batch(service, body);
  request.texts = std::move(inputs.texts);
  request.ids = std::move(inputs.ids);
  request.model = body.text("model");  // TEI serves one; here the first, or the one that is named
  read_prompting(service, body, request);
  request.truncate = read_truncate(service, body);
  return request;
}

void append_rows(std::string& out, MatView<const float> rows) {
  out += '[';
  for (size_t r = 0; r < rows.rows(); ++r) {
    if (r > 0) out += ',';
    append_vector(out, {rows.row(r), rows.cols()}, VectorForm::floats);
  }
  out += ']';
}

HttpResponse print_vectors(const EmbedResult& result) {
  std::string out;
  out.reserve(result.vectors.rows() *
              (vector_bytes(result.vectors.cols(), VectorForm::floats) + 1));
  append_rows(out, result.vectors.view());
  return tei_response(std::move(out), result.usage, result.timing);
}

HttpResponse print_token_vectors(const EmbedResult& result) {
  std::string out = "[";
  for (size_t i = 0; i < result.token_vectors.size(); ++i) {
    if (i > 0) out += ',';
    append_rows(out, result.token_vectors[i].view());
  }
  out += ']';
  return tei_response(std::move(out), result.usage, result.timing);
}

// Vectors of unit length, the source's first: cosines with the others.
HttpResponse print_similarities(const EmbedResult& result) {
  std::string out = "[";
  const size_t dim = result.vectors.cols();
  for (size_t r = 1; r < result.vectors.rows(); ++r) {
    double sum = 0;
    for (size_t c = 0; c < dim; ++c) {
      sum += static_cast<double>(result.vectors(0, c)) * static_cast<double>(result.vectors(r, c));
    }
    if (r > 1) out += ',';
    append_float(out, static_cast<float>(sum));
  }
  out += ']';
  return tei_response(std::move(out), result.usage, result.timing);
}

void embed_all(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  const Body body(request.body);
  EmbedRequest embed = read_embed(service, body.object());
  embed.normalize = false;
  embed.token_vectors = true;
  service.embed(std::move(embed), call,
                answer<EmbedResult>(request, tei_error, std::move(reply), print_token_vectors));
}

void embed_sparse(Service& service, const HttpRequest& request, const Call&, Reply) {
  const Body body(request.body);
  service.model(read_embed(service, body.object()).model);
  throw Error(ErrorKind::device, "Model is not an embedding model with SPLADE pooling");
}

// The bytes that a token stands for, as whole characters: tokens of bytes may share one.
std::string_view text_slice(std::string_view text, size_t begin, size_t end) {
  const auto inside = [&](size_t at) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80;
  };
  while (begin > 0 && inside(begin)) --begin;
  while (inside(end)) ++end;
  return text.substr(begin, end - begin);
}

// `text`: the prompt and what stands behind it. A special token shows its name in the vocabulary,
// any other one its part of the text.
std::string piece_json(const Token& token, std::string_view text, bool prompted, size_t& byte,
                       size_t& character) {
  // Offsets are of characters; tokens come in order of the text, so counting goes on where it was.
  const auto characters = [&](uint32_t to) {
    if (to < byte) byte = character = 0;
    character += text::count_code_points(text.substr(byte, to - byte));
    byte = to;
    return character;
  };
  std::string out = fmt::format(R"({{"id":{},"text":)", token.id);
  const bool placed = !token.special && token.end <= text.size() && token.begin <= token.end;
  append_json(out, placed ? text_slice(text, token.begin, token.end) : token.text);
  out += fmt::format(R"(,"special":{})", token.special);
  if (!placed || prompted) {
    out += R"(,"start":null,"stop":null})";
  } else {
    const size_t start = characters(token.begin);
    out += fmt::format(R"(,"start":{},"stop":{}}})", start, characters(token.end));
  }
  return out;
}

void tokenize(Service& service, const HttpRequest& request, const Call&, Reply reply) {
  const Body body(request.body);
  const BodyObject object = body.object();
  const JsonElement element = object.need("inputs");
  std::vector<std::string> texts;
  if (element.is_string()) {
    texts.push_back(as_text(element, "inputs"));
  } else {
    texts = as_texts(element, "inputs");
  }
  if (texts.empty()) nothing();
  check_client_batch(service, texts.size(), "");
  const auto tokens =
      service.tokenize(object.text("model"), texts, object.flag("add_special_tokens", true),
                       object.text("prompt_name"));
  const bool prompted = object.has("prompt_name");
  std::string prompt;  // known, as the tokens were made with it
  if (prompted) {
    const auto prompts = service.model(object.text("model")).info.prompts;
    if (const auto it = prompts.find(object.text("prompt_name")); it != prompts.end())
      prompt = it->second;
  }
  std::string out = "[";
  for (size_t i = 0; i < tokens.size(); ++i) {
    out += i > 0 ? ",[" : "[";
    size_t byte = 0, character = 0;
    const std::string text = prompt + texts[i];
    for (size_t t = 0; t < tokens[i].size(); ++t) {
      if (t > 0) out += ',';
      out += piece_json(tokens[i][t], text, prompted, byte, character);
    }
    out += ']';
  }
  reply(json_response(out + "]"));
}

void decode(Service& service, const HttpRequest& request, const Call&, Reply reply) {
  const Body body(request.body);
  const BodyObject object = body.object();
  const JsonElement element = object.need("ids");
  const auto items = as_list(element, "ids", "a list of token ids, or of such lists");
  if (items.size() == 0) throw Error(ErrorKind::usage, "`ids` cannot be empty");
  std::vector<std::vector<int32_t>> ids;
  if (items.at(0).is_array()) {
    for (const JsonElement item : items) {
      ids.push_back(as_ids(item, fmt::format("ids[{}]", ids.size())));
    }
  } else {
    ids.push_back(as_ids(element, "ids"));
  }
  check_client_batch(service, ids.size(), "");
  std::string out = "[";
  for (const std::string& text :
       service.decode(object.text("model"), ids, object.flag("skip_special_tokens", true))) {
    if (out.size() > 1) out += ',';
    append_json(out, text);
  }
  reply(json_response(out + "]"));
}

std::string pooling_word(std::string_view pooling) {
  return pooling == "lasttoken" ? "last_token" : std::string(pooling);
}

void info(Service& service, const HttpRequest&, const Call&, Reply reply) {
  const ModelStatus model = service.model({});
  const Limits& limits = service.limits();
  ordered_json type;
  if (!model.labels.empty()) {
    ordered_json names = ordered_json::object(), numbers = ordered_json::object();
    for (size_t k = 0; k < model.labels.size(); ++k) {
      names[std::to_string(k)] = model.labels[k];
      numbers[model.labels[k]] = k;
    }
    type[model.reranker ? "reranker" : "classifier"] = {{"id2label", std::move(names)},
                                                        {"label2id", std::move(numbers)}};
  } else {
    type["embedding"] = {{"pooling", pooling_word(model.info.pooling)}};
  }
  const ordered_json out{
      {"model_id", model.path_name},
      {"model_sha", nullptr},
      {"model_dtype", model.info.precision == Precision::int8 ? "int8" : "float32"},
      {"served_model_name", model.name},
      {"model_type", std::move(type)},
      {"max_concurrent_requests", limits.max_queue},
      {"max_input_length", most_tokens(service, model.info)},
      {"max_batch_tokens", limits.max_batch_tokens},
      {"max_batch_requests", nullptr},
      {"max_client_batch_size", limits.max_client_batch},
      {"auto_truncate", limits.auto_truncate},
      {"tokenization_workers", limits.tokenization_workers},
      {"version", AKIN_VERSION},
      {"sha", nullptr},
      {"docker_label", nullptr}};
  reply(json_response(out.dump(-1, ' ', false, ordered_json::error_handler_t::replace)));
}

constexpr Route kRoutes[] = {{"GET", "/info", info},
                             {"POST", "/embed", tei_embed},
                             {"POST", "/embed_all", embed_all},
                             {"POST", "/embed_sparse", embed_sparse},
                             {"POST", "/predict", tei_predict},
                             {"POST", "/rerank", tei_rerank},
                             {"POST", "/similarity", tei_similarity},
                             {"POST", "/tokenize", tokenize},
                             {"POST", "/decode", decode},
                             {"POST", "/vertex", tei_vertex},
                             {"POST", "/", tei_any},
                             {"POST", "/invocations", tei_any}};

// "<n> tokens ..., model limit <m>" in the words that clients of the original look for.
std::string too_long_text(const Error& error) {
  constexpr std::string_view kLimit = "limit ";
  const std::string& message = error.message();
  const size_t limit = message.find(kLimit);
  if (limit == std::string::npos) return error_text(error);
  const auto number = [&](size_t begin) {
    return message.substr(begin, message.find_first_not_of("0123456789", begin) - begin);
  };
  return fmt::format("`inputs` must have less than {} tokens. Given: {}; {}",
                     number(limit + kLimit.size()), number(0), kCutAdvice);
}

}  // namespace

HttpResponse tei_response(std::string body, const Usage& usage, const Timing& timing) {
  HttpResponse response = json_response(std::move(body), usage);
  const auto add = [&](std::string_view name, uint64_t value) {
    response.headers.emplace_back(name, std::to_string(value));
  };
  response.headers.emplace_back("x-compute-type", "cpu");
  add("x-compute-time", milliseconds(timing.total));
  add("x-compute-characters", usage.characters);
  add("x-total-time", milliseconds(timing.total));
  add("x-tokenization-time", milliseconds(timing.tokenization));
  add("x-queue-time", milliseconds(timing.queue));
  add("x-inference-time", milliseconds(timing.inference));
  return response;
}

// "truncate" (null: the server's default) with "truncation_direction".
Truncate read_truncate(const Service& service, const BodyObject& body) {
  const std::string side =
      body.choice("truncation_direction", {"left", "right", "Left", "Right"}, "right");
  const bool cut = body.flag("truncate").value_or(service.limits().auto_truncate);
  if (!cut) return Truncate::error;
  return side == "left" || side == "Left" ? Truncate::left : Truncate::right;
}

HttpResponse tei_error(const Error& error, const HttpRequest& request) {
  if (request.path == "/rerank" && error.where().starts_with("documents")) {
    return rerank_error(error, request);
  }
  HttpResponse response;
  std::string_view type = error_kind_info(error.kind()).tei_type;
  std::string message;
  switch (error.kind()) {
    case ErrorKind::overloaded:
      response.status = 429;
      message = fmt::format("Model is overloaded: {}", error_text(error));
      break;
    case ErrorKind::interrupted:
      response.status = 503;
      type = "Unhealthy";
      message = error_text(error);
      break;
    case ErrorKind::io:
    case ErrorKind::device:
    case ErrorKind::internal:
      response.status = 424;
      message = fmt::format("Backend error: {}", error_text(error));
      break;
    case ErrorKind::not_found:
      if (error.where() == "model") {  // the original has one and no such field
        response.status = 404;
        message = error_text(error);
        break;
      }
      [[fallthrough]];
    default:
      response.status = 422;
      message = error.kind() == ErrorKind::too_long ? too_long_text(error) : error_text(error);
      if (error.where().empty() && message.ends_with("cannot be empty")) {
        response.status = 400;
        type = "Empty";
      } else if (!message.starts_with("batch size")) {
        message = fmt::format("Input validation error: {}", message);
      }
  }
  response.body = R"({"error":)";
  append_json(response.body, message);
  response.body += R"(,"error_type":)";
  append_json(response.body, type);
  response.body += '}';
  return response;
}

void tei_embed(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  const Body body(request.body);
  const BodyObject object = body.object();
  EmbedRequest embed = read_embed(service, object);
  embed.normalize = object.flag("normalize", true);
  embed.dims = object.count("dimensions", 1, kMaxDims).value_or(0);
  service.embed(std::move(embed), call,
                answer<EmbedResult>(request, tei_error, std::move(reply), print_vectors));
}

void tei_similarity(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  const Body body(request.body);
  const BodyObject object = body.object();
  const BodyObject inputs(object.need("inputs"), "inputs");
  EmbedRequest embed;
  embed.model = object.text("model");
  read_prompting(service, object, embed);
  embed.texts.push_back(as_text(inputs.need("source_sentence"), "inputs.source_sentence"));
  for (std::string& text : as_texts(inputs.need("sentences"), "inputs.sentences")) {
    embed.texts.push_back(std::move(text));
  }
  if (embed.texts.size() == 1) {
    throw Error(ErrorKind::usage, "`inputs.sentences` cannot be empty");
  }
  check_client_batch(service, embed.texts.size() - 1, "");
  if (const auto parameters = object.object("parameters")) {
    embed.truncate = read_truncate(service, *parameters);
    read_prompting(service, *parameters, embed);
  } else {
    embed.truncate = service.limits().auto_truncate ? Truncate::right : Truncate::error;
  }
  service.embed(std::move(embed), call,
                answer<EmbedResult>(request, tei_error, std::move(reply), print_similarities));
}

void tei_rerank(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  const Body body(request.body);
  const BodyObject object = body.object();
  if (object.has("documents") && !object.has("texts")) {
    return rerank_documents(service, request, call, std::move(reply));
  }
  RerankRequest rerank;
  rerank.query = as_text(object.need("query"), "query");
  rerank.documents = as_texts(object.need("texts"), "texts");
  if (rerank.documents.empty()) throw Error(ErrorKind::usage, "`texts` cannot be empty");
  check_client_batch(service, rerank.documents.size(), "");
  rerank.model = object.text("model");
  rerank.truncate = read_truncate(service, object);
  rerank.raw_scores = object.flag("raw_scores", false);
  std::vector<std::string> texts;
  if (object.flag("return_text", false)) texts = rerank.documents;
  service.rerank(std::move(rerank), call,
                 answer<RerankResult>(
                     request, tei_error, std::move(reply),
                     [texts = std::move(texts)](const RerankResult& result) {
                       std::string out = "[";
                       for (const size_t i : rank(result.scores, {})) {
                         out += fmt::format(R"({}{{"index":{})", out.size() > 1 ? "," : "", i);
                         if (!texts.empty()) {
                           append_key(out, "text");
                           append_json(out, texts.at(i));
                         }
                         append_key(out, "score");
                         append_float(out, result.scores[i]);
                         out += '}';
                       }
                       out += ']';
                       return tei_response(std::move(out), result.usage, result.timing);
                     }));
}

const Dialect& tei_dialect() {
  static constexpr Dialect dialect{"tei", "text-embeddings-inference", kRoutes, tei_error};
  return dialect;
}

}  // namespace akin::serve
