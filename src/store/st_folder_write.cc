// Writing a sentence-transformers folder in the old keys, which every release and TEI read (see
// st_folder.h).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "store/st_folder.h"

namespace akin::store {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

void write_json(const fs::path& path, const Json& json) {
  try {
    write_file(path, json.dump(2) + "\n");
  } catch (const Json::exception& error) {
    throw_error(ErrorKind::bad_format, path.string(), "not valid UTF-8: {}", error.what());
  }
}

Json pooling_json(const StFolder& st, const fs::path& path) {
  const PoolingSpec& spec = *st.pooling;
  if (!std::is_sorted(spec.modes.begin(), spec.modes.end()) ||
      std::adjacent_find(spec.modes.begin(), spec.modes.end()) != spec.modes.end()) {
    throw_error(ErrorKind::unsupported, path.string(),
                "the old keys can only say modes in the order cls, max, mean, mean_sqrt_len, "
                "weightedmean, lasttoken, each once");
  }
  const auto has = [&](PoolingMode mode) {
    return std::find(spec.modes.begin(), spec.modes.end(), mode) != spec.modes.end();
  };
  return {{"word_embedding_dimension", st.embedding_dim},
          {"pooling_mode_cls_token", has(PoolingMode::cls)},
          {"pooling_mode_mean_tokens", has(PoolingMode::mean)},
          {"pooling_mode_max_tokens", has(PoolingMode::max)},
          {"pooling_mode_mean_sqrt_len_tokens", has(PoolingMode::mean_sqrt_len)},
          {"pooling_mode_weightedmean_tokens", has(PoolingMode::weighted_mean)},
          {"pooling_mode_lasttoken", has(PoolingMode::last_token)},
          {"include_prompt", spec.include_prompt}};
}

Json dense_json(const StDense& dense) {
  Json json = {{"in_features", dense.in},
               {"out_features", dense.out},
               {"bias", dense.bias},
               {"activation_function", dense.activation}};
  if (dense.use_residual) json["use_residual"] = true;
  return json;
}

void write_prompts(const fs::path& folder, const StFolder& st) {
  Json json;
  json["__version__"] = {{"sentence_transformers", "2.7.0"}, {"akin", AKIN_VERSION}};
  json["prompts"] = Json::object();
  for (const auto& [name, text] : st.prompts) json["prompts"][name] = text;
  json["default_prompt_name"] =
      st.default_prompt_name.empty() ? Json() : Json(st.default_prompt_name);
  json["similarity_fn_name"] = st.similarity_fn_name.empty() ? Json() : Json(st.similarity_fn_name);
  if (st.truncate_dim) json["truncate_dim"] = *st.truncate_dim;
  if (st.config_normalize) json["normalize"] = *st.config_normalize;
  write_json(folder / "config_sentence_transformers.json", json);
}

}  // namespace

void set_standard_modules(StFolder& st) {
  st.modules.clear();
  st.transformer_path.clear();
  const auto add = [&](const char* type) {
    const auto idx = static_cast<int64_t>(st.modules.size());
    std::string path = idx == 0 ? std::string() : fmt::format("{}_{}", idx, type);
    st.modules.push_back({type, std::move(path), idx});
    return st.modules.back().path;
  };
  add("Transformer");
  if (st.pooling) add("Pooling");
  for (StDense& dense : st.dense) dense.path = add("Dense");
  if (st.normalize) add("Normalize");
}

void write_st_folder(const fs::path& folder, const StFolder& st) {
  fs::create_directories(folder);
  Json modules = Json::array();
  for (const StModule& module : st.modules) {
    modules.push_back({{"idx", module.idx},
                       {"name", std::to_string(module.idx)},
                       {"path", module.path},
                       {"type", "sentence_transformers.models." + module.type}});
    const fs::path at = folder / module.path;
    fs::create_directories(at);
    if (module.type == "Pooling" && st.pooling) {
      write_json(at / "config.json", pooling_json(st, at / "config.json"));
    }
  }
  for (const StDense& dense : st.dense) {
    write_json(folder / dense.path / "config.json", dense_json(dense));
  }
  if (!st.modules.empty()) write_json(folder / "modules.json", modules);
  if (st.max_seq_length || st.do_lower_case) {
    write_json(folder / st.transformer_path / "sentence_bert_config.json",
               {{"max_seq_length", st.max_seq_length ? Json(*st.max_seq_length) : Json()},
                {"do_lower_case", st.do_lower_case}});
  }
  write_prompts(folder, st);
}

}  // namespace akin::store
