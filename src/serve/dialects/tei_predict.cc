// text-embeddings-inference's /predict: a sequence classifier's labels with their scores, best
// first, for a text, a pair of texts, or a batch of either.
#include <algorithm>
#include <numeric>

#include "serve/dialects/tei.h"

namespace akin::serve {
namespace {

// One text, or two that are laid out as a pair.
PredictInput as_input(JsonElement element, const std::string& path) {
  std::vector<std::string> texts = as_texts(element, path);
  if (texts.empty() || texts.size() > 2) {
    throw_error(ErrorKind::usage, path, "a list of {}, expected one text or a pair of two",
                texts.size());
  }
  PredictInput input{std::move(texts[0]), {}};
  if (texts.size() == 2) input.second = std::move(texts[1]);
  return input;
}

struct Asked {
  std::vector<PredictInput> inputs;
  bool single = true;
};

// "a", ["a"], ["a", "b"] (a pair), or a batch: [["a"], ["a", "b"], ...].
Asked read_inputs(const Service& service, const JsonElement& element) {
  Asked asked;
  if (element.is_string()) {
    asked.inputs.push_back({as_text(element, "inputs"), {}});
  } else {
    const auto items = as_list(element, "inputs", "a text, a pair of texts or a list of those");
    if (items.size() == 0) throw Error(ErrorKind::usage, "`inputs` cannot be empty");
    asked.single = !items.at(0).is_array();
    if (asked.single) {
      asked.inputs.push_back(as_input(element, "inputs"));
    } else {
      check_client_batch(service, items.size(), "");
      for (const JsonElement item : items) {
        asked.inputs.push_back(as_input(item, fmt::format("inputs[{}]", asked.inputs.size())));
      }
    }
  }
  for (const auto& input : asked.inputs) {
    if (input.text.empty() || (input.second && input.second->empty()))
      throw_error(ErrorKind::usage, "inputs", "`inputs` cannot be empty");
  }
  return asked;
}

void append_labels(const PredictResult& result, size_t row, std::string& out) {
  std::vector<size_t> order(result.labels.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const float* scores = result.scores.row(row);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  for (size_t i = 0; i < order.size(); ++i) {
    out += i == 0 ? R"([{"score":)" : R"(,{"score":)";
    append_float(out, scores[order[i]]);
    append_key(out, "label");
    append_json(out, result.labels[order[i]]);
    out += '}';
  }
  out += ']';
}

HttpResponse print_labels(const PredictResult& result, bool single) {
  std::string out = single ? "" : "[";
  for (size_t row = 0; row < result.scores.rows(); ++row) {
    if (row > 0) out += ',';
    append_labels(result, row, out);
  }
  if (!single) out += ']';
  return tei_response(std::move(out), result.usage, result.timing);
}

}  // namespace

bool only_predicts(const Service& service, std::string_view model) {
  const ModelStatus status = service.model(model);
  return !status.labels.empty() && !status.reranker;
}

void tei_predict(Service& service, const HttpRequest& request, const Call& call, Reply reply) {
  const Body body(request.body);
  const BodyObject object = body.object();
  PredictRequest predict;
  predict.model = object.text("model");
  Asked asked = read_inputs(service, object.need("inputs"));
  predict.inputs = std::move(asked.inputs);
  predict.truncate = read_truncate(service, object);
  predict.raw_scores = object.flag("raw_scores", false);
  service.predict(std::move(predict), call,
                  answer<PredictResult>(request, tei_error, std::move(reply),
                                        [single = asked.single](const PredictResult& result) {
                                          return print_labels(result, single);
                                        }));
}

}  // namespace akin::serve
