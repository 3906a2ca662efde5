// load_model: from a folder to a Model. Maps the weights, reads the small files, checks that they
// agree; reads no weight beyond the fingerprint's sample.
#include "model/load.h"

#include <algorithm>
#include <system_error>

#include "base/error.h"
#include "base/hash.h"
#include "core/counters.h"
#include "model/peft.h"
#include "model/unused.h"

namespace akin::model {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kMaxConfigBytes = uint64_t{32} << 20;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// "org/name" for a snapshot of the hub's cache, else the folder's own name.
std::string model_name(const fs::path& folder) {
  std::error_code ignored;
  fs::path full = fs::weakly_canonical(folder, ignored);
  if (full.empty()) full = folder;
  const std::string repo = full.parent_path().parent_path().filename().string();
  if (full.parent_path().filename() == "snapshots" && repo.starts_with("models--")) {
    const std::string_view name = std::string_view(repo).substr(8);
    const size_t cut = name.find("--");
    if (cut == std::string_view::npos) return std::string(name);
    return fmt::format("{}/{}", name.substr(0, cut), name.substr(cut + 2));
  }
  return full.filename().string();
}

std::string weights_file(const fs::path& folder) {
  for (const char* name :
       {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"}) {
    if (is_there(folder / name)) return (folder / name).string();
  }
  return folder.string();
}

// config.json, or what stands for it in a static model's folder, which may have none.
JsonDocument read_config(const fs::path& folder, const store::StFolder& st) {
  const fs::path path = folder / st.transformer_path / "config.json";
  if (is_there(path)) return JsonDocument::load(path, kMaxConfigBytes);
  const bool is_static = st.modules.empty()
                             ? is_there(folder / "config_sentence_transformers.json") &&
                                   is_there(folder / "tokenizer.json")
                             : st.modules.front().type == "StaticEmbedding";
  if (is_static) return JsonDocument::parse(R"({"model_type": "static"})", folder.string());
  throw_error(ErrorKind::not_found, path.string(),
              "no such file, so the model's architecture is unknown; a model folder holds "
              "config.json, model.safetensors and tokenizer.json");
}

void check_tokenizer(const Model& model) {
  const auto tokens = static_cast<int64_t>(model.tokenizer->vocab_size());
  if (tokens <= model.arch.vocab_size) return;
  throw_error(ErrorKind::bad_format, model.folder.string(),
              "{} knows {} tokens, but the embedding table has rows for {}; the folder mixes two "
              "models, download it again",
              model.tokenizer->source(), tokens, model.arch.vocab_size);
}

// sentence-transformers' rule: its own max_seq_length replaces the tokenizer's limit; the table of
// positions bounds both.
size_t choose_max_tokens(const store::StFolder& st, const Model& model) {
  size_t limit =
      st.max_seq_length ? static_cast<size_t>(*st.max_seq_length) : model.tokenizer->max_length();
  if (model.arch.kind == ModelKind::static_embedding) {
    return st.max_seq_length ? limit : 0;  // a bag of rows has no longest text
  }
  const auto positions = static_cast<size_t>(model.arch.max_positions);
  if (positions != 0 && (limit == 0 || positions < limit)) limit = positions;
  const size_t added = model.tokenizer->prefix_ids().size() + model.tokenizer->suffix_ids().size();
  if (limit != 0 && limit <= added) {
    throw_error(ErrorKind::bad_format, model.folder.string(),
                "texts are limited to {} tokens, {} of which are special tokens; nothing is left",
                limit, added);
  }
  return limit;
}

void check_mapping(const Model& model) {
  if (!model.static_spec.has_mapping) return;
  const Tensor& mapping = model.weights->at("static.mapping");
  const int64_t rows = model.weights->at("static.embeddings").shape[0];
  if (dtype_size_bytes(mapping.dtype) == 0 || mapping.dtype == DType::f32 ||
      mapping.dtype == DType::f64 || mapping.dtype == DType::f16 || mapping.dtype == DType::bf16) {
    throw_error(ErrorKind::bad_format, model.folder.string(),
                "tensor \"mapping\" is {}, expected integers", dtype_name(mapping.dtype));
  }
  for (int64_t i = 0; i < mapping.elements(); ++i) {
    const int64_t row = tensor_int_at(mapping, static_cast<size_t>(i));
    if (row < 0 || row >= rows) {
      throw_error(ErrorKind::bad_format, model.folder.string(),
                  "tensor \"mapping\" sends token {} to row {}, expected a row in [0, {})", i, row,
                  rows);
    }
  }
}

void finish_static(const store::StFolder& st, Model& model) {
  StaticSpec& spec = model.static_spec;
  const bool has_head = std::any_of(model.heads.begin(), model.heads.end(), [](const Head& head) {
    return head.kind == HeadKind::normalize;
  });
  spec.normalize = spec.normalize || st.config_normalize.value_or(false) || has_head;
  if (spec.normalize && !has_head) model.heads.push_back({HeadKind::normalize, 0});
  // model2vec asks the tokenizer's model for "unk_token", which Unigram does not have.
  spec.skip_unk = spec.skip_unk && model.tokenizer->model_type() != "Unigram";
  spec.max_tokens = model.max_tokens;
  check_mapping(model);
}

void fill_from_folder(const store::StFolder& st, Model& model) {
  model.prompts = st.prompts;
  model.default_prompt_name = st.default_prompt_name;
  if (!st.similarity_fn_name.empty()) model.similarity = st.similarity_fn_name;
  model.do_lower_case = st.do_lower_case;
  for (const int64_t dim : st.matryoshka_dims) {
    if (dim <= static_cast<int64_t>(model.dim)) {
      model.matryoshka_dims.push_back(static_cast<size_t>(dim));
    }
  }
  model.ignored_keys.insert(model.ignored_keys.end(), st.ignored_keys.begin(),
                            st.ignored_keys.end());
  if (st.truncate_dim && *st.truncate_dim < static_cast<int64_t>(model.dim)) {
    model.ignored_keys.push_back(
        fmt::format("config_sentence_transformers.json: truncate_dim = {}", *st.truncate_dim));
    count_event("truncate_dim", 1,
                fmt::format("{}: config_sentence_transformers.json asks for vectors cut to "
                            "truncate_dim = {}; these have all {} dims unless --dims says {}",
                            model.folder.string(), *st.truncate_dim, model.dim, *st.truncate_dim));
  }
}

// Tools that know PEFT put an adapter in the root over the base model for every text: without it
// the vectors would be those of another model.
void refuse_root_adapter(const fs::path& folder, const fs::path& body) {
  for (const fs::path& place : {folder, body}) {
    for (const char* name : {"adapter_config.json", "adapter_model.safetensors"}) {
      if (!is_there(place / name)) continue;
      throw_error(
          ErrorKind::unsupported, (place / name).string(),
          "a PEFT adapter in the model's root changes every vector, and akin does not apply "
          "it there. Merge it into the weights (merge_and_unload), or move its two files "
          "to {} of the base model and ask for it by --task NAME",
          (fs::path("adapters") / "NAME").string());
    }
  }
}

void check_pooling_dim(const store::StFolder& st, const Model& model) {
  if (st.embedding_dim == 0 || st.embedding_dim == model.arch.hidden) return;
  throw_error(ErrorKind::bad_format, model.folder.string(),
              "the Pooling module is made for token vectors of {} dims, config.json says {}; the "
              "folder mixes two models, download it again",
              st.embedding_dim, model.arch.hidden);
}

// A model that lacks layers gives vectors like any other, only wrong ones.
void warn_of_unused_layers(const MappedWeights& weights, const Model& model,
                           const std::string& file) {
  const UnusedTensors unused = find_unused(weights.checkpoint(), weights);
  if (unused.layers == 0) return;
  count_event(
      "unused_layers", unused.layers,
      fmt::format("{}: holds {} layers, config.json says {}; the others are not used. Is it the "
                  "config.json of these weights?",
                  file, static_cast<size_t>(model.arch.layers) + unused.layers, model.arch.layers));
}

}  // namespace

Model load_model(const fs::path& folder, const LoadOptions& options) {
  const store::StFolder st =
      store::read_st_folder(folder, {.pooling_given = options.pooling.has_value()});
  Model model;
  model.folder = folder;
  model.name = model_name(folder);
  const fs::path body = folder / st.transformer_path;
  refuse_root_adapter(folder, body);

  const JsonDocument document = read_config(folder, st);
  const JsonValue json(document);
  ConfigReader config(json);
  const Family& family = family_for(json);
  store::TensorFiles files = store::TensorFiles::open_folder(body);
  FamilyPlan plan = family.plan(config, files.tensors());
  for (const std::string& key : config.unread())
    model.ignored_keys.push_back("config.json: " + key);

  model.arch = plan.arch;
  model.static_spec = plan.static_spec;
  model.task_prompts = std::move(plan.task_prompts);
  model.pooling = choose_pooling(folder, st, options, plan);
  check_pooling_dim(st, model);
  auto weights = std::make_shared<MappedWeights>();
  const bool integers = model.arch.kind == ModelKind::static_embedding;
  weights->apply(std::move(files), plan.weights, weights_file(body), integers);
  warn_of_unused_layers(*weights, model, weights_file(body));
  model.dim = static_cast<size_t>(model.arch.hidden) * model.pooling.modes.size();
  read_heads(st, model, *weights);
  read_peft_adapters(model, *weights);
  model.parameters = weights->parameters();
  model.weights = std::move(weights);

  model.tokenizer = text::Tokenizer::load_folder(body);
  check_tokenizer(model);
  model.max_tokens = choose_max_tokens(st, model);
  if (model.arch.kind == ModelKind::static_embedding) finish_static(st, model);
  fill_from_folder(st, model);
  for (const std::string& task : model.arch.adapters) {  // a prompt that bears a task's name
    if (const auto it = model.prompts.find(task); it != model.prompts.end())
      model.task_prompts.emplace(task, it->second);
  }
  model.fingerprint = make_fingerprint(model);
  return model;
}

EncoderInfo encoder_info(const Model& model, Precision precision) {
  EncoderInfo info;
  info.name = model.name;
  info.family = model.arch.family;
  Hasher hasher;
  hasher.add(model.fingerprint);
  hasher.add(precision_name(precision));
  info.fingerprint = hasher.hex();
  info.pooling = pooling_name(model.pooling);
  info.similarity = model.similarity;
  info.dim = model.dim;
  info.max_tokens = model.max_tokens;
  info.parameters = model.parameters;
  info.normalizes = std::any_of(model.heads.begin(), model.heads.end(),
                                [](const Head& head) { return head.kind == HeadKind::normalize; });
  info.precision = precision;
  info.prompts = model.prompts;
  info.default_prompt_name = model.default_prompt_name;
  info.tasks = model.arch.adapters;
  info.matryoshka_dims = model.matryoshka_dims;
  return info;
}

}  // namespace akin::model
