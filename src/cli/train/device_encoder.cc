#include "cli/train/device_encoder.h"

#include "base/error.h"
#include "nn/text_model.h"

namespace akin::cli {
namespace {

constexpr size_t kCpuTokens = 8192, kGpuTokens = 65536;  // of a batch

}  // namespace

std::unique_ptr<Encoder> make_device_encoder(const ModelOptions& options) {
  if (options.dtype != Precision::f32) {
    throw_error(ErrorKind::usage, "--dtype",
                "{} is computed by akin's own engine; leave out --device, or ask for f32",
                precision_name(options.dtype));
  }
  if (options.rope_base != 0) {
    throw_error(ErrorKind::usage, "--rope-base",
                "works with akin's own engine; leave out --device, or write the base into the "
                "folder's config.json");
  }
  const bool on_cpu = options.device == "torch";
  nn::TextModelOptions model;
  model.device = on_cpu ? "cpu" : options.device;
  model.stack = nn::StackKind::torch;
  model.threads = options.threads;
  const model::LoadOptions load = load_options(options);
  std::shared_ptr<nn::TextModel> opened =
      nn::TextModel::open(resolve_model_folder(options.model), model, load);
  return nn::make_torch_encoder(std::move(opened), on_cpu ? kCpuTokens : kGpuTokens,
                                nn::Fingerprint::of_folder);
}

}  // namespace akin::cli
