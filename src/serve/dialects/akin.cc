// akin's own routes: the indexes that the server carries (search, documents), the server's status,
// and the page at / to try a model in a browser (ui/).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "serve/dialects/answer.h"
#include "serve/index_service.h"
#include "serve/ui/page.h"

namespace akin::serve {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMaxQueries = 1024, kMaxHits = 100'000, kMaxDocuments = 10'000, kMaxDims = 65536;
constexpr std::string_view kDocuments = "/v1/documents/";

HttpResponse json(const ordered_json& value) {
  return json_response(value.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
}

HttpResponse error(const Error& error, const HttpRequest&) {
  const ErrorKindInfo& info = error_kind_info(error.kind());
  HttpResponse response;
  response.status = info.http_status;
  response.body = R"({"error":{"message":)";
  append_json(response.body, error_text(error));
  append_key(response.body, "type");
  append_json(response.body, info.name);
  append_key(response.body, "param");
  if (error.where().empty() || response.status >= 500) {
    response.body += "null";
  } else {
    append_json(response.body, error.where());
  }
  response.body += "}}";
  return response;
}

IndexService& indexes_of(Service& service) {
  IndexService* indexes = service.indexes();
  if (indexes == nullptr) {
    throw Error(ErrorKind::not_found,
                "this server carries no index; start it with akin serve --index DIR");
  }
  return *indexes;
}

// The number of a word in an enum's list of choices.
template <typename E>
E choice(const BodyObject& body, std::string_view key, E fallback) {
  const auto words = index::choices(E{});
  const std::string word = body.text(key, words[static_cast<size_t>(fallback)]);
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == word) return static_cast<E>(i);
  }
  throw_error(ErrorKind::usage, body.path(key), "expected one of {}, got {}",
              fmt::join(words.begin(), words.end(), ", "), quote(word, 40));
}

std::vector<float> read_vector(JsonElement element, const std::string& path) {
  std::vector<float> vector;
  const auto items = as_list(element, path, "a list of numbers");
  vector.reserve(items.size());
  for (const JsonElement item : items) {
    double value = 0;
    if (item.get(value) != simdjson::SUCCESS) {
      wrong_type(fmt::format("{}[{}]", path, vector.size()), item, "a number");
    }
    vector.push_back(static_cast<float>(value));
  }
  return vector;
}

struct Search {
  IndexSearchRequest request;
  bool single = false;
  bool return_text = true;
};

void read_queries(const BodyObject& body, Search& out) {
  if (const auto query = body.find("query")) {
    if (query->is_string()) {
      out.single = true;
      out.request.queries.push_back(as_text(*query, "query"));
    } else {
      out.request.queries = as_texts(*query, "query");
    }
  }
  if (const auto vector = body.find("vector")) {
    out.single = true;
    out.request.vectors.push_back(read_vector(*vector, "vector"));
  } else if (const auto vectors = body.find("vectors")) {
    const auto items = as_list(*vectors, "vectors", "a list of vectors");
    for (const JsonElement item : items) {
      out.request.vectors.push_back(
          read_vector(item, fmt::format("vectors[{}]", out.request.vectors.size())));
    }
  }
  const size_t queries = out.request.queries.size(), vectors = out.request.vectors.size();
  if (queries == 0 && vectors == 0) {
    throw_error(ErrorKind::usage, "query", "`query` (a text or several) or `vector` is required");
  }
  if (queries > 0 && vectors > 0 && queries != vectors) {
    throw_error(ErrorKind::usage, "vectors", "{} vectors beside {} queries; expected as many",
                vectors, queries);
  }
  check_batch(std::max(queries, vectors), kMaxQueries, "query");
}

