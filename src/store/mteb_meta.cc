// model_meta.json of mteb's result folders: read and written with the members and order of mteb
// 2.20. Members it does not know are kept.
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "store/mteb_result.h"

namespace akin::store {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 31> kOrder = {"name",
                                                     "revision",
                                                     "release_date",
                                                     "languages",
                                                     "n_parameters",
                                                     "n_active_parameters_override",
                                                     "n_embedding_parameters",
                                                     "memory_usage_mb",
                                                     "max_tokens",
                                                     "embed_dim",
                                                     "license",
                                                     "open_weights",
                                                     "public_training_code",
                                                     "public_training_data",
                                                     "framework",
                                                     "reference",
                                                     "similarity_fn_name",
                                                     "use_instructions",
                                                     "training_datasets",
                                                     "adapted_from",
                                                     "superseded_by",
                                                     "modalities",
                                                     "model_type",
                                                     "citation",
                                                     "contacts",
                                                     "experiment_kwargs",
                                                     "output_dtypes",
                                                     "extra_requirements_groups",
                                                     "loader",
                                                     "loader_kwargs",
                                                     "is_cross_encoder"};

std::string text(const Json& root, std::string_view key) {
  const auto found = root.find(key);
  return found != root.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<std::string> texts(const Json& root, std::string_view key) {
  std::vector<std::string> out;
  const auto found = root.find(key);
  if (found == root.end() || !found->is_array()) return out;
  for (const auto& item : *found) {
    if (item.is_string()) out.push_back(item.get<std::string>());
  }
  return out;
}

std::optional<double> number(const Json& root, std::string_view key) {
  const auto found = root.find(key);
  if (found == root.end() || !found->is_number()) return {};
  return found->get<double>();
}

std::optional<uint64_t> count(const Json& root, std::string_view key) {
  const auto value = number(root, key);
  if (!value || !(*value >= 0 && *value < 0x1p63)) return {};
  return static_cast<uint64_t>(*value);
}

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json or_null(const std::string& value) { return value.empty() ? Json(nullptr) : Json(value); }

// Whole counts are integers, as mteb has them; no limit is the bare word Infinity.
Json tokens(const std::optional<double>& value) {
  if (!value) return nullptr;
  if (std::isfinite(*value) && *value >= 0 && *value < 0x1p53 && *value == std::floor(*value)) {
    return static_cast<uint64_t>(*value);
  }
  return *value;
}

}  // namespace

ModelMeta read_model_meta(const std::filesystem::path& path) {
  const std::string where = path.string();
  ModelMeta meta;
  meta.all = parse_python_json(read_file(path, uint64_t{1} << 26), where);
  if (!meta.all.is_object()) {
    throw_error(ErrorKind::bad_format, where, "expected an object that describes a model");
  }
  meta.name = text(meta.all, "name");
  meta.revision = text(meta.all, "revision");
  meta.languages = texts(meta.all, "languages");
  meta.n_parameters = count(meta.all, "n_parameters");
  meta.n_embedding_parameters = count(meta.all, "n_embedding_parameters");
  meta.memory_usage_mb = number(meta.all, "memory_usage_mb");
  meta.max_tokens = number(meta.all, "max_tokens");
  meta.embed_dim = count(meta.all, "embed_dim");
  meta.similarity_fn_name = text(meta.all, "similarity_fn_name");
  meta.framework = texts(meta.all, "framework");
  const auto instructions = meta.all.find("use_instructions");
  meta.use_instructions =
      instructions != meta.all.end() && instructions->is_boolean() && instructions->get<bool>();
  meta.adapted_from = text(meta.all, "adapted_from");
  return meta;
}

std::string model_meta_json(const ModelMeta& meta) {
  Json root = Json::object();
  for (const auto key : kOrder) root[key] = nullptr;
  root["modalities"] = {"text"};
  root["model_type"] = {"dense"};
  root["is_cross_encoder"] = false;
  root["framework"] = Json::array();
  if (meta.all.is_object()) {
    for (const auto& [key, value] : meta.all.items()) root[key] = value;
  }
  root["name"] = meta.name;
  root["revision"] = or_null(meta.revision);
  root["languages"] = meta.languages.empty() ? Json(nullptr) : Json(meta.languages);
  root["n_parameters"] = or_null(meta.n_parameters);
  root["n_embedding_parameters"] = or_null(meta.n_embedding_parameters);
  root["memory_usage_mb"] = or_null(meta.memory_usage_mb);
  root["max_tokens"] = tokens(meta.max_tokens);
  root["embed_dim"] = or_null(meta.embed_dim);
  root["similarity_fn_name"] = or_null(meta.similarity_fn_name);
  root["framework"] = meta.framework;
  root["use_instructions"] = meta.use_instructions;
  root["adapted_from"] = or_null(meta.adapted_from);
  return python_json(root, 4);
}

void write_model_meta(const std::filesystem::path& path, const ModelMeta& meta) {
  write_file(path, model_meta_json(meta));
}

}  // namespace akin::store
