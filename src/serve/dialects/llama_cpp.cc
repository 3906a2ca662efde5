// llama.cpp's own /embedding (its other routes are OpenAI's and rerank's): content is a text, token
// ids or a list of either; the answer is a list with one list of vectors an input. Follows
// tools/server/README.md.
#include <fmt/format.h>

#include "serve/dialects/answer.h"

namespace akin::serve {
namespace {

constexpr int64_t kEuclidean = 2, kNone = -1;

HttpResponse error(const Error& error, const HttpRequest&) {
  const ErrorKindInfo& info = error_kind_info(error.kind());
  HttpResponse response;
  response.status = info.http_status == 422 ? 400 : info.http_status;
  response.body = fmt::format(R"({{"error":{{"code":{},"message":)", response.status);
  append_json(response.body, error_text(error));
  response.body += R"(,"type":)";
  append_json(response.body, info.openai_type);
  response.body += "}}";
  return response;
}

void embedding(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  const Body body(request.body);
  const BodyObject object = body.object();
  EmbedRequest embed;
  embed.model = object.text("model");
  read_prompting(service, object, embed);
  embed.truncate = truncate_of(object.flag("truncate"));
  const std::string_view name = object.has("content") ? "content" : "input";
  Inputs inputs = read_inputs(object.need(name), name);
  check_client_batch(service, inputs.size(), name);
  embed.texts = std::move(inputs.texts);
  embed.ids = std::move(inputs.ids);
  if (const auto norm = object.find("embd_normalize")) {
    const int64_t kind = as_whole(*norm, "embd_normalize", -1, 64);
    if (kind != kEuclidean && kind != kNone) {
      throw_error(ErrorKind::unsupported, "embd_normalize",
                  "{}; this server knows 2 (unit length) and -1 (none)", kind);
    }
    embed.normalize = kind == kEuclidean;
  }
  service.embed(
      std::move(embed), call,
      answer<EmbedResult>(request, error, std::move(reply), [](const EmbedResult& result) {
        std::string out = "[";
        for (size_t r = 0; r < result.vectors.rows(); ++r) {
          out += fmt::format(R"({}{{"index":{},"embedding":[)", r > 0 ? "," : "", r);
          append_vector(out, {result.vectors.row(r), result.vectors.cols()}, VectorForm::floats);
          out += "]}";
        }
        return json_response(out + "]", result.usage);
      }));
}

constexpr Route kRoutes[] = {{"POST", "/embedding", embedding}};

}  // namespace

const Dialect& llama_cpp_dialect() {
  static constexpr Dialect dialect{"llama_cpp", "llama.cpp's /embedding", kRoutes, error};
  return dialect;
}

}  // namespace akin::serve
