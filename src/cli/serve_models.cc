#include "cli/serve_models.h"

#include <filesystem>

#include "base/error.h"
#include "cli/load.h"
#include "engine/cpu_encoder.h"
#include "engine/pair_scorer.h"
#include "index/index.h"

namespace akin::cli {
namespace {

namespace fs = std::filesystem;

ModelOptions model_options(const std::string& model, const ServeLoad& load) {
  ModelOptions options;
  options.model = model;
  options.pooling = load.pooling;
  options.dtype = load.dtype;
  options.threads = load.threads;
  options.rope_base = load.rope_base;
  return options;
}

serve::LoadedModel load_served(const std::string& model, const ServeLoad& load) {
  serve::LoadedModel out;
  out.path_name = model;
  const fs::path folder = resolve_model_folder(model);
  if (model::is_classifier_folder(folder)) {
    if (load.rope_base != 0) {
      throw_error(ErrorKind::unsupported, "--rope-base",
                  "{} scores pairs, which has a base of its own", quote(model));
    }
    auto loaded =
        engine::load_text_classifier(folder, {.threads = load.threads, .precision = load.dtype});
    out.info = loaded.info;
    out.scorer = std::move(loaded.scorer);
    out.classifier = std::move(loaded.classifier);
    return out;
  }
  out.encoder = load_encoder(model_options(model, load));
  out.info = out.encoder->info();
  return out;
}

std::string last_part(const std::string& folder) {
  fs::path path(folder);
  if (!path.has_filename()) path = path.parent_path();
  return path.filename().string();
}

}  // namespace

NamedFolder parse_named_folder(const std::string& flag, const std::string& text) {
  const size_t equals = text.find('=');
  std::error_code error;
  if (equals == std::string::npos || fs::exists(text, error) ||
      text.find('/') < equals) {  // a path with = in it
    return {{}, text};
  }
  NamedFolder out{text.substr(0, equals), text.substr(equals + 1)};
  if (out.name.empty() || out.folder.empty())
    throw_error(ErrorKind::usage, flag, "{} is not NAME=FOLDER", quote(text));
  return out;
}

std::vector<serve::ModelSource> model_sources(const std::vector<std::string>& models,
                                              const ServeLoad& load) {
  std::vector<serve::ModelSource> sources;
  for (const auto& text : models) {
    const NamedFolder named = parse_named_folder("--model", text);
    std::error_code error;
    // A folder is known by its own name, a repository by its whole one.
    const std::string name = !named.name.empty() ? named.name
                             : fs::is_directory(named.folder, error)
                                 ? last_part(fs::weakly_canonical(named.folder, error).string())
                                 : named.folder;
    sources.push_back({name, [folder = named.folder, load] { return load_served(folder, load); }});
  }
  return sources;
}

std::vector<serve::CarriedIndex> open_indexes(const std::vector<std::string>& indexes,
                                              const serve::Service& service, bool writable) {
  std::vector<serve::CarriedIndex> out;
  for (const auto& text : indexes) {
    const NamedFolder named = parse_named_folder("--index", text);
    serve::CarriedIndex carried;
    carried.name = named.name.empty() ? last_part(named.folder) : named.name;
    carried.index = index::Index::open(named.folder, writable);
    carried.writable = writable;
    carried.index->open_vectors();  // what is lost or damaged is said now
    const auto& spec = carried.index->spec();
    std::vector<std::string> served;
    for (const auto& model : service.models()) {
      served.push_back(model.name);
      if (carried.model.empty() && model.info.fingerprint == spec.fingerprint)
        carried.model = model.name;
    }
    if (carried.model.empty()) {
      throw_error(ErrorKind::usage, "--index",
                  "{} was made with {}{} ({}), which is not served here; served: {}",
                  quote(named.folder), quote(spec.model),
                  spec.precision.empty() ? "" : fmt::format(" by --dtype {}", spec.precision),
                  spec.fingerprint.substr(0, 8), fmt::join(served, ", "));
    }
    out.push_back(std::move(carried));
  }
  return out;
}

}  // namespace akin::cli
