#include "model/classification_head.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "model/family.h"
#include "model/weights.h"
#include "store/safetensors.h"

namespace akin::model {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kMaxConfigBytes = uint64_t{32} << 20;
constexpr int64_t kMaxClasses = 100'000;
constexpr std::string_view kSuffix = "ForSequenceClassification";

std::string architecture(const JsonValue& config) {
  const auto names = config.find("architectures");
  if (!names || !names->is_array()) return {};
  const auto items = names->items();
  return items.empty() || !items[0].is_string() ? std::string() : std::string(items[0].as_string());
}

// Reads f32 tensors of the checkpoint under the first prefix that has them.
class HeadReader {
 public:
  HeadReader(const store::TensorFiles& files, std::string where)
      : tensors_(files.tensors()), where_(std::move(where)) {}

  bool has(const std::string& name) const { return find(name) != nullptr; }
  std::vector<float> read(const std::string& name, std::vector<int64_t> shape) const {
    WeightRule rule{.name = name, .tensor = found_name(name), .shape = std::move(shape)};
    return tensor_to_f32(resolve_rule(rule, tensors_, where_));
  }
  int64_t rows(const std::string& name) const {
    const Tensor* tensor = find(name);
    return tensor == nullptr || tensor->shape.empty() ? 0 : tensor->shape[0];
  }
  void linear(const std::string& name, int64_t out, int64_t in, std::vector<float>& weight,
              std::vector<float>& bias) const {
    weight = read(name + ".weight", {out, in});
    if (has(name + ".bias")) bias = read(name + ".bias", {out});
  }

 private:
  std::string found_name(const std::string& name) const {
    for (const char* prefix : {"", "bert.", "roberta.", "distilbert.", "mpnet.", "model."}) {
      if (tensors_.contains(prefix + name)) return prefix + name;
    }
    return name;
  }
  const Tensor* find(const std::string& name) const {
    const auto it = tensors_.find(found_name(name));
    return it == tensors_.end() ? nullptr : &it->second;
  }
  const TensorTable& tensors_;
  std::string where_;
};

struct HeadNames {
  std::string dense, out;
};

HeadNames head_names(const std::string& family, const std::string& where) {
  if (family == "bert") return {"pooler.dense", "classifier"};
  if (family == "roberta" || family == "mpnet") return {"classifier.dense", "classifier.out_proj"};
  if (family == "distilbert") return {"pre_classifier", "classifier"};
  if (family == "modernbert") return {"head.dense", "classifier"};
  throw_error(ErrorKind::unsupported, where,
              "the classification head of the family {} is not known; known are those of bert, "
              "roberta (XLM-R), mpnet, distilbert and modernbert",
              family);
}

std::vector<std::string> read_labels(const JsonValue& config, size_t classes) {
  std::vector<std::string> labels(classes);
  const auto names = config.find("id2label");
  for (size_t i = 0; i < classes; ++i) {
    const std::string fallback = fmt::format("LABEL_{}", i);
    labels[i] = names && names->is_object() ? names->get(std::to_string(i), fallback) : fallback;
  }
  return labels;
}

void read_modernbert(const JsonValue& config, const HeadReader& reader, int64_t hidden,
                     ClassificationHead& head) {
  head.activation =
      activation_from_name(config.get("classifier_activation", "gelu"), config.where());
  head.norm_eps = static_cast<float>(config.get("norm_eps", 1e-5));
  head.norm_gamma = reader.read("head.norm.weight", {hidden});
  if (reader.has("head.norm.bias")) head.norm_beta = reader.read("head.norm.bias", {hidden});
  const std::string pooling = config.get("classifier_pooling", "cls");
  if (pooling != "cls" && pooling != "mean") {
    throw_error(ErrorKind::unsupported, config.where(),
                "classifier_pooling is {}; known are cls, "
                "mean",
                quote(pooling));
  }
  if (pooling == "mean") head.pooling = PoolingMode::mean;
}

}  // namespace

bool is_classifier_folder(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder / "config.json", ignored)) return false;
  const JsonDocument document = JsonDocument::load(folder / "config.json", kMaxConfigBytes);
  return document.root().is_object() && architecture(JsonValue(document)).ends_with(kSuffix);
}

Model load_classifier_body(const fs::path& folder) {
  return load_model(folder, {.pooling = PoolingSpec{{PoolingMode::cls}, true}});
}

ClassificationHead load_classification_head(const fs::path& folder, const Model& model) {
  const JsonDocument document = JsonDocument::load(folder / "config.json", kMaxConfigBytes);
  const JsonValue config(document);
  const std::string name = architecture(config);
  if (!name.ends_with(kSuffix)) {
    throw_error(ErrorKind::unsupported, document.where(),
                "architectures is {}, expected one that ends in {}; this folder scores no pairs of "
                "texts",
                quote(name), kSuffix);
  }
  const HeadNames names = head_names(model.arch.family, document.where());
  const store::TensorFiles files = store::TensorFiles::open_folder(folder);
  const HeadReader reader(files, folder.string());
  const int64_t hidden = model.arch.hidden, classes = reader.rows(names.out + ".weight");
  if (classes < 1 || classes > kMaxClasses) {
    throw_error(ErrorKind::bad_format, folder.string(),
                "tensor \"{}.weight\" of the classification head is missing or has {} rows",
                names.out, classes);
  }
  ClassificationHead head;
  reader.linear(names.dense, hidden, hidden, head.dense, head.dense_bias);
  reader.linear(names.out, classes, hidden, head.out, head.out_bias);
  if (model.arch.family == "distilbert") head.activation = Activation::relu;
  if (model.arch.family == "modernbert") read_modernbert(config, reader, hidden, head);
  head.labels = read_labels(config, static_cast<size_t>(classes));
  return head;
}

void add_head(const ClassificationHead& head, Model& model) {
  Hasher hasher;
  hasher.add(model.fingerprint);
  for (const auto* values : {&head.dense, &head.dense_bias, &head.norm_gamma, &head.norm_beta,
                             &head.out, &head.out_bias}) {
    hasher.add(values->size());
    hasher.add(std::string_view(reinterpret_cast<const char*>(values->data()),
                                values->size() * sizeof(float)));
    model.parameters += values->size();
  }
  for (const std::string& label : head.labels) hasher.add(label);
  model.fingerprint = hasher.hex();
}

}  // namespace akin::model
