// The table of losses, from losses.def, and the checks of options that all losses share.
#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>

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

// What other toolkits call them, in small letters. For messages only: their options differ from
// ours, so nobody gets one of these for the other.
constexpr std::pair<std::string_view, std::string_view> kForeignNames[] = {
    {"mnrl", "infonce"},
    {"mnr", "infonce"},
    {"multiplenegativesrankingloss", "infonce"},
    {"multiplenegativessymmetricrankingloss", "infonce"},
    {"cachedmultiplenegativesrankingloss", "infonce"},
    {"cachedmultiplenegativessymmetricrankingloss", "infonce"},
    {"gistembedloss", "infonce"},
    {"ntxent", "infonce"},
    {"contrastive", "infonce"},
    {"in_batch_softmax", "infonce"},
    {"tripletloss", "triplet"},
    {"cosentloss", "cosent"},
    {"angle", "cosent"},
    {"angleloss", "cosent"},
    {"cosinesimilarityloss", "cosine_regression"},
    {"simcse", "simcse_unsup"},
    {"batchalltripletloss", "label_softmax"},
    {"batchhardtripletloss", "label_softmax"},
    {"supcon", "label_softmax"},
    {"distillkldivloss", "kl_distill"},
    {"kldiv", "kl_distill"},
    {"mse", "vector_mse"},
    {"mseloss", "vector_mse"},
    {"siglip", "sigmoid_pair"},
};

// "; did you mean infonce?", by a name of another toolkit or by spelling; empty where nobody knows.
std::string hint_for(std::string_view name, std::span<const std::string_view> names) {
  std::string low(name);
  for (char& c : low) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '-') c = '_';
  }
  const auto plain = [&](std::string_view other) { return other == low; };
  if (const auto own = std::find_if(names.begin(), names.end(), plain); own != names.end()) {
    return fmt::format("; did you mean {}?", *own);
  }
  for (const auto& [foreign, own] : kForeignNames) {
    if (foreign == low) return fmt::format("; did you mean {}?", own);
  }
  return did_you_mean(low, names);
}

const Row& find_loss(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& row : kLosses) {
    if (row.info.name == name) return row;
    names.push_back(row.info.name);
  }
  std::string hint = hint_for(name, names);
  throw_error(ErrorKind::usage, "loss", "{} is not a loss{}{} the losses are {}", quote(name), hint,
              hint.empty() ? ";" : "", fmt::join(names, ", "));
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
