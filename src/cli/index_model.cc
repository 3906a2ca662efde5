#include "cli/index_model.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"

namespace akin::cli {
namespace {

// Dims and normalisation are the index's.
EncodeFlags with_shape(const index::Index& index, EncodeFlags flags) {
  const auto& spec = index.spec();
  if (flags.dims != 0 && flags.dims != spec.vectors.dims) {
    throw_error(ErrorKind::usage, "--dims", "is {}, the index has vectors of {}", flags.dims,
                spec.vectors.dims);
  }
  flags.dims = spec.vectors.dims;
  flags.allow_any_dims = true;  // checked when the index was made
  flags.normalize = spec.similarity == "cosine";
  return flags;
}

// The model, and how it was opened when the index was made, where the caller says nothing else.
void take_over(const index::IndexSpec& spec, ModelOptions& model) {
  if (model.model.empty()) model.model = spec.model_source;
  if (model.pooling.empty()) model.pooling = spec.pooling;
  if (model.rope_base == 0) model.rope_base = spec.rope_base;
  if (model.dtype == Precision::f32 && spec.precision == precision_name(Precision::int8)) {
    model.dtype = Precision::int8;
  }
}

std::unique_ptr<Encoder> load(const ModelOptions& model, bool remembered) {
  try {
    return load_encoder(model);
  } catch (const Error& error) {
    if (!remembered || error.kind() != ErrorKind::not_found) throw;
    throw Error(error.kind(),
                fmt::format("{}. It is the model that the index was built with; say where it is "
                            "now by --model",
                            error.message()),
                error.where());
  }
}

}  // namespace

std::string model_source(const std::string& model) {
  std::error_code error;
  if (!std::filesystem::is_directory(model, error)) return model;
  const auto absolute = std::filesystem::weakly_canonical(model, error);
  return error ? model : absolute.string();
}

std::unique_ptr<Encoder> open_index_model(const index::Index& index, ModelOptions model,
                                          bool allow_mismatch) {
  const auto& spec = index.spec();
  const bool remembered = model.model.empty();
  take_over(spec, model);
  auto encoder = load(model, remembered);
  const EncoderInfo& info = encoder->info();
  if (!allow_mismatch) index.check_model(info.name, info.fingerprint);
  // Another model's vectors may be cut only where it was trained for that.
  const auto& declared = info.matryoshka_dims;
  const bool fits =
      info.dim == spec.vectors.dims || info.fingerprint == spec.fingerprint ||
      std::find(declared.begin(), declared.end(), spec.vectors.dims) != declared.end();
  if (!fits || info.dim < spec.vectors.dims) {
    throw_error(ErrorKind::usage, "--model", "{} has vectors of {} dims, the index of {}",
                quote(info.name), info.dim, spec.vectors.dims);
  }
  return encoder;
}

EncodeOptions index_query_options(const index::Index& index, const EncodeFlags& flags,
                                  const EncoderInfo& info, Context& context) {
  EncodeFlags asked = with_shape(index, flags);
  const std::string& task = index.spec().document_task;
  if (asked.task.empty() && !task.empty()) {
    asked.task = task == "retrieval.passage" ? "retrieval.query" : task;
  }
  return encode_options(asked, Side::query, info, context);
}

EncodeOptions index_document_options(const index::Index& index, const EncodeFlags& flags,
                                     const EncoderInfo& info, Context& context) {
  const auto& spec = index.spec();
  EncodeFlags asked = with_shape(index, flags);
  const bool chosen = asked.prompt.has_value() || !asked.prompt_name.empty();
  if (!chosen) asked.prompt = spec.document_prompt;
  if (asked.task.empty()) asked.task = spec.document_task;
  auto options = encode_options(asked, Side::document, info, context);
  if (resolve_prompt(info, options) != spec.document_prompt) {
    throw_error(ErrorKind::usage, "--prompt", "is {}, the documents in the index had {}",
                quote(resolve_prompt(info, options)), quote(spec.document_prompt));
  }
  if (options.task != spec.document_task) {
    throw_error(ErrorKind::usage, "--task", "is {}, the documents in the index had {}",
                quote(options.task), quote(spec.document_task));
  }
  return options;
}

}  // namespace akin::cli
