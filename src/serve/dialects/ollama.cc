// Ollama: /api/embed, the older /api/embeddings, and the calls that clients use to look around.
// Model names may carry ":latest". Fields that steer Ollama's own loading (keep_alive, options)
// are checked for their type and have no effect. Follows api/types.go and docs/api.md.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <nlohmann/json.hpp>

#include "serve/dialects/answer.h"

namespace akin::serve {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMaxDims = 65536;
constexpr size_t kInputs = 10'000;  // the original has no limit of them
constexpr std::string_view kLatest = ":latest";

HttpResponse json(const ordered_json& value) {
  return json_response(value.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
}

HttpResponse error(const Error& error, const HttpRequest&) {
  HttpResponse response;
  const int status = error_kind_info(error.kind()).http_status;
  response.status = status == 422 ? 400 : status;
  response.body = R"({"error":)";
  append_json(response.body, (error.kind() == ErrorKind::not_found ? "model not found: " : "") +
                                 error_text(error, R"(send "truncate": true to have it cut)"));
  response.body += '}';
  return response;
}

// The name as the server knows it.
std::string served_name(const Service& service, std::string name) {
  if (!name.ends_with(kLatest)) return name;
  std::string bare = name.substr(0, name.size() - kLatest.size());
  for (const ModelStatus& model : service.models()) {
    if (model.name == name) return name;
  }
  return bare;
}

std::string read_model(const Service& service, const BodyObject& body) {
  const std::string name = body.text("model", body.text("name"));
  if (name.empty()) throw Error(ErrorKind::usage, "model is required");
  return served_name(service, name);
}

// As Go reads them: "5m", "-1s", "1h30m", "1.5h", "0".
bool is_duration(std::string_view text) {
  constexpr std::string_view kUnits[] = {"ns", "us", "\xC2\xB5s", "\xCE\xBCs", "ms", "s", "m", "h"};
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text == "0") return text == "0";
  while (!text.empty()) {
    const size_t number = std::min(text.find_first_not_of("0123456789."), text.size());
    const std::string_view digits = text.substr(0, number);
    if (digits.find_first_not_of('.') == std::string_view::npos ||
        digits.find('.') != digits.rfind('.')) {
      return false;
    }
    text.remove_prefix(number);
    const std::string_view unit =
        text.substr(0, std::min(text.find_first_of("0123456789."), text.size()));
    if (std::find(std::begin(kUnits), std::end(kUnits), unit) == std::end(kUnits)) return false;
    text.remove_prefix(unit.size());
  }
  return true;
}

void check_unused(const BodyObject& body) {
  if (const auto keep = body.find("keep_alive");
      keep && !keep->is_number() &&
      !(keep->is_string() && is_duration(keep->get_string().value_unsafe()))) {
    wrong_type("keep_alive", *keep, "a duration such as \"5m\", or seconds");
  }
  body.object("options");
}

void embed(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  const Body body(request.body);
  const BodyObject object = body.object();
  EmbedRequest embed;
  const std::string asked_name = object.text("model", object.text("name"));
  embed.model = read_model(service, object);
  read_prompting(service, object, embed);
  check_unused(object);
  embed.truncate = object.flag("truncate", true) ? Truncate::right : Truncate::error;
  embed.dims = object.count("dimensions", 1, kMaxDims).value_or(0);
  if (const auto input = object.find("input")) {
    if (input->is_string()) {
      embed.texts.push_back(as_text(*input, "input"));
      if (embed.texts[0].empty()) embed.texts.clear();
    } else {
      embed.texts = as_texts(*input, "input");
    }
  }
  check_client_batch(service, embed.texts.size(), "input", kInputs);
  if (embed.texts.empty()) {
    service.model(embed.model);
    return reply(json({{"model", asked_name}, {"embeddings", ordered_json::array()}}));
  }
  service.embed(
      std::move(embed), call,
      answer<
          EmbedResult>(request, error, std::move(reply), [asked_name](const EmbedResult& result) {
        std::string out;
        out.reserve(result.vectors.rows() *
                        (vector_bytes(result.vectors.cols(), VectorForm::floats) + 1) +
                    256);
        out += R"({"model":)";
        append_json(out, asked_name);
        append_key(out, "embeddings");
        out += '[';
        for (size_t r = 0; r < result.vectors.rows(); ++r) {
          if (r > 0) out += ',';
          append_vector(out, {result.vectors.row(r), result.vectors.cols()}, VectorForm::floats);
        }
        out += fmt::format(R"(],"total_duration":{},"load_duration":0,"prompt_eval_count":{}}})",
                           result.timing.total.count(), result.usage.tokens);
        return json_response(std::move(out), result.usage);
      }));
}

void embeddings(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  const Body body(request.body);
  const BodyObject object = body.object();
  EmbedRequest embed;
  embed.model = read_model(service, object);
  read_prompting(service, object, embed);
  check_unused(object);
  embed.normalize = false;
  embed.truncate = Truncate::right;
  embed.texts.push_back(object.text("prompt"));
  if (embed.texts[0].empty()) {
    service.model(embed.model);
    return reply(json({{"embedding", ordered_json::array()}}));
  }
  service.embed(
      std::move(embed), call,
      answer<EmbedResult>(request, error, std::move(reply), [](const EmbedResult& result) {
        std::string out = R"({"embedding":)";
        append_vector(out, {result.vectors.row(0), result.vectors.cols()}, VectorForm::floats);
        return json_response(out + "}", result.usage);
      }));
}

ordered_json details(const ModelStatus& model) {
  const auto millions = static_cast<double>(model.info.parameters) / 1e6;
  return {{"parent_model", ""},
          {"format", "safetensors"},
          {"family", model.info.family},
          {"families", {model.info.family}},
          {"parameter_size", fmt::format("{:.1f}M", millions)},
          {"quantization_level", model.info.precision == Precision::int8 ? "Q8_0" : "F32"}};
}

std::string iso_time(int64_t seconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

std::string digest(const ModelStatus& model) {
  std::string out = model.info.fingerprint;  // a sha256's length, as clients expect
  out.resize(64, '0');
  return out;
}

uint64_t size_bytes(const ModelStatus& model) {
  return model.info.parameters * (model.info.precision == Precision::int8 ? 1 : 4);
}

void tags(Service& service, const HttpRequest&, const Call&, Reply reply) {
  ordered_json models = ordered_json::array();
  for (const ModelStatus& model : service.models()) {
    models.push_back({{"name", model.name},
                      {"model", model.name},
                      {"modified_at", iso_time(model.created)},
                      {"size", size_bytes(model)},
                      {"digest", digest(model)},
                      {"details", details(model)}});
  }
  reply(json({{"models", std::move(models)}}));
}

void running(Service& service, const HttpRequest&, const Call&, Reply reply) {
  ordered_json models = ordered_json::array();
  for (const ModelStatus& model : service.models()) {
    models.push_back({{"name", model.name},
                      {"model", model.name},
                      {"size", size_bytes(model)},
                      {"digest", digest(model)},
                      {"details", details(model)},
                      {"expires_at", "9999-12-31T23:59:59Z"},
                      {"size_vram", 0}});
  }
  reply(json({{"models", std::move(models)}}));
}

void show(Service& service, const HttpRequest& request, const Call&, Reply reply) {
  const Body body(request.body);
  const ModelStatus model = service.model(read_model(service, body.object()));
  const std::string& family = model.info.family;
  const ordered_json info{{"general.architecture", family},
                          {"general.parameter_count", model.info.parameters},
                          {family + ".context_length", most_tokens(service, model.info)},
                          {family + ".embedding_length", model.info.dim},
                          {family + ".pooling", model.info.pooling}};
  reply(json({{"modelfile", ""},
              {"parameters", ""},
              {"template", ""},
              {"details", details(model)},
              {"model_info", info},
              {"capabilities", {"embedding"}},
              {"modified_at", iso_time(model.created)}}));
}

void version(Service&, const HttpRequest&, const Call&, Reply reply) {
  reply(json({{"version", AKIN_VERSION}}));
}

constexpr Route kRoutes[] = {
    {"POST", "/api/embed", embed},    {"POST", "/api/embeddings", embeddings},
    {"GET", "/api/version", version}, {"GET", "/api/tags", tags},
    {"GET", "/api/ps", running},      {"POST", "/api/show", show}};

}  // namespace

const Dialect& ollama_dialect() {
  static constexpr Dialect dialect{"ollama", "Ollama's embed, and what its clients probe", kRoutes,
                                   error};
  return dialect;
}

}  // namespace akin::serve
