// What tei.cc, tei_any.cc and tei_predict.cc share.
#pragma once

#include "serve/dialects/answer.h"

namespace akin::serve {

HttpResponse tei_error(const Error& error, const HttpRequest& request);
// 200 with x-compute-* and the other headers of the original.
HttpResponse tei_response(std::string body, const Usage& usage, const Timing& timing);
// "truncate" (null: the server's default) with "truncation_direction".
Truncate read_truncate(const Service& service, const BodyObject& body);
void tei_embed(Service& service, const HttpRequest& request, const Call& call, Reply reply);
void tei_similarity(Service& service, const HttpRequest& request, const Call& call, Reply reply);
void tei_rerank(Service& service, const HttpRequest& request, const Call& call, Reply reply);
void tei_predict(Service& service, const HttpRequest& request, const Call& call, Reply reply);
// The model labels texts and does nothing else. Errors: not_found.
bool only_predicts(const Service& service, std::string_view model);

// The task that the body asks for by its fields: similarity, rerank or embed; or the only one that
// the model has.
void tei_any(Service& service, const HttpRequest& request, const Call& call, Reply reply);
// {"instances": [...]} -> {"predictions": [...]}, in order; the first error is the answer.
void tei_vertex(Service& service, const HttpRequest& request, const Call& call, Reply reply);

}  // namespace akin::serve
