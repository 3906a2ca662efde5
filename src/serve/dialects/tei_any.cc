// text-embeddings-inference's routes without a task in their name: / and /invocations answer one
// request, /vertex a list of them. The original serves the one task its model has; an embedding
// model here has several, and the request's fields say which is meant.
#include <fmt/format.h>

#include <charconv>
#include <map>
#include <memory>
#include <mutex>

#include "serve/dialects/tei.h"

namespace akin::serve {
namespace {

constexpr size_t kMaxInstances = 256;

using Handler = void (*)(Service&, const HttpRequest&, const Call&, Reply);

Handler handler_for(const Service& service, const BodyObject& body, std::string_view model = {}) {
  if (only_predicts(service, body.text("model", model))) return tei_predict;
  if (body.has("query")) return tei_rerank;
  const auto inputs = body.find("inputs");
  if (inputs && inputs->is_object()) return tei_similarity;
  return tei_embed;
}

// An instance's own bytes, with the model of the whole request where it names none itself.
std::string with_model(const BodyObject& instance, std::string bytes, std::string_view model) {
  if (model.empty() || instance.has("model")) return bytes;
  std::string out = R"({"model":)";
  append_json(out, model);
  if (bytes.size() > 2) out += ',';  // not {}
  return out.append(bytes, 1);
}

// Collects the answers to the instances; the last one replies.
class Gather {
 public:
  Gather(size_t count, Reply reply) : bodies_(count), left_(count), reply_(std::move(reply)) {}

  void put(size_t index, HttpResponse response) {
    std::unique_lock lock(mutex_);
    if (response.status != 200 && failed_.status == 200) failed_ = response;
    for (const auto& [name, value] : response.headers) add(name, value);
    bodies_[index] = std::move(response.body);
    if (--left_ > 0) return;
    lock.unlock();
    if (failed_.status != 200) return reply_(std::move(failed_));
    std::string out = R"({"predictions":[)";
    for (size_t i = 0; i < bodies_.size(); ++i) {
      if (i > 0) out += ',';
      out += bodies_[i];
    }
    HttpResponse answer = json_response(out + "]}");
    for (const auto& [name, count] : counts_) {
      answer.headers.emplace_back(name, std::to_string(count));
    }
    reply_(std::move(answer));
  }

 private:
  // x-akin-truncated-inputs and its like are counted over all answers; TEI's own headers, of times
  // and tokens, the original leaves out here.
  void add(const std::string& name, std::string_view value) {
    if (!name.starts_with("x-akin-")) return;
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error == std::errc() && end == value.data() + value.size()) counts_[name] += number;
  }

  std::mutex mutex_;
  std::vector<std::string> bodies_;
  std::map<std::string, uint64_t> counts_;
  size_t left_;
  HttpResponse failed_;
  Reply reply_;
};

}  // namespace

void tei_any(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  Handler handler = nullptr;
  {
    const Body body(request.body);
    handler = handler_for(service, body.object());
  }
  handler(service, request, call, std::move(reply));
}

void tei_vertex(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  const Body body(request.body);
  const std::string model = body.object().text("model");  // of instances that name none
  const auto items = as_list(body.object().need("instances"), "instances", "a list of requests");
  if (items.size() == 0) throw Error(ErrorKind::usage, "`instances` cannot be empty");
  check_batch(items.size(), kMaxInstances, "instances");
  std::vector<std::pair<HttpRequest, Handler>> requests;
  for (const JsonElement item : items) {
    const BodyObject instance(item, fmt::format("instances[{}]", requests.size()));
    requests.emplace_back(request_head(request), handler_for(service, instance, model));
    requests.back().first.body = with_model(instance, simdjson::minify(item), model);
  }
  const auto gather = std::make_shared<Gather>(requests.size(), std::move(reply));
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto put = [gather, i](HttpResponse response) { gather->put(i, std::move(response)); };
    try {
      requests[i].second(service, requests[i].first, call, put);
    } catch (const Error& error) {
      put(tei_error(error, requests[i].first));
    }
  }
}

}  // namespace akin::serve
