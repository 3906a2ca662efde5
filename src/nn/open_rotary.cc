#include "nn/open_rotary.h"

#include "base/error.h"
#include "model/rotary_start.h"

namespace akin::nn {

namespace fs = std::filesystem;

namespace {

void need_folder(const fs::path& work) {
  if (!work.empty()) return;
  throw_error(ErrorKind::unsupported, "model.position",
              "is changed by a training run alone; open the model that came out of it");
}

}  // namespace

std::unique_ptr<TextModel> open_rotary(const fs::path& folder, const fs::path& work,
                                       const RotaryOptions& rotary, const TextModelOptions& options,
                                       const model::LoadOptions& load) {
  if (model::load_model(folder, load).arch.position == PositionKind::rotary) {
    return TextModel::open(folder, options, load);
  }
  need_folder(work);
  model::write_rotary_start(folder, work / "rotary", {rotary.max_tokens, rotary.base});
  return TextModel::open(work / "rotary", options, load);
}

std::unique_ptr<TextModel> make_rotary(const ScratchSpec& spec, const fs::path& work,
                                       const RotaryOptions& rotary,
                                       const TextModelOptions& options) {
  need_folder(work);
  TextModelOptions plain;
  plain.threads = options.threads;
  TextModel::from_scratch(spec, plain)->save(work / "start", {});
  return open_rotary(work / "start", work, rotary, options, {});
}

}  // namespace akin::nn
