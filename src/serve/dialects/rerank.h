// Reranking with "documents", for the dialects that share it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/dialects/answer.h"

namespace akin::serve {

struct DocumentRerank {
  RerankRequest request;
  std::optional<size_t> top_n, max_tokens_per_doc;
  bool return_documents = false;
};

// Errors: usage, bad_format naming the field.
DocumentRerank read_rerank(const BodyObject& body, bool return_documents);
// The body of an answer; `results` is "results":[{"index","relevance_score","document"?}], best
// first.
using RerankBody = std::function<std::string(const RerankResult& result, std::string_view results)>;
// Cuts the documents as asked, scores them, answers.
void send_rerank(Service& service, const HttpRequest& request, const Call& call, Reply reply,
                 DocumentRerank asked, ErrorPrinter print_error, RerankBody body);
// The whole exchange.
void rerank_documents(Service& service, const HttpRequest& request, const Call& call, Reply reply);
HttpResponse rerank_error(const Error& error, const HttpRequest& request);

}  // namespace akin::serve
