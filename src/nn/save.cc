#include "nn/save.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "nn/adapters.h"
#include "nn/save_weights.h"
#include "store/st_folder.h"

namespace akin::nn {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

std::string_view torch_dtype_name(DType dtype) {
  return dtype == DType::f16 ? "float16" : dtype == DType::bf16 ? "bfloat16" : "float32";
}

// The model's own config.json with what changed; empty where there is none and none is needed.
std::string config_text(const ModelParts& parts, const SaveOptions& options) {
  if (parts.config_json.empty() && options.matryoshka_dims.empty()) return {};
  Json config;
  try {
    config =
        parts.config_json.empty() ? Json{{"model_type", "static"}} : Json::parse(parts.config_json);
    for (const char* key : {"torch_dtype", "dtype"}) {
      if (config.contains(key)) config[key] = torch_dtype_name(options.dtype);
    }
    if (!options.matryoshka_dims.empty()) {
      config["is_matryoshka"] = true;
      config["matryoshka_dimensions"] = options.matryoshka_dims;
    }
    return config.dump(2) + "\n";
  } catch (const Json::exception& error) {
    throw_error(ErrorKind::bad_format, "config.json", "cannot be written again: {}", error.what());
  }
}

void add_modules(const ModelParts& parts, store::StFolder& st) {
  const model::Model& model = parts.model;
  const bool is_static = model.arch.kind == ModelKind::static_embedding;
  const auto add = [&](std::string type, std::string path) {
    const auto idx = static_cast<int64_t>(st.modules.size());
    st.modules.push_back({std::move(type), std::move(path), idx});
    return st.modules.back().path;
  };
  const auto numbered = [&](const char* type) {
    return add(type, fmt::format("{}_{}", st.modules.size(), type));
  };
  st.transformer_path = parts.body;
  if (is_static) {  // "." and not "": an empty path makes sentence-transformers look for a
                    // transformer there
    add("StaticEmbedding", parts.body.empty() ? "." : parts.body);
  } else {
    add("Transformer", parts.body);
    st.pooling = model.pooling;
    st.embedding_dim = model.arch.hidden;
    numbered("Pooling");
  }
  for (const model::Head& head : model.heads) {
    if (head.kind == model::HeadKind::normalize) {
      st.normalize = true;
      numbered("Normalize");
      continue;
    }
    const model::DenseSpec& spec = model.dense.at(head.dense_index);
    st.dense.push_back({spec.in, spec.out, spec.bias, parts.dense_activations.at(head.dense_index),
                        spec.use_residual, numbered("Dense")});
  }
}

// The prompts of the folder. A merged task is the whole model: what goes before its texts beside
// the other tasks goes before every text here, and the others' prompts would only mislead.
void add_prompts(const model::Model& model, const SaveOptions& options, store::StFolder& st) {
  st.prompts = options.prompts.empty() ? model.prompts : options.prompts;
  st.default_prompt_name = options.prompts.empty() && options.default_prompt_name.empty()
                               ? model.default_prompt_name
                               : options.default_prompt_name;
  const std::string& task = options.merged_task;
  if (task.empty()) return;
  if (options.prompts.empty()) {
    if (const auto own = model.task_prompts.find(task); own != model.task_prompts.end()) {
      st.prompts.insert_or_assign(task, own->second);
    }
  }
  if (st.prompts.contains(task)) st.default_prompt_name = task;
  std::erase_if(st.prompts,
                [&](const auto& prompt) { return prompt.first != st.default_prompt_name; });
}

store::StFolder st_folder(const ModelParts& parts, const SaveOptions& options) {
  const model::Model& model = parts.model;
  store::StFolder st;
  add_modules(parts, st);
  const size_t max_tokens = options.max_tokens.value_or(model.max_tokens);
  if (max_tokens > 0) st.max_seq_length = static_cast<int64_t>(max_tokens);
  st.do_lower_case = model.do_lower_case;
  add_prompts(model, options, st);
  if (!st.default_prompt_name.empty() && !st.prompts.contains(st.default_prompt_name)) {
    throw_error(ErrorKind::usage, "default_prompt_name", "{} is not one of the prompts",
                quote(st.default_prompt_name));
  }
  st.similarity_fn_name = model.similarity;
  return st;
}

void check_options(const ModelParts& parts, const SaveOptions& options) {
  for (const size_t dim : options.matryoshka_dims) {
    if (dim >= 1 && dim <= parts.model.dim) continue;
    throw_error(ErrorKind::usage, "matryoshka_dims", "{}, expected dims in [1, {}]", dim,
                parts.model.dim);
  }
  if (options.dtype != DType::f32 && options.dtype != DType::f16 && options.dtype != DType::bf16) {
    throw_error(ErrorKind::usage, "dtype", "weights are written as F32, F16 or BF16, not {}",
                dtype_name(options.dtype));
  }
}

struct Adapters {
  const NamedTensors& tensors;
  const AdapterOptions& options;
};

void write_all(const fs::path& folder, const ModelParts& parts, const NamedTensors& values,
               const SaveOptions& options, const Adapters& adapters) {
  const fs::path body = folder / parts.body;
  fs::create_directories(body);
  for (const auto& [name, bytes] : parts.files) write_file(body / name, bytes);
  if (const std::string config = config_text(parts, options); !config.empty())
    write_file(body / "config.json", config);
  const store::StFolder st = st_folder(parts, options);
  store::write_st_folder(folder, st);
  write_body_weights(body / "model.safetensors", parts, values, options.dtype);
  for (size_t i = 0; i < st.dense.size(); ++i)
    write_dense_weights(folder / st.dense[i].path / "model.safetensors", i, values, options.dtype);
  if (!adapters.tensors.empty()) write_adapters(folder, parts, adapters.tensors, adapters.options);
  if (!options.card.empty()) write_file(folder / "README.md", options.card);
}

// A folder that akin wrote says so; nothing else is ever replaced.
bool is_ours(const fs::path& folder) {
  const fs::path path = folder / "config_sentence_transformers.json";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return false;
  try {
    const JsonDocument document = JsonDocument::load(path, uint64_t{1} << 24);
    const auto version = JsonValue(document).find("__version__");
    return version && version->is_object() && version->find("akin").has_value();
  } catch (const Error&) {
    return false;
  }
}

// Puts `fresh` where `folder` is: the names are exchanged in one step where the file system can,
// so that at every moment one whole folder has the name.
void swap_in(const fs::path& fresh, const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) {
    fs::rename(fresh, folder);
    return;
  }
#ifdef RENAME_EXCHANGE
  if (renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) == 0) {
    fs::remove_all(fresh);
    return;
  }
#endif
  fs::path old = fresh;
  old += ".old";
  fs::rename(folder, old);
  fs::rename(fresh, folder);
  fs::remove_all(old);
}

}  // namespace

void check_target(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored) || fs::is_empty(folder, ignored) || is_ours(folder)) return;
  throw_error(ErrorKind::usage, folder.string(),
              "exists and is not a model folder that akin wrote; name a new folder");
}

void save_folder(const fs::path& asked, const ModelParts& parts, const NamedTensors& values,
                 const SaveOptions& options, const NamedTensors& adapters,
                 const AdapterOptions& adapter_options) {
  // "x/" names the same folder as "x", but not the same neighbours.
  const fs::path folder = asked.has_filename() ? asked : asked.parent_path();
  check_options(parts, options);
  check_target(folder);
  fs::path temporary = folder;
  temporary += fmt::format(".{}.tmp", ::getpid());
  try {
    fs::remove_all(temporary);
    write_all(temporary, parts, values, options, {adapters, adapter_options});
    swap_in(temporary, folder);
  } catch (const fs::filesystem_error& error) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw_error(ErrorKind::io, folder.string(), "cannot write: {}", error.code().message());
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
}

}  // namespace akin::nn
