// The table of losses, from losses.def, and the checks of options that all losses share.
#include <cmath>

#include "base/error.h"
#include "loss/loss.h"

namespace akin::loss {

#define AKIN_LOSS(name, summary) \
  std::unique_ptr<Loss> make_##name##_loss(const LossOptions& options);
#include "loss/losses.def"
#undef AKIN_LOSS

namespace {

struct Row {
  LossInfo info;
  std::unique_ptr<Loss> (*make)(const LossOptions& options);
};
constexpr Row kLosses[] = {
#define AKIN_LOSS(name, summary) {{#name, summary}, make_##name##_loss},
#include "loss/losses.def"
#undef AKIN_LOSS
};

void check_options(const LossOptions& options) {
  const auto positive = [](double value, std::string_view flag) {
    if (!std::isfinite(value) || value <= 0) {
      throw_error(ErrorKind::usage, flag, "{} is not above 0", value);
    }
  };
  positive(options.temperature, "--temperature");
  positive(options.hard_negative_weight, "--hard-negative-weight");
  if (!std::isfinite(options.margin) || options.margin < 0) {
    throw_error(ErrorKind::usage, "--margin", "{} is below 0", options.margin);
  }
}

}  // namespace

std::vector<LossInfo> loss_infos() {
  std::vector<LossInfo> out;
  for (const auto& row : kLosses) out.push_back(row.info);
  return out;
}

std::unique_ptr<Loss> make_loss(std::string_view name, const LossOptions& options) {
  std::vector<std::string_view> names;
  for (const auto& row : kLosses) {
    if (row.info.name == name) {
      check_options(options);
      return row.make(options);
    }
    names.push_back(row.info.name);
  }
  throw_error(ErrorKind::usage, "loss", "{} is not a loss; the losses are {}", quote(name),
              fmt::join(names, ", "));
}

}  // namespace akin::loss
