// What tei.cc and tei_any.cc share.
#pragma once

#include "serve/dialects/answer.h"

namespace akin::serve {

HttpResponse tei_error(const Error& error, const HttpRequest& request);
void tei_embed(Service& service, const HttpRequest& request, const Call& call, Reply reply);
void tei_similarity(Service& service, const HttpRequest& request, const Call& call, Reply reply);
void tei_rerank(Service& service, const HttpRequest& request, const Call& call, Reply reply);

// The task that the body asks for by its fields: similarity, rerank or embed.
void tei_any(Service& service, const HttpRequest& request, const Call& call, Reply reply);
// {"instances": [...]} -> {"predictions": [...]}, in order; the first error is the answer.
void tei_vertex(Service& service, const HttpRequest& request, const Call& call, Reply reply);

}  // namespace akin::serve