Search read_search(IndexService& indexes, const BodyObject& body) {
  Search out;
  out.request.index = body.text("index");
  read_queries(body, out);
  index::SearchOptions& options = out.request.options;
  options.k = body.count("k", 1, kMaxHits).value_or(10);
  options.mode = choice(body, "mode", index::Mode::vector);
  if (options.mode != index::Mode::vector && out.request.queries.empty()) {
    throw_error(ErrorKind::usage, "mode", "{} looks for the words of `query`, which is not given",
                body.text("mode"));
  }
  options.method = choice(body, "method", index::Method::automatic);
  options.filter = body.text("filter");
  options.candidates = body.count("candidates", 1, kMaxHits).value_or(0);
  options.breadth = body.count("breadth", 1, kMaxHits).value_or(0);
  if (body.has("code") || body.has("dims")) {
    index::CodeSpec code;
    code.code = choice(body, "code", index::Code::f32);
    code.dims = body.count("dims", 1, kMaxDims)
                    .value_or(indexes.index(out.request.index).spec.vectors.dims);
    options.code = code;
  }
  out.return_text = body.flag("return_text", true);
  return out;
}

void append_hit(std::string& out, const index::SearchHit& hit, bool with_text) {
  out += R"({"id":)";
  append_json(out, hit.document.id);
  const auto number = [&](std::string_view name, std::optional<double> value) {
    if (!value) return;
    append_key(out, name);
    append_float(out, static_cast<float>(*value));
  };
  number("score", hit.score);
  number("similarity", hit.similarity);
  number("bm25", hit.bm25);
  if (with_text) {
    append_key(out, "text");
    append_json(out, hit.document.text);
    append_key(out, "metadata");
    out += hit.document.metadata.empty() ? "{}" : hit.document.metadata;
  }
  out += '}';
}

HttpResponse print_search(const IndexSearchResult& result, bool single, bool with_text) {
  std::string out = R"({"object":"search","index":)";
  append_json(out, result.index);
  append_key(out, "model");
  append_json(out, result.model);
  append_key(out, "results");
  if (!single) out += '[';
  for (size_t q = 0; q < result.hits.size(); ++q) {
    out += q > 0 ? ",[" : "[";
    for (size_t i = 0; i < result.hits[q].size(); ++i) {
      if (i > 0) out += ',';
      append_hit(out, result.hits[q][i], with_text);
    }
    out += ']';
  }
  if (!single) out += ']';
  out += fmt::format(R"(,"usage":{{"total_tokens":{},"truncated_inputs":{},"empty_inputs":{}}}}})",
                     result.usage.tokens, result.usage.truncated_inputs, result.usage.empty_inputs);
  return json_response(std::move(out), result.usage);
}

void search(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  const Body body(request.body);
  IndexService& indexes = indexes_of(service);
  Search asked = read_search(indexes, body.object());
  indexes.search(std::move(asked.request), call,
                 answer<IndexSearchResult>(request, error, std::move(reply),
                                           [single = asked.single, with_text = asked.return_text](
                                               const IndexSearchResult& result) {
                                             return print_search(result, single, with_text);
                                           }));
}

index::Document read_document(JsonElement item, const std::string& path) {
  const BodyObject object(item, path);
  index::Document document;
  document.id = as_text(object.need("id"), object.path("id"));
  document.text = as_text(object.need("text"), object.path("text"));
  if (document.id.empty()) {
    throw_error(ErrorKind::usage, object.path("id"), "`id` cannot be empty");
  }
  if (document.text.empty()) {  // akin index leaves such rows out; here all or nothing is added
    throw_error(ErrorKind::usage, object.path("text"), "`{}` cannot be empty", object.path("text"));
  }
  if (const auto metadata = object.find("metadata")) {
    if (!metadata->is_object()) wrong_type(object.path("metadata"), *metadata, "an object");
    document.metadata = simdjson::minify(*metadata);
  }
  return document;
}

