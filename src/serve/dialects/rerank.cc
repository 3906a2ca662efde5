// Reranking as Jina, Cohere v1, Infinity and llama.cpp ask for it: one path, /v1/rerank, and
// nearly the same fields; the answer carries what each of them reads. TEI's /rerank is in tei.cc,
// which hands requests with "documents" to this one; Cohere's v2 in cohere.cc.
#include "serve/dialects/rerank.h"

#include <fmt/format.h>

#include <ctime>

namespace akin::serve {
namespace {

constexpr size_t kMaxDocuments = 10'000;

// A string, {"text": ...}, or with rank_fields any object: "field: value" lines in their order.
std::string document_text(JsonElement item, const std::string& path,
                          const std::vector<std::string>& rank_fields) {
  if (item.is_string()) return std::string(item.get_string().value_unsafe());
  if (!item.is_object()) wrong_type(path, item, "a string or an object with \"text\"");
  const BodyObject object(item, path);
  if (rank_fields.empty()) {
    return as_text(object.need("text"), object.path("text"));
  }
  std::string text;
  for (const std::string& field : rank_fields) {
    if (!object.has(field)) continue;
    if (!text.empty()) text += '\n';
    text += fmt::format("{}: {}", field, object.text(field));
  }
  return text;
}

// "results":[{"index","relevance_score","document"?}], best first.
void append_results(std::string& out, const RerankResult& result, const DocumentRerank& asked,
                    const std::vector<std::string>& documents) {
  out += R"("results":[)";
  bool first = true;
  for (const size_t i : rank(result.scores, asked.top_n)) {
    out += first ? "" : ",";
    first = false;
    out += fmt::format(R"({{"index":{},"relevance_score":)", i);
    append_float(out, result.scores[i]);
    if (asked.return_documents) {
      out += R"(,"document":{"text":)";
      append_json(out, documents.at(i));
      out += '}';
    }
    out += '}';
  }
  out += ']';
}

HttpResponse error(const Error& error, const HttpRequest&) {
  const ErrorKindInfo& info = error_kind_info(error.kind());
  HttpResponse response;
  response.status = info.http_status;
  std::string& out = response.body;  // Jina reads detail, Cohere message, llama.cpp error
  out += R"({"message":)";
  append_json(out, error_text(error));
  out += R"(,"detail":)";
  append_json(out, error_text(error));
  out += fmt::format(R"(,"error":{{"code":{},"message":)", response.status);
  append_json(out, error_text(error));
  out += R"(,"type":)";
  append_json(out, info.openai_type);
  out += "}}";
  return response;
}

void v1(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  rerank_documents(service, request, call, std::move(reply));
}

constexpr Route kRoutes[] = {
    {"POST", "/v1/rerank", v1}, {"POST", "/reranking", v1}, {"POST", "/v1/reranking", v1}};

}  // namespace

DocumentRerank read_rerank(const BodyObject& body, bool return_documents) {
  DocumentRerank out;
  out.request.model = body.text("model");
  out.request.query = as_text(body.need("query"), "query");
  if (out.request.query.empty()) {
    throw_error(ErrorKind::usage, "query", "`query` cannot be empty");
  }
  std::vector<std::string> rank_fields;
  if (const auto fields = body.find("rank_fields")) rank_fields = as_texts(*fields, "rank_fields");
  const auto documents = as_list(body.need("documents"), "documents", "a list of strings");
  for (const JsonElement item : documents) {
    const std::string path = fmt::format("documents[{}]", out.request.documents.size());
    out.request.documents.push_back(document_text(item, path, rank_fields));
  }
  if (out.request.documents.empty()) {
    throw_error(ErrorKind::usage, "documents", "`documents` cannot be empty");
  }
  check_batch(out.request.documents.size(), kMaxDocuments, "documents");
  out.top_n = body.count("top_n", 1, size_t{1} << 31);
  out.return_documents = body.flag("return_documents", return_documents);
  out.request.raw_scores = body.flag("raw_scores", false);
  out.request.truncate = truncate_of(body.flag("truncate"));
  out.max_tokens_per_doc = body.count("max_tokens_per_doc", 1, size_t{1} << 31);
  return out;
}

void send_rerank(Service& service, const HttpRequest& request, const Call& call, Reply reply,
                 DocumentRerank asked, ErrorPrinter print_error, RerankBody body) {
  std::vector<std::string> documents;
  if (asked.return_documents) documents = asked.request.documents;
  size_t cut = 0;
  if (asked.max_tokens_per_doc) {
    cut = cut_texts(service, asked.request.model, *asked.max_tokens_per_doc, Truncate::right,
                    asked.request.documents);
  }
  RerankRequest ask = std::move(asked.request);
  auto print = [asked = std::move(asked), documents = std::move(documents), cut,
                body = std::move(body)](RerankResult& result) {
    result.usage.truncated_inputs += cut;
    std::string results;
    append_results(results, result, asked, documents);
    return json_response(body(result, results), result.usage);
  };
  service.rerank(std::move(ask), call,
                 answer<RerankResult>(request, print_error, std::move(reply), std::move(print)));
}

void rerank_documents(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  const Body body(request.body);
  // Jina sends the documents back unless told not to, the others only when asked.
  const bool jina =
      request.path == "/v1/rerank" && !body.object().has("rank_fields") &&
      !body.object().has("max_chunks_per_doc") && !body.object().has("max_tokens_per_doc") &&
      request.header("x-client-name").empty() && request.header("x-fern-sdk-name").empty();
  DocumentRerank asked = read_rerank(body.object(), jina);
  send_rerank(service, request, call, std::move(reply), std::move(asked), error,
              [id = call.request_id](const RerankResult& result, std::string_view results) {
                std::string out = R"({"object":"rerank","id":)";
                append_json(out, id);
                append_key(out, "created");
                append_uint(out, static_cast<uint64_t>(std::time(nullptr)));
                append_key(out, "model");
                append_json(out, result.model);
                out += ',';
                out += results;
                out += fmt::format(R"(,"usage":{{"prompt_tokens":{0},"total_tokens":{0})",
                                   result.usage.tokens);
                if (result.usage.truncated_inputs > 0) {
                  out += fmt::format(R"(,"truncated_inputs":{})", result.usage.truncated_inputs);
                }
                if (result.usage.empty_inputs > 0) {
                  out += fmt::format(R"(,"empty_inputs":{})", result.usage.empty_inputs);
                }
                out += R"(},"meta":{"api_version":{"version":"1"},)"
                       R"("billed_units":{"search_units":1}}})";
                return out;
              });
}

HttpResponse rerank_error(const Error& e, const HttpRequest& request) { return error(e, request); }

const Dialect& rerank_dialect() {
  static constexpr Dialect dialect{"rerank",
                                   "reranking of Jina, Cohere v1, Infinity and llama.cpp: "
                                   "/v1/rerank",
                                   kRoutes, error};
  return dialect;
}

}  // namespace akin::serve
