// Cohere's embed and rerank, v2, and v1's embed; v1's rerank is in rerank.cc. Shapes:
// docs.cohere.com, the API reference. Every dim that the model offers may be asked for, not only
// Cohere's four; images are refused.
#include <fmt/format.h>

#include <algorithm>

#include "serve/dialects/rerank.h"

namespace akin::serve {
namespace {

constexpr size_t kMaxTexts = 96;
constexpr size_t kMaxDims = 65536;

using Forms = std::vector<std::pair<std::string, VectorForm>>;

struct Embed {
  EmbedRequest request;
  Forms forms;
  std::vector<std::string> texts;  // as they came, for the answer
  size_t cut = 0;                  // by max_tokens
  bool by_type = true;             // v1 without embedding_types: bare vectors
  int version = 2;
};

HttpResponse error(const Error& error, const HttpRequest& request) {
  HttpResponse response;
  response.status = error_kind_info(error.kind()).http_status;
  response.body = R"({"message":)";
  append_json(response.body, request.path.ends_with("embed")
                                 ? error_text(error, R"(send "truncate": "END" to have it cut)")
                                 : error_text(error));
  response.body += '}';
  return response;
}

// inputs: [{"content": [{"type": "text", "text": "..."}]}]; the text parts of one are joined.
std::vector<std::string> read_contents(JsonElement element) {
  const auto inputs = as_list(element, "inputs", "a list of objects");
  std::vector<std::string> texts;
  for (const JsonElement item : inputs) {
    const std::string path = fmt::format("inputs[{}]", texts.size());
    const auto content =
        as_list(BodyObject(item, path).need("content"), path + ".content", "a list of objects");
    std::string text;
    size_t part_number = 0;
    for (const JsonElement part : content) {
      const BodyObject object(part, fmt::format("{}.content[{}]", path, part_number++));
      if (object.text("type", "text") != "text") {
        throw_error(ErrorKind::unsupported, object.path("type"), "{}; this server embeds text only",
                    quote(object.text("type"), 40));
      }
      if (!text.empty()) text += '\n';
      text += as_text(object.need("text"), object.path("text"));
    }
    texts.push_back(std::move(text));
  }
  return texts;
}

std::vector<std::string> read_texts(const Service& service, const BodyObject& body) {
  if (body.has("images")) {
    throw_error(ErrorKind::unsupported, "images", "this server embeds text only");
  }
  std::vector<std::string> texts = body.has("inputs") ? read_contents(body.need("inputs"))
                                                      : as_texts(body.need("texts"), "texts");
  const std::string_view name = body.has("inputs") ? "inputs" : "texts";
  if (texts.empty()) throw_error(ErrorKind::usage, name, "`{}` cannot be empty", name);
  const size_t most = std::min(kMaxTexts, service.limits().max_client_batch);
  if (texts.size() > most) {
    throw_error(ErrorKind::usage, name, "a list of {}; at most {} fit in a request{}", texts.size(),
                most, batch_limit_name(most, kMaxTexts));
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].empty()) throw_error(ErrorKind::usage, name, "`{}[{}]` cannot be empty", name, i);
  }
  return texts;
}

Forms read_forms(const BodyObject& body) {
  const auto types = body.find("embedding_types");
  if (!types) return {{"float", VectorForm::floats}};
  Forms forms;
  for (const std::string& word : as_texts(*types, "embedding_types")) {
    if (word != "float" && word != "int8" && word != "uint8" && word != "binary" &&
        word != "ubinary" && word != "base64") {
      throw_error(ErrorKind::usage, "embedding_types",
                  "expected some of float, int8, uint8, binary, ubinary, base64, got {}",
                  quote(word, 40));
    }
    const bool again = std::any_of(forms.begin(), forms.end(),
                                   [&](const auto& form) { return form.first == word; });
    if (!again) forms.emplace_back(word, form_from_word(word));
  }
  if (forms.empty()) {
    throw_error(ErrorKind::usage, "embedding_types", "`embedding_types` cannot be empty");
  }
  return forms;
}

