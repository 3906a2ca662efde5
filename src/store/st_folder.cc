// Reading a sentence-transformers folder (see st_folder.h); writing is st_folder_write.cc.
#include "store/st_folder.h"

#include <algorithm>
#include <array>
#include <set>
#include <system_error>

#include "base/error.h"
#include "base/json.h"
#include "store/tensor_files_builder.h"  // is_plain_file_name

namespace akin::store {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kMaxConfigBytes = uint64_t{16} << 20;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::optional<JsonDocument> load_if_there(const fs::path& path) {
  if (!is_there(path)) return {};
  return JsonDocument::load(path, kMaxConfigBytes);
}

void note_ignored(const JsonDocument& document, std::string_view file,
                  std::initializer_list<std::string_view> known, StFolder& st) {
  for (const auto& [key, value] : JsonValue(document).fields()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      st.ignored_keys.push_back(fmt::format("{}: {}", file, key));
    }
  }
}

// A module's path must stay inside the folder. "." means the folder itself.
std::string checked_path(std::string_view path, const std::string& where) {
  if (path.empty() || path == ".") return {};
  std::string_view rest = path;
  while (!rest.empty()) {
    const size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (!is_plain_file_name(part)) {
      throw_error(ErrorKind::bad_format, where,
                  "module path {} leaves the folder; expected a relative folder such as 1_Pooling",
                  quote(path));
    }
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  }
  return std::string(path);
}

// The last word of a class that akin knows. A Transformer of other code is accepted: what its
// forward does is decided by config.json, and an unknown family is refused there.
std::string module_type(std::string_view name, const std::string& where) {
  constexpr std::array<std::string_view, 6> kKnown = {"Transformer", "StaticEmbedding", "Pooling",
                                                      "Dense",       "Normalize",       "Dropout"};
  const size_t dot = name.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? name : name.substr(dot + 1);
  const bool ours = name.starts_with("sentence_transformers.") || name.starts_with("model2vec.");
  const bool known = std::find(kKnown.begin(), kKnown.end(), last) != kKnown.end();
  if (known && (ours || last == "Transformer")) return std::string(last);
  if (ours) {
    throw_error(ErrorKind::unsupported, where, "module class {} is not one akin runs; expected {}",
                quote(name), fmt::join(kKnown, ", "));
  }
  throw_error(ErrorKind::unsupported, where,
              "module class {} is remote code (Python inside the model folder), which akin never "
              "runs; expected a class of sentence_transformers: {}",
              quote(name), fmt::join(kKnown, ", "));
}

void read_modules(const fs::path& folder, StFolder& st) {
  const fs::path path = folder / "modules.json";
  const auto document = load_if_there(path);
  if (!document) return;
  for (const JsonValue& item : JsonValue(*document).items()) {
    StModule module;
    module.type = module_type(item.at("type").as_string(), item.where());
    module.path = checked_path(item.get("path", ""), item.where());
    module.idx = item.get("idx", static_cast<int64_t>(st.modules.size()));
    st.modules.push_back(std::move(module));
  }
  if (st.modules.empty()) {
    throw_error(ErrorKind::bad_format, path.string(), "no modules, expected at least one");
  }
  const std::string& first = st.modules.front().type;
  if (first != "Transformer" && first != "StaticEmbedding") {
    throw_error(ErrorKind::bad_format, path.string(),
                "the first module is {}, expected Transformer or StaticEmbedding", first);
  }
  for (size_t i = 1; i < st.modules.size(); ++i) {
    const std::string& type = st.modules[i].type;
    if (type == "Transformer" || type == "StaticEmbedding") {
      throw_error(ErrorKind::unsupported, path.string(), "module {} is a second {}; expected one",
                  i, type);
    }
  }
  st.transformer_path = st.modules.front().path;
}

std::optional<PoolingMode> mode_from_name(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(PoolingMode::last_token); ++i) {
    const auto mode = static_cast<PoolingMode>(i);
    if (pooling_mode_name(mode) == name) return mode;
  }
  return {};
}

PoolingMode required_mode(const JsonValue& value) {
  const auto mode = mode_from_name(value.as_string());
  if (!mode) {
    throw_error(ErrorKind::unsupported, value.where(),
                "pooling mode {} is unknown; expected cls, max, mean, mean_sqrt_len_tokens, "
                "weightedmean or lasttoken",
                quote(value.as_string()));
  }
  return *mode;
}

