// OpenAI's embeddings and models, and on the same path Jina's embeddings (task, late_chunking,
// embedding_type, normalized) and akin's own fields (input_type, prompt_name, normalize,
// truncate). One parser: the fields of the two do not clash. Shapes: developers.openai.com, the
// embeddings reference; Jina: its public API reference.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "serve/dialects/answer.h"

namespace akin::serve {
namespace {

constexpr size_t kMaxInputs = 2048;
constexpr size_t kMaxTokens = 300'000;  // of a request
constexpr size_t kMaxDims = 65536;

struct Printing {
  std::vector<std::pair<std::string, VectorForm>> forms;  // one: bare; several: an object of them
};

void read_input(const Service& service, const BodyObject& body, EmbedRequest& request) {
  Inputs inputs = read_inputs(body.need("input"), "input", true);
  const size_t most = std::min(kMaxInputs, service.limits().max_client_batch);
  if (inputs.size() > most) {
    throw_error(ErrorKind::usage, "input", "a list of {}; at most {} inputs fit in a request{}",
                inputs.size(), most, batch_limit_name(most, kMaxInputs));
  }
  request.max_tokens = kMaxTokens;
  request.texts = std::move(inputs.texts);
  request.ids = std::move(inputs.ids);
}

void add_form(const std::string& word, std::string_view path, Printing& printing) {
  if (word != "float" && word != "base64" && word != "int8" && word != "uint8" &&
      word != "binary" && word != "ubinary") {
    throw_error(ErrorKind::usage, path,
                "expected one of float, base64, int8, uint8, binary, ubinary, got {}",
                quote(word, 40));
  }
  printing.forms.emplace_back(word, form_from_word(word));
}

Printing read_printing(const BodyObject& body) {
  Printing printing;
  const std::string format = body.choice("encoding_format", {"float", "base64"}, "float");
  if (const auto types = body.find("embedding_type")) {
    if (types->is_array()) {
      for (const std::string& word : as_texts(*types, "embedding_type")) {
        add_form(word, "embedding_type", printing);
      }
      if (printing.forms.empty()) {
        throw_error(ErrorKind::usage, "embedding_type", "`embedding_type` cannot be empty");
      }
    } else {
      add_form(as_text(*types, "embedding_type"), "embedding_type", printing);
    }
  } else {
    add_form(format, "encoding_format", printing);
  }
  return printing;
}

EmbedRequest read_request(const Service& service, const BodyObject& body) {
  EmbedRequest request;
  request.model = body.text("model");
  body.text("user");
  request.dims = body.count("dimensions", 1, kMaxDims).value_or(0);
  const auto normalize = body.flag("normalized");
  request.normalize = normalize ? *normalize : body.flag("normalize", true);
  request.truncate = truncate_of(body.flag("truncate"));
  request.late_chunking = body.flag("late_chunking", false);
  read_prompting(service, body, request);
  read_input(service, body, request);
  if (!request.ids.empty()) {
    request.add_special_tokens = false;
    if (request.late_chunking) {
      throw_error(ErrorKind::usage, "late_chunking", "needs texts, got token ids");
    }
  }
  return request;
}

void append_embedding(std::string& out, std::span<const float> x, const Printing& printing) {
  if (printing.forms.size() == 1) return append_vector(out, x, printing.forms[0].second);
  out += '{';
  for (const auto& [word, form] : printing.forms) {
    append_key(out, word);
    append_vector(out, x, form);
  }
  out += '}';
}

HttpResponse print_embeddings(const EmbedResult& result, const Printing& printing) {
  const size_t rows = result.vectors.rows(), dim = result.vectors.cols();
  size_t bytes = 256;
  for (const auto& [word, form] : printing.forms) bytes += rows * (64 + vector_bytes(dim, form));
  std::string out;
  out.reserve(bytes);
  out += R"({"object":"list","data":[)";
  for (size_t r = 0; r < rows; ++r) {
    out += r == 0 ? R"({"object":"embedding","index":)" : R"(,{"object":"embedding","index":)";
    append_uint(out, r);
    out += R"(,"embedding":)";
    append_embedding(out, {result.vectors.row(r), dim}, printing);
    out += '}';
  }
  out += R"(],"model":)";
  append_json(out, result.model);
  out += fmt::format(R"(,"usage":{{"prompt_tokens":{0},"total_tokens":{0})", result.usage.tokens);
  if (result.usage.truncated_inputs > 0) {
    out += fmt::format(R"(,"truncated_inputs":{})", result.usage.truncated_inputs);
  }
  if (result.usage.empty_inputs > 0) {
    out += fmt::format(R"(,"empty_inputs":{})", result.usage.empty_inputs);
  }
  out += "}}";
  return json_response(std::move(out), result.usage);
}

HttpResponse error(const Error& error, const HttpRequest&) {
  const ErrorKindInfo& info = error_kind_info(error.kind());
  HttpResponse response;
  response.status = info.http_status == 422 ? 400 : info.http_status;
  std::string_view code;
  if (error.kind() == ErrorKind::too_long) code = "context_length_exceeded";
  if (error.kind() == ErrorKind::overloaded) code = "rate_limit_exceeded";
  if (error.kind() == ErrorKind::not_found) code = "model_not_found";
  std::string_view type =
      error.kind() == ErrorKind::not_found ? "invalid_request_error" : info.openai_type;
  const bool all_of_it = error.where() == "request";  // no one field is wrong
  if (all_of_it) type = code = "max_tokens_per_request";
  std::string& out = response.body;
  out += R"({"error":{"message":)";
  append_json(out, all_of_it ? error.message() : error_text(error));
  out += R"(,"type":)";
  append_json(out, type);
  out += R"(,"param":)";
  const bool is_request = response.status == 400 && error.where() != "body" && !all_of_it;
  if (is_request && !error.where().empty()) {
    append_json(out, error.where() == "dims" ? "dimensions" : error.where());
  } else {
    out += "null";
  }
  out += R"(,"code":)";
  if (code.empty()) {
    out += "null";
  } else {
    append_json(out, code);
  }
  out += "}}";
  return response;
}

void embeddings(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  const Body body(request.body);
  Printing printing = read_printing(body.object());
  EmbedRequest embed = read_request(service, body.object());
  service.embed(std::move(embed), call,
                answer<EmbedResult>(request, error, std::move(reply),
                                    [printing = std::move(printing)](const EmbedResult& result) {
                                      return print_embeddings(result, printing);
                                    }));
}

nlohmann::ordered_json model_json(const ModelStatus& model) {
  return {
      {"id", model.name}, {"object", "model"}, {"created", model.created}, {"owned_by", "akin"}};
}

void models(Service& service, const HttpRequest&, const Call&, Reply reply) {
  nlohmann::ordered_json data = nlohmann::ordered_json::array();
  for (const ModelStatus& model : service.models()) {
    data.push_back(model_json(model));
  }
  reply(json_response(nlohmann::ordered_json{{"object", "list"}, {"data", std::move(data)}}.dump(
      -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)));
}

void model(Service& service, const HttpRequest& request, const Call&, Reply reply) {
  constexpr std::string_view kPrefix = "/v1/models/";
  const ModelStatus status = service.model(request.path.substr(kPrefix.size()));
  reply(json_response(
      model_json(status).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)));
}

constexpr Route kRoutes[] = {{"POST", "/v1/embeddings", embeddings},
                             {"POST", "/embeddings", embeddings},
                             {"GET", "/v1/models", models},
                             {"GET", "/v1/models/*", model}};

}  // namespace

const Dialect& openai_dialect() {
  static constexpr Dialect dialect{
      "openai", "OpenAI /v1/embeddings and /v1/models; Jina's fields on the same path", kRoutes,
      error};
  return dialect;
}

}  // namespace akin::serve