void add_documents(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  const Body body(request.body);
  const BodyObject object = body.object();
  IndexService& indexes = indexes_of(service);
  IndexAddRequest add;
  add.index = object.text("index");
  add.if_present = choice(object, "if_present", index::IfPresent::replace);
  add.truncate = truncate_of(object.flag("truncate"));
  const auto documents = as_list(object.need("documents"), "documents", "a list of documents");
  for (const JsonElement item : documents) {
    add.documents.push_back(
        read_document(item, fmt::format("documents[{}]", add.documents.size())));
  }
  if (add.documents.empty()) {
    throw_error(ErrorKind::usage, "documents", "`documents` cannot be empty");
  }
  check_batch(add.documents.size(), kMaxDocuments, "documents");
  indexes.add(
      std::move(add), call,
      answer<IndexAddResult>(request, error, std::move(reply), [](const IndexAddResult& result) {
        HttpResponse response = json({{"object", "documents.added"},
                                      {"index", result.index},
                                      {"added", result.added},
                                      {"usage",
                                       {{"total_tokens", result.usage.tokens},
                                        {"truncated_inputs", result.usage.truncated_inputs},
                                        {"empty_inputs", result.usage.empty_inputs}}}});
        response.headers = json_response({}, result.usage).headers;
        return response;
      }));
}

void remove_documents(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  const Body body(request.body);
  IndexService& indexes = indexes_of(service);
  std::vector<std::string> ids = as_texts(body.object().need("ids"), "ids");
  const std::string name = indexes.index(body.object().text("index")).name;
  indexes.remove(
      name, std::move(ids), call,
      answer<size_t>(request, error, std::move(reply), [name](size_t removed) {
        return json({{"object", "documents.removed"}, {"index", name}, {"removed", removed}});
      }));
}

// GET /v1/documents/<id>, of the first index or ?index=NAME.
void get_document(Service& service, const HttpRequest& request, const Call&, Reply reply) {
  const IndexService& indexes = indexes_of(service);
  const std::string id = request.path.substr(kDocuments.size());
  const std::string_view query = request.query;
  const std::string name(query.starts_with("index=") ? query.substr(6) : std::string_view());
  const auto document = indexes.get(name, id);
  if (!document) throw_error(ErrorKind::not_found, "id", "no document {}", quote(id, 60));
  const std::string& metadata = document->metadata;
  reply(json({{"object", "document"},
              {"id", document->id},
              {"text", document->text},
              {"metadata", metadata.empty() ? ordered_json::object()
                                            : ordered_json::parse(metadata, nullptr, false)}}));
}

void list_indexes(Service& service, const HttpRequest&, const Call&, Reply reply) {
  ordered_json data = ordered_json::array();
  if (IndexService* indexes = service.indexes()) {
    for (const IndexStatus& status : indexes->indexes()) {
      data.push_back({{"id", status.name},
                      {"object", "index"},
                      {"model", status.model},
                      {"documents", status.stats.documents},
                      {"dims", status.spec.vectors.dims},
                      {"similarity", status.spec.similarity},
                      {"words", status.spec.words},
                      {"graph", status.spec.graph},
                      {"writable", status.writable}});
    }
  }
  reply(json({{"object", "list"}, {"data", std::move(data)}}));
}

void status(Service& service, const HttpRequest&, const Call&, Reply reply) {
  reply(json_response(service.status_json()));
}

void page(Service&, const HttpRequest&, const Call&, Reply reply) {
  HttpResponse response;
  response.content_type = "text/html; charset=utf-8";
  response.headers = {
      {"cache-control", "no-cache"},
      {"x-content-type-options", "nosniff"},
      {"content-security-policy",
       "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src "
       "'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"}};
  response.body = ui_page();
  reply(std::move(response));
}

constexpr Route kRoutes[] = {{"GET", "/", page, true},
                             {"GET", "/v1/status", status},
                             {"GET", "/v1/indexes", list_indexes},
                             {"POST", "/v1/search", search},
                             {"POST", "/v1/documents", add_documents},
                             {"DELETE", "/v1/documents", remove_documents},
                             {"POST", "/v1/documents/delete", remove_documents},
                             {"GET", "/v1/documents/*", get_document}};

}  // namespace

const Dialect& akin_dialect() {
  static constexpr Dialect dialect{
      "akin", "akin's own: /v1/search, /v1/documents, /v1/status, the page at /", kRoutes, error};
  return dialect;
}

}  // namespace akin::serve