Embed read_embed(const Service& service, const BodyObject& body, int version) {
  Embed out;
  out.version = version;
  EmbedRequest& request = out.request;
  request.model = version == 2 ? as_text(body.need("model"), "model") : body.text("model");
  if (version == 2) body.need("input_type");
  if (body.text("input_type") == "image") {
    throw_error(ErrorKind::unsupported, "input_type", "\"image\"; this server embeds text only");
  }
  read_prompting(service, body, request);
  out.forms = read_forms(body);
  out.by_type = version == 2 || body.has("embedding_types");
  request.dims = body.count("output_dimension", 1, kMaxDims).value_or(0);
  const std::string truncate = body.choice("truncate", {"NONE", "START", "END"}, "END");
  request.truncate = truncate == "NONE"    ? Truncate::error
                     : truncate == "START" ? Truncate::left
                                           : Truncate::right;
  request.texts = read_texts(service, body);
  out.texts = request.texts;
  if (const auto limit = body.count("max_tokens", 1, size_t{1} << 31)) {
    out.cut = cut_texts(service, request.model, *limit, *request.truncate, request.texts);
  }
  return out;
}

void append_rows(std::string& out, const Mat<float>& vectors, VectorForm form) {
  out += '[';
  for (size_t r = 0; r < vectors.rows(); ++r) {
    if (r > 0) out += ',';
    append_vector(out, {vectors.row(r), vectors.cols()}, form);
  }
  out += ']';
}

// Of "meta".
void append_warnings(std::string& out, const Usage& usage) {
  if (usage.truncated_inputs == 0 && usage.empty_inputs == 0) return;
  append_key(out, "warnings");
  out += '[';
  if (usage.truncated_inputs > 0)
    out += fmt::format(R"("{} inputs were truncated")", usage.truncated_inputs);
  if (usage.empty_inputs > 0) {
    out += fmt::format(R"({}"{} inputs have no token and zero vectors")",
                       usage.truncated_inputs > 0 ? "," : "", usage.empty_inputs);
  }
  out += ']';
}

HttpResponse print_embeddings(EmbedResult& result, const Embed& asked, const std::string& id) {
  result.usage.truncated_inputs += asked.cut;
  size_t bytes = 512;
  for (const auto& [word, form] : asked.forms)
    bytes += result.vectors.rows() * (vector_bytes(result.vectors.cols(), form) + 1);
  for (const std::string& text : asked.texts) bytes += text.size() + 8;
  std::string out;
  out.reserve(bytes);
  out += R"({"id":)";
  append_json(out, id);
  append_key(out, "embeddings");
  if (asked.by_type) {
    out += '{';
    for (const auto& [word, form] : asked.forms) {
      append_key(out, word);
      append_rows(out, result.vectors, form);
    }
    out += '}';
  } else {
    append_rows(out, result.vectors, VectorForm::floats);
  }
  append_key(out, "texts");
  out += '[';
  for (size_t i = 0; i < asked.texts.size(); ++i) {
    if (i > 0) out += ',';
    append_json(out, asked.texts[i]);
  }
  out += fmt::format(
      R"(],"meta":{{"api_version":{{"version":"{}"}},"billed_units":{{"input_tokens":{}}})",
      asked.version, result.usage.tokens);
  append_warnings(out, result.usage);
  out += fmt::format(R"(}},"response_type":"{}"}})",
                     asked.by_type ? "embeddings_by_type" : "embeddings_floats");
  return json_response(std::move(out), result.usage);
}

void embed(Service& service, const HttpRequest& request, const Call& call, Reply reply,
           int version) {
  const Body body(request.body);
  Embed asked = read_embed(service, body.object(), version);
  EmbedRequest ask = std::move(asked.request);
  service.embed(
      std::move(ask), call,
      answer<EmbedResult>(request, error, std::move(reply),
                          [asked = std::move(asked), id = call.request_id](EmbedResult& result) {
                            return print_embeddings(result, asked, id);
                          }));
}

void embed_v1(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  embed(service, request, call, std::move(reply), 1);
}
void embed_v2(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  embed(service, request, call, std::move(reply), 2);
}

void rerank_v2(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  const Body body(request.body);
  body.object().need("model");
  send_rerank(service, request, call, std::move(reply), read_rerank(body.object(), false), error,
              [id = call.request_id](const RerankResult& result, std::string_view results) {
                std::string out = R"({"id":)";
                append_json(out, id);
                out += ',';
                out += results;
                out += R"(,"meta":{"api_version":{"version":"2"},)"
                       R"("billed_units":{"search_units":1})";
                append_warnings(out, result.usage);
                out += "}}";
                return out;
              });
}

constexpr Route kRoutes[] = {{"POST", "/v2/embed", embed_v2},
                             {"POST", "/v1/embed", embed_v1},
                             {"POST", "/v2/rerank", rerank_v2}};

}  // namespace

const Dialect& cohere_dialect() {
  static constexpr Dialect dialect{"cohere", "Cohere v2 embed and rerank, v1 embed", kRoutes,
                                   error};
  return dialect;
}

}  // namespace akin::serve
