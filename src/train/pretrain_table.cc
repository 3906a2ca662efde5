#include "train/pretrain_table.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace akin::train {
namespace {

uint64_t number(std::string_view text, const std::string& entry) {
  uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error == std::errc() && end == text.data() + text.size() && !text.empty()) return out;
  throw_error(ErrorKind::usage, "pretrain.stages", "{} is not STEP:LENGTH, such as 10000:8192",
              quote(entry));
}

}  // namespace

std::vector<PretrainStage> pretrain_stages(const PretrainTable& table, uint64_t longest,
                                           uint64_t batch) {
  const uint64_t first = table.length == 0 ? longest : table.length;
  std::vector<PretrainStage> out = {{0, first, batch}};
  for (const auto& entry : table.stages) {
    const size_t colon = entry.find(':');
    const std::string_view text(entry);
    PretrainStage stage;
    stage.begin = number(text.substr(0, colon), entry);
    stage.length =
        number(colon == std::string::npos ? std::string_view() : text.substr(colon + 1), entry);
    if (stage.begin <= out.back().begin) {
      throw_error(ErrorKind::usage, "pretrain.stages",
                  "{} does not begin after the stage before it, step {}", quote(entry),
                  out.back().begin);
    }
    stage.batch = std::max<uint64_t>(1, batch * first / std::max<uint64_t>(1, stage.length));
    out.push_back(stage);
  }
  for (const auto& stage : out) {
    if (stage.length >= 8 && (longest == 0 || stage.length <= longest)) continue;
    throw_error(ErrorKind::usage, "pretrain.length",
                "{} tokens, but the model reads {}; raise model.max_tokens, or model.max_positions "
                "for a new model",
                stage.length, longest);
  }
  return out;
}

}  // namespace akin::train
