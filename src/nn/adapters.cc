#include "nn/adapters.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/rng.h"
#include "model/peft.h"
#include "store/peft_folder.h"

namespace akin::nn {
namespace {

std::string adapter_prefix(size_t task) { return fmt::format("adapter.{}.", task); }

// "attention" and "ffn" stand for their linears, "embedding" for the token table.
bool is_target(std::string_view name, const std::vector<std::string>& targets) {
  const std::string_view last = name.substr(name.rfind('.') + 1);
  return std::any_of(targets.begin(), targets.end(), [&](const std::string& target) {
    if (name == "embed.token") return target == "embedding";
    if (target == "attention") return name.find(".attn.") != std::string_view::npos;
    if (target == "ffn") return name.find(".ffn.") != std::string_view::npos;
    return last == target;
  });
}

void check_options(const ArchSpec& arch, const AdapterOptions& options, float scaling) {
  constexpr std::string_view kWords[] = {"attention", "ffn", "embedding", "q",    "k",
                                         "v",         "out", "up",        "down", "gate"};
  for (const std::string& target : options.targets) {
    if (std::find(std::begin(kWords), std::end(kWords), target) != std::end(kWords)) continue;
    throw_error(ErrorKind::usage, "adapters.targets", "{} is none of {}", quote(target),
                fmt::join(kWords, ", "));
  }
  if (arch.kind != ModelKind::transformer) {
    throw_error(ErrorKind::unsupported, "adapters",
                "a {} model has no linear layers to adapt; fine-tune it as it is", arch.family);
  }
  if (options.rank < 1 || options.rank > 4096 || !(options.alpha > 0) ||
      !(options.dropout >= 0 && options.dropout < 1)) {
    throw_error(ErrorKind::usage, "adapters",
                "rank is {}, alpha {} and dropout {}; expected 1 to 4096, more than 0, and from 0 "
                "to below 1",
                options.rank, options.alpha, options.dropout);
  }
  if (arch.lora_scaling == 0 || std::abs(arch.lora_scaling - scaling) < 1e-6F * scaling) return;
  throw_error(ErrorKind::usage, "adapters.alpha",
              "new adapters would scale by {:.4g}, those that the model has scale by {:.4g}; all "
              "of a model's adapters share one scaling, alpha / rank",
              scaling, arch.lora_scaling);
}

void check_name(const std::string& name) {
  const bool plain = !name.empty() && name.size() <= 64 && name.front() != '.' &&
                     std::all_of(name.begin(), name.end(), [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
                     });
  if (plain) return;
  throw_error(ErrorKind::usage, "adapters.names",
              "{}: a task's name is also its folder's: letters, digits, '.', '-' and '_'",
              quote(name));
}

at::Tensor random_matrix(int64_t rows, int64_t cols, double scale, bool normal, Rng rng) {
  at::Tensor out = at::empty({rows, cols}, at::kFloat);
  float* values = out.data_ptr<float>();
  for (int64_t i = 0; i < rows * cols; ++i) {
    const double draw = normal ? rng.normal() : 2 * rng.uniform() - 1;
    values[i] = static_cast<float>(scale * draw);
  }
  return out;
}

// Pairs of one new task. Each has its own random stream, so that more targets change no other.
void add_task(const ModelParts& parts, const AdapterOptions& options, size_t number,
              const std::string& task, NamedTensors& out) {
  for (const auto& [source, module] : model::peft_modules(*parts.model.weights)) {
    for (const auto& part : module.parts) {
      if (!is_target(part.name, options.targets)) continue;
      const std::string name = adapter_prefix(number) + part.name;
      Rng rng(hash64(fmt::format("adapter {} {}", task, part.name), options.seed));
      if (module.embedding) {
        out[name + ".lora_a"] = at::zeros({module.in, options.rank}, at::kFloat);
        out[name + ".lora_b"] = random_matrix(options.rank, module.out, 1, true, rng);
      } else {
        const double bound = 1 / std::sqrt(static_cast<double>(module.in));
        out[name + ".lora_a"] = random_matrix(options.rank, module.in, bound, false, rng);
        out[name + ".lora_b"] = at::zeros({part.rows, options.rank}, at::kFloat);
      }
    }
  }
}

Tensor view_of(const at::Tensor& value) {
  AKIN_CHECK(value.is_cpu() && value.scalar_type() == at::kFloat && value.is_contiguous());
  return {DType::f32, value.sizes().vec(),
          std::as_bytes(std::span(value.data_ptr<float>(), static_cast<size_t>(value.numel())))};
}

// The pair of a module whose parts have pairs of their own: A's one above the other, B's along a
// diagonal. Undefined tensors where no part has one.
std::pair<at::Tensor, at::Tensor> module_pair(const model::PeftModule& module,
                                              const std::string& prefix,
                                              const NamedTensors& weights) {
  std::vector<at::Tensor> a, b;
  int64_t rank = 0;
  for (const auto& part : module.parts) {
    const at::Tensor own = tensor_or_none(weights, prefix + part.name + ".lora_a");
    if (own.defined()) rank += module.embedding ? own.size(1) : own.size(0);
  }
  if (rank == 0) return {};
  int64_t at_rank = 0;
  for (const auto& part : module.parts) {
    const std::string name = prefix + part.name;
    const at::Tensor own_a = tensor_or_none(weights, name + ".lora_a");
    if (module.embedding)
      return {own_a.t().contiguous(), tensor_at(weights, name + ".lora_b").t().contiguous()};
    at::Tensor rows = at::zeros({part.rows, rank}, at::kFloat);
    if (own_a.defined()) {
      rows.narrow(1, at_rank, own_a.size(0)).copy_(tensor_at(weights, name + ".lora_b"));
      at_rank += own_a.size(0);
      a.push_back(own_a);
    }
    b.push_back(rows);
  }
  return {at::cat(a), at::cat(b)};
}

// As PEFT sees it from the model class, which has no prefix of its own.
std::string module_path(const std::string& source) {
  constexpr std::array<std::string_view, 6> kPrefixes = {"bert.",  "roberta.", "distilbert.",
                                                         "mpnet.", "model.",   "nomic_bert."};
  for (const std::string_view prefix : kPrefixes) {
    if (source.starts_with(prefix)) return source.substr(prefix.size());
  }
  return source;
}

// What is left of a path behind the layer's number: the ending that all layers share.
std::string layer_ending(const std::string& path) {
  size_t begin = 0;
  for (size_t at = 0; at < path.size();) {
    const size_t dot = std::min(path.find('.', at), path.size());
    const bool number = dot > at && std::all_of(path.begin() + static_cast<std::ptrdiff_t>(at),
                                                path.begin() + static_cast<std::ptrdiff_t>(dot),
                                                [](char c) { return c >= '0' && c <= '9'; });
    if (number && dot < path.size()) begin = dot + 1;
    at = dot + 1;
  }
  return path.substr(begin);
}

}  // namespace

NamedTensors add_adapters(ModelParts& parts, const AdapterOptions& options) {
  ArchSpec& arch = parts.model.arch;
  const auto rank = static_cast<double>(options.rank);
  const auto scaling =
      static_cast<float>(options.alpha / (options.rslora ? std::sqrt(rank) : rank));
  NamedTensors out;
  std::set<std::string> seen;
  for (const std::string& task : options.names) {
    check_name(task);
    if (!seen.insert(task).second) {
      throw_error(ErrorKind::usage, "adapters.names", "{} is named twice", quote(task));
    }
    const auto it = std::find(arch.adapters.begin(), arch.adapters.end(), task);
    if (it != arch.adapters.end()) {
      if (!is_in_checkpoint(parts.model, static_cast<size_t>(it - arch.adapters.begin()))) continue;
      throw_error(ErrorKind::unsupported, "adapters.names",
                  "{} lies in the checkpoint's own tensors, which tie its layers together; give "
                  "the new adapter another name",
                  quote(task));
    }
    check_options(arch, options, scaling);
    arch.lora_scaling = scaling;
    arch.lora_rank = std::max(arch.lora_rank, options.rank);
    add_task(parts, options, arch.adapters.size(), task, out);
    arch.adapters.push_back(task);
  }
  return out;
}

bool is_of_adapter(std::string_view name, size_t task) {
  return name.starts_with(adapter_prefix(task));
}

bool is_in_checkpoint(const model::Model& model, size_t task) {
  for (const std::string& name : model.weights->names()) {
    if (is_of_adapter(name, task)) return model.weights->source(name) != name;
  }
  return false;
}

NamedTensors merged_weights(const ModelParts& parts, const NamedTensors& weights, size_t task) {
  for (size_t i = 0; i < parts.model.arch.adapters.size(); ++i) {
    if (!is_in_checkpoint(parts.model, i)) continue;
    throw_error(ErrorKind::unsupported, parts.model.name,
                "its checkpoint holds adapters itself, beside the base weights; akin does not "
                "merge those");
  }
  NamedTensors out;
  for (const auto& [source, module] : model::peft_modules(*parts.model.weights)) {
    for (const auto& part : module.parts) {
      const std::string name = module.embedding ? part.name : part.name + ".weight";
      const std::string adapter = adapter_prefix(task) + part.name;
      const at::Tensor a = tensor_or_none(weights, adapter + ".lora_a");
      const at::Tensor base = tensor_at(weights, name);
      if (!a.defined()) {
        if (module.parts.size() > 1) out[name] = base;  // a fused tensor is written whole
        continue;
      }
      const at::Tensor& b = tensor_at(weights, adapter + ".lora_b");
      const at::Tensor product = module.embedding ? at::matmul(a, b) : at::matmul(b, a);
      out[name] = base.add(product, parts.model.arch.lora_scaling);
    }
  }
  return out;
}

void write_adapters(const std::filesystem::path& folder, const ModelParts& parts,
                    const NamedTensors& weights, const AdapterOptions& options) {
  const ArchSpec& arch = parts.model.arch;
  const auto modules = model::peft_modules(*parts.model.weights);
  for (size_t task = 0; task < arch.adapters.size(); ++task) {
    if (is_in_checkpoint(parts.model, task)) continue;
    store::PeftWriting out;
    out.base_model = parts.model.name;
    out.scaling = static_cast<double>(arch.lora_scaling);
    out.dropout = options.dropout;
    out.use_rslora = options.rslora;
    std::vector<at::Tensor> held;
    std::set<std::string> endings;
    for (const auto& [source, module] : modules) {
      const auto [a, b] = module_pair(module, adapter_prefix(task), weights);
      if (!a.defined()) continue;
      const std::string path = module_path(source);
      held.push_back(a);
      held.push_back(b);
      out.pairs[path] = {view_of(held[held.size() - 2]), view_of(held.back()), 0, module.embedding};
      endings.insert(layer_ending(path));
    }
    if (out.pairs.empty()) continue;
    out.r = out.pairs.begin()->second.a.shape[0];
    for (const auto& [path, pair] : out.pairs) out.r = std::min(out.r, pair.a.shape[0]);
    out.target_modules.assign(endings.begin(), endings.end());
    store::write_peft_folder(folder / "adapters" / arch.adapters[task], out);
  }
}

}  // namespace akin::nn
