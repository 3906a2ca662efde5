// The table of losses, from losses.def, and the checks of options that all losses share.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "loss/loss.h"

namespace akin::loss {

#define AKIN_LOSS(name, summary, taken) \
  std::unique_ptr<Loss> make_##name##_loss(const LossOptions& options);
#include "loss/losses.def"
#undef AKIN_LOSS

namespace {

struct Row {
  LossInfo info;
  std::unique_ptr<Loss> (*make)(const LossOptions& options);
};
constexpr Row kLosses[] = {
#define AKIN_LOSS(name, summary, taken) {{#name, summary, taken}, make_##name##_loss},
#include "loss/losses.def"
#undef AKIN_LOSS
};

void check_options(const LossOptions& options) {
  const auto positive = [](double value, std::string_view key) {
    if (!std::isfinite(value) || value <= 0) {
      throw_error(ErrorKind::usage, key, "{} is not above 0", value);
    }
  };
  positive(options.temperature, "loss.temperature");
  positive(options.hard_negative_weight, "loss.hard_negative_weight");
  if (!std::isfinite(options.margin) || options.margin < 0) {
    throw_error(ErrorKind::usage, "loss.margin", "{} is below 0", options.margin);
  }
}

const Row& find_loss(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& row : kLosses) {
    if (row.info.name == name) return row;
    names.push_back(row.info.name);
  }
  throw_error(ErrorKind::usage, "loss", "{} is not a loss; the losses are {}", quote(name),
              fmt::join(names, ", "));
}

}  // namespace

std::vector<LossInfo> loss_infos() {
  std::vector<LossInfo> out;
  for (const auto& row : kLosses) out.push_back(row.info);
  return out;
}

const LossInfo& loss_info(std::string_view name) { return find_loss(name).info; }

bool takes_option(const LossInfo& info, std::string_view option) {
  std::string key(option);
  std::replace(key.begin(), key.end(), '-', '_');
  std::string_view rest = info.options;
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(", "), rest.size());
    if (rest.substr(0, comma) == key) return true;
    rest.remove_prefix(std::min(comma + 2, rest.size()));
  }
  return false;
}

std::unique_ptr<Loss> make_loss(std::string_view name, const LossOptions& options) {
  const Row& row = find_loss(name);
  check_options(options);
  return row.make(options);
}

}  // namespace akin::loss