// New key: one name or a list, concatenated as listed. Old keys: one flag a mode, concatenated in
// the order of the enum. None set means mean.
PoolingSpec read_pooling_spec(const JsonValue& config) {
  PoolingSpec spec;
  if (const auto mode = config.find("pooling_mode")) {
    if (mode->is_array()) {
      for (const JsonValue& item : mode->items()) spec.modes.push_back(required_mode(item));
    } else {
      spec.modes.push_back(required_mode(*mode));
    }
    if (spec.modes.size() > 16) mode->fail("at most 16 pooling modes");
  } else {
    constexpr std::pair<std::string_view, PoolingMode> kFlags[] = {
        {"pooling_mode_cls_token", PoolingMode::cls},
        {"pooling_mode_max_tokens", PoolingMode::max},
        {"pooling_mode_mean_tokens", PoolingMode::mean},
        {"pooling_mode_mean_sqrt_len_tokens", PoolingMode::mean_sqrt_len},
        {"pooling_mode_weightedmean_tokens", PoolingMode::weighted_mean},
        {"pooling_mode_lasttoken", PoolingMode::last_token},
    };
    for (const auto& [key, flag] : kFlags) {
      if (config.get(key, false)) spec.modes.push_back(flag);
    }
    for (const auto& [key, value] : config.fields()) {  // a mode of some later release
      const bool known = std::any_of(std::begin(kFlags), std::end(kFlags),
                                     [name = key](const auto& row) { return row.first == name; });
      if (key.starts_with("pooling_mode_") && !known && value.is_bool() && value.as_bool()) {
        throw_error(ErrorKind::unsupported, value.where(), "this pooling mode is unknown to akin");
      }
    }
  }
  if (spec.modes.empty()) spec.modes.push_back(PoolingMode::mean);
  spec.include_prompt = config.get("include_prompt", true);
  return spec;
}

void read_pooling(const fs::path& folder, const StModule& module, const StReadOptions& options,
                  StFolder& st) {
  const fs::path path = folder / module.path / "config.json";
  const auto document = load_if_there(path);
  if (!document) {
    if (options.pooling_given) return;
    throw_error(ErrorKind::not_found, path.string(),
                "modules.json names a Pooling module, but its config is missing, and pooling is "
                "never guessed; download the file, or pass --pooling cls, mean or lasttoken");
  }
  const JsonValue config(*document);
  if (st.pooling) {
    throw_error(ErrorKind::unsupported, path.string(), "a second Pooling module; expected one");
  }
  st.pooling = read_pooling_spec(config);
  st.embedding_dim =
      config.get("embedding_dimension", config.get("word_embedding_dimension", int64_t{0}));
  note_ignored(
      *document, module.path + "/config.json",
      {"word_embedding_dimension", "embedding_dimension", "pooling_mode", "pooling_mode_cls_token",
       "pooling_mode_max_tokens", "pooling_mode_mean_tokens", "pooling_mode_mean_sqrt_len_tokens",
       "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken", "include_prompt"},
      st);
}

void check_sentence_input(const JsonValue& config) {
  for (const char* key : {"module_input_name", "module_output_name"}) {
    const std::string name = config.get(key, "sentence_embedding");
    if (name != "sentence_embedding") {
      throw_error(ErrorKind::unsupported, config.where(),
                  "{} is {}; akin runs this module on \"sentence_embedding\" only", key,
                  quote(name));
    }
  }
}

void read_dense(const fs::path& folder, const StModule& module, StFolder& st) {
  const fs::path path = folder / module.path / "config.json";
  const auto document = load_if_there(path);
  if (!document) {
    throw_error(ErrorKind::not_found, path.string(),
                "modules.json names a Dense module, but its config is missing; download it again");
  }
  const JsonValue config(*document);
  StDense dense;
  dense.in = config.at("in_features").as_int();
  dense.out = config.at("out_features").as_int();
  if (dense.in < 1 || dense.out < 1 || dense.in > (1 << 24) || dense.out > (1 << 24)) {
    throw_error(ErrorKind::bad_format, path.string(),
                "in_features {} and out_features {}, expected both in [1, 2^24]", dense.in,
                dense.out);
  }
  dense.bias = config.get("bias", true);
  dense.activation = config.get("activation_function", "torch.nn.modules.activation.Tanh");
  dense.use_residual = config.get("use_residual", false);
  dense.path = module.path;
  check_sentence_input(config);
  note_ignored(*document, module.path + "/config.json",
               {"in_features", "out_features", "bias", "activation_function", "use_residual",
                "module_input_name", "module_output_name"},
               st);
  st.dense.push_back(std::move(dense));
}

