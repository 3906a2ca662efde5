#include "model/unused.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <string_view>

namespace akin::model {
namespace {

// Parts of a name that stand for tensors nobody misses.
bool is_expected(std::string_view name) {
  static constexpr std::string_view kParts[] = {
      "position_ids", "token_type_ids",  "inv_freq",        "pooler",           "cls",
      "lm_head",      "vocab_transform", "vocab_projector", "vocab_layer_norm", "head",
      "decoder",      "embed_tokens"};
  while (!name.empty()) {
    const size_t dot = std::min(name.find('.'), name.size());
    if (std::find(std::begin(kParts), std::end(kParts), name.substr(0, dot)) != std::end(kParts))
      return true;
    name.remove_prefix(std::min(dot + 1, name.size()));
  }
  return false;
}

struct LayerPrefix {
  std::string prefix;  // "bert.encoder.layer."; empty: not known
  size_t count = 0;
};

// From a canonical name, layer.<i>.*, and what the checkpoint calls it.
LayerPrefix layer_prefix(const Weights& weights) {
  LayerPrefix out;
  for (const std::string& name : weights.names()) {
    if (!name.starts_with("layer.")) continue;
    const std::string index = name.substr(6, name.find('.', 6) - 6);
    const std::string source(weights.source(name));
    const size_t at = source.find("." + index + ".");
    if (at == std::string::npos) continue;
    out.prefix = source.substr(0, at + 1);
    out.count = std::max<size_t>(out.count, std::stoul(index) + 1);
  }
  return out;
}

}  // namespace

UnusedTensors find_unused(const TensorTable& tensors, const Weights& weights) {
  std::set<std::string_view> used;
  const auto names = weights.names();
  for (const std::string& name : names) used.insert(weights.source(name));
  const LayerPrefix layers = layer_prefix(weights);
  std::set<std::string_view> whole;
  UnusedTensors out;
  for (const auto& [name, tensor] : tensors) {
    if (used.contains(name) || is_expected(name)) continue;
    out.names.push_back(name);
    if (layers.prefix.empty() || !name.starts_with(layers.prefix)) continue;
    const std::string_view rest = std::string_view(name).substr(layers.prefix.size());
    const std::string_view index = rest.substr(0, rest.find('.'));
    const bool number = !index.empty() && index.size() < 6 &&
                        std::all_of(index.begin(), index.end(),
                                    [](char c) { return std::isdigit(static_cast<uint8_t>(c)); });
    if (number && std::stoul(std::string(index)) >= layers.count) whole.insert(index);
  }
  out.layers = whole.size();
  return out;
}

}  // namespace akin::model
