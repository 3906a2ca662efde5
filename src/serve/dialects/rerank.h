// Reranking with "documents", for the dialects that share it.
#pragma once

#include <optional>
#include <string>
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
// "results":[{"index","relevance_score","document"?}], best first.
void append_results(std::string& out, const RerankResult& result, const DocumentRerank& asked,
                    const std::vector<std::string>& documents);
// The whole exchange.
void rerank_documents(Service& service, const HttpRequest& request, const Call& call, Reply reply);
HttpResponse rerank_error(const Error& error, const HttpRequest& request);

}  // namespace akin::serve