void read_normalize(const fs::path& folder, const StModule& module, StFolder& st) {
  st.normalize = true;
  if (module.path.empty()) return;
  if (const auto document = load_if_there(folder / module.path / "config.json")) {
    check_sentence_input(JsonValue(*document));
    note_ignored(*document, module.path + "/config.json",
                 {"module_input_name", "module_output_name"}, st);
  }
}

void read_limits(const fs::path& folder, StFolder& st) {
  constexpr std::string_view kNames[] = {
      "sentence_bert_config.json",       "sentence_roberta_config.json",
      "sentence_distilbert_config.json", "sentence_camembert_config.json",
      "sentence_albert_config.json",     "sentence_xlm-roberta_config.json",
      "sentence_xlnet_config.json"};
  for (const std::string_view name : kNames) {
    const auto document = load_if_there(folder / st.transformer_path / name);
    if (!document) continue;
    const JsonValue config(*document);
    if (const auto limit = config.find("max_seq_length")) {
      st.max_seq_length = limit->as_int();
      if (*st.max_seq_length < 1) limit->fail("a length >= 1");
    }
    st.do_lower_case = config.get("do_lower_case", false);
    note_ignored(*document, name,
                 {"max_seq_length", "do_lower_case", "transformer_task", "modality_config",
                  "module_output_name"},
                 st);
    return;
  }
}

void read_prompts(const JsonValue& config, StFolder& st) {
  if (const auto prompts = config.find("prompts")) {
    for (const auto& [name, text] : prompts->fields()) {
      if (!text.is_null()) st.prompts.emplace(name, text.as_string());
    }
  }
  st.default_prompt_name = config.get("default_prompt_name", "");
  if (!st.default_prompt_name.empty() && !st.prompts.contains(st.default_prompt_name)) {
    throw_error(ErrorKind::bad_format, config.where(),
                "default_prompt_name is {}, which is not one of the prompts",
                quote(st.default_prompt_name));
  }
}

void read_sentence_transformers_config(const fs::path& folder, StFolder& st) {
  constexpr std::string_view kName = "config_sentence_transformers.json";
  const auto document = load_if_there(folder / kName);
  if (!document) return;
  const JsonValue config(*document);
  read_prompts(config, st);
  st.similarity_fn_name = config.get("similarity_fn_name", "");
  constexpr std::array<std::string_view, 5> kKnown = {"", "cosine", "dot", "euclidean",
                                                      "manhattan"};
  if (std::find(kKnown.begin(), kKnown.end(), st.similarity_fn_name) == kKnown.end()) {
    throw_error(ErrorKind::unsupported, config.where(),
                "similarity_fn_name is {}; expected cosine, dot, euclidean or manhattan",
                quote(st.similarity_fn_name));
  }
  if (const auto dim = config.find("truncate_dim")) {
    st.truncate_dim = dim->as_int();
    if (*st.truncate_dim < 1) dim->fail("a number >= 1");
  }
  if (const auto normalize = config.find("normalize")) st.config_normalize = normalize->as_bool();
  note_ignored(*document, kName,
               {"model_type", "__version__", "prompts", "default_prompt_name", "similarity_fn_name",
                "truncate_dim", "normalize"},
               st);
}

void read_matryoshka(const fs::path& folder, StFolder& st) {
  const auto document = load_if_there(folder / st.transformer_path / "config.json");
  if (!document || !document->root().is_object()) return;
  const JsonValue config(*document);
  const auto dims = config.find("matryoshka_dimensions");
  if (!dims || !config.get("is_matryoshka", true)) return;
  std::set<int64_t> sorted;
  for (const JsonValue& dim : dims->items()) {
    if (dim.as_int() < 1) dim.fail("a dimension >= 1");
    sorted.insert(dim.as_int());
  }
  st.matryoshka_dims.assign(sorted.begin(), sorted.end());
}

}  // namespace

StFolder read_st_folder(const fs::path& folder, const StReadOptions& options) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw_error(ErrorKind::not_found, folder.string(), "no such folder");
  }
  StFolder st;
  read_modules(folder, st);
  for (const StModule& module : st.modules) {
    if (module.type == "Pooling") read_pooling(folder, module, options, st);
    if (module.type == "Dense") read_dense(folder, module, st);
    if (module.type == "Normalize") read_normalize(folder, module, st);
  }
  read_limits(folder, st);
  read_sentence_transformers_config(folder, st);
  read_matryoshka(folder, st);
  return st;
}

}  // namespace akin::store
