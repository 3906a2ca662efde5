// Joins the parts: parameters, a stack for the device, pooling, heads, saving.
#include "nn/text_model.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "base/threads.h"
#include "core/counters.h"
#include "nn/adapters.h"
#include "nn/kernel_stack.h"
#include "nn/model_parts.h"
#include "nn/named_tensors.h"
#include "nn/pooling.h"
#include "nn/save.h"
#include "nn/static_stack.h"
#include "nn/torch_stack.h"

namespace akin::nn {
namespace {

at::Device parse_device(const std::string& name) {
  try {
    const at::Device device(name);
    if (device.is_cpu()) return device;
    if (device.is_cuda() && at::hasCUDA() &&
        device.index() < static_cast<int>(at::detail::getCUDAHooks().getNumGPUs())) {
      return device;
    }
  } catch (const c10::Error&) {
    throw_error(ErrorKind::usage, "device", "{} is no device; expected cpu, cuda or cuda:<number>",
                quote(name));
  }
  throw_error(ErrorKind::device, "device",
              "{} is not there; this libtorch sees {} CUDA devices, use cpu or one of them", name,
              at::hasCUDA() ? at::detail::getCUDAHooks().getNumGPUs() : 0);
}

bool is_adapter(std::string_view name) { return name.starts_with("adapter."); }

// Weights that forward reads but nobody trains, besides parameters.
bool is_buffer(std::string_view name) {
  return is_adapter(name) || name == "static.mapping" || name == "static.weights";
}

bool is_token_table(std::string_view name) {
  return name == "embed.token" || name == "static.embeddings";
}

at::Tensor load_tensor(const Tensor& stored, const at::Device& device) {
  at::Tensor out = at::empty(stored.shape, at::kFloat);
  tensor_to_f32(stored, 0, {out.data_ptr<float>(), static_cast<size_t>(out.numel())});
  return out.to(device);
}

void refuse_quantized(const model::Model& model) {
  for (const std::string& name : model.weights->names()) {
    if (!name.ends_with(".weight.scale")) continue;
    throw_error(ErrorKind::unsupported, model.folder.string(),
                "the weights are int8, which cannot be trained; use the folder that `akin "
                "quantize` read");
  }
}

std::vector<Parameter> load_parameters(const model::Model& model, const at::Device& device,
                                       const TextModelOptions& options) {
  const std::vector<std::string>& frozen = options.frozen;
  std::vector<Parameter> out;
  std::vector<bool> used(frozen.size(), false);
  for (const std::string& name : model.weights->names()) {
    if (is_buffer(name)) continue;
    Parameter parameter;
    parameter.name = name;
    parameter.trained = options.adapters.names.empty();
    for (size_t i = 0; i < frozen.size(); ++i) {
      if (!name.starts_with(frozen[i])) continue;
      parameter.trained = false;
      used[i] = true;
    }
    parameter.value = load_tensor(model.weights->at(name), device);
    parameter.value.set_requires_grad(parameter.trained);
    parameter.decay = parameter.value.dim() > 1;
    parameter.sparse_rows = is_token_table(name) && device.is_cpu();
    out.push_back(std::move(parameter));
  }
  for (size_t i = 0; i < frozen.size(); ++i) {
    if (used[i]) continue;
    throw_error(ErrorKind::usage, "frozen", "no weight's name begins with {}; names are such as {}",
                quote(frozen[i]), out.empty() ? "none" : out.front().name);
  }
  return out;
}

// The pairs of the tasks that are trained, those of `fresh` tasks included.
std::vector<Parameter> adapter_parameters(const model::Model& model, const at::Device& device,
                                          const NamedTensors& fresh,
                                          const AdapterOptions& options) {
  NamedTensors values = fresh;
  for (const std::string& name : model.weights->names()) {
    if (is_adapter(name)) values[name] = load_tensor(model.weights->at(name), at::kCPU);
  }
  std::vector<Parameter> out;
  for (const auto& [name, value] : values) {
    for (size_t task = 0; task < model.arch.adapters.size(); ++task) {
      const std::string& own = model.arch.adapters[task];
      if (!is_of_adapter(name, task) ||
          std::find(options.names.begin(), options.names.end(), own) == options.names.end())
        continue;
      Parameter& parameter = out.emplace_back();
      parameter.name = name;
      parameter.value = value.to(device);
      parameter.value.set_requires_grad(true);
    }
  }
  return out;
}

class LoadedTextModel final : public TextModel {
 public:
  LoadedTextModel(ModelParts parts, const TextModelOptions& options, const NamedTensors& fresh)
      : parts_(std::move(parts)),
        adapters_(options.adapters),
        device_(parse_device(options.device)),
        pool_(options.threads > 0 ? options.threads : usable_cpus()) {
    const model::Model& model = parts_.model;
    refuse_quantized(model);
    parameters_ = load_parameters(model, device_, options);
    for (Parameter& parameter : adapter_parameters(model, device_, fresh, adapters_))
      parameters_.push_back(std::move(parameter));
    for (const Parameter& parameter : parameters_) tensors_[parameter.name] = parameter.value;
    for (const std::string& name : model.weights->names()) {
      if (is_adapter(name) && !tensors_.contains(name))
        tensors_[name] = load_tensor(model.weights->at(name), device_);
    }
    if (model.arch.kind == ModelKind::static_embedding) {
      static_.emplace(model, pool_);
    } else {
      StackOptions numbers = options.numbers;
      numbers.adapter_dropout = adapters_.dropout;
      torch_.emplace(model.arch, numbers, /*sparse_tokens=*/device_.is_cpu());
      if (options.stack != StackKind::torch) make_kernels(options, numbers);
    }
  }

  const model::Model& description() const override { return parts_.model; }
  std::vector<Parameter>& parameters() override { return parameters_; }
  const at::Device& device() const override { return device_; }
  void parameters_changed() override {
    if (kernels_) kernels_->weights_changed();
  }

  at::Tensor embed(const TokenBatch& batch, const EmbedOptions& options) override {
    const at::AutoGradMode graph(options.train && at::GradMode::is_enabled());
    const at::Tensor pooled =
        static_ ? static_vectors(batch)
                : pool_tokens(parts_.model.pooling, states(batch, options), batch, pool_);
    return apply_heads(parts_.model, tensors_, pooled);
  }

  at::Tensor token_states(const TokenBatch& batch, const EmbedOptions& options) override {
    if (static_) {
      throw_error(ErrorKind::unsupported, parts_.model.name,
                  "a static model has no token states, only rows and their mean");
    }
    const at::AutoGradMode graph(options.train && at::GradMode::is_enabled());
    return states(batch, options);
  }

  void save(const std::filesystem::path& folder, const SaveOptions& options,
            const std::vector<at::Tensor>& values) const override {
    AKIN_CHECK(values.empty() || values.size() == parameters_.size());
    NamedTensors all, written, adapters;
    for (const auto& [name, tensor] : tensors_)
      all[name] = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const Parameter& parameter = parameters_[i];
      if (!values.empty()) {
        AKIN_CHECK(values[i].sizes() == parameter.value.sizes());
        all[parameter.name] = values[i].detach().to(at::kCPU, at::kFloat).contiguous();
      }
      // What nobody trained is copied as the folder has it, in its own type.
      const bool as_it_was = !parameter.trained && !parts_.tensors.tensors().empty();
      if (is_adapter(parameter.name)) continue;
      if (!as_it_was || parameter.name.starts_with("dense."))
        written[parameter.name] = all[parameter.name];
    }
    if (!options.merged_task.empty()) {
      for (auto& [name, value] : merged_weights(parts_, all, task_number(options.merged_task)))
        written[name] = value;
    } else {
      for (const auto& [name, value] : all) {
        if (is_adapter(name)) adapters[name] = value;
      }
    }
    save_folder(folder, parts_, written, options, adapters, adapters_);
  }

 private:
  size_t task_number(const std::string& task) const {
    const auto& tasks = parts_.model.arch.adapters;
    const auto it = std::find(tasks.begin(), tasks.end(), task);
    if (it == tasks.end()) {
      throw_error(ErrorKind::not_found, "merged_task", "the model has no adapter {}; it has {}",
                  quote(task), fmt::join(tasks, ", "));
    }
    return static_cast<size_t>(it - tasks.begin());
  }

  void make_kernels(const TextModelOptions& options, const StackOptions& numbers) {
    const bool asked = options.stack == StackKind::kernels;
    if (!device_.is_cpu()) {
      if (asked) throw_error(ErrorKind::usage, "stack", "the kernels' stack runs on the CPU only");
      return;
    }
    try {
      kernels_.emplace(parts_.model.arch, numbers, pool_);
    } catch (const Error& error) {
      if (asked || error.kind() != ErrorKind::unsupported) throw;
      count_event("torch_stack_on_cpu", 1,
                  fmt::format("torch operations run in place of the kernels: {}", error.what()));
    }
  }

  void check_ids(const TokenBatch& batch) const {
    const int64_t rows = tensor_at(tensors_, "embed.token").size(0);
    for (const int32_t id : batch.ids) {
      if (id >= 0 && id < rows) continue;
      throw_error(ErrorKind::bad_format, "token ids",
                  "id {}, the embedding table has {} rows; the tokenizer is another model's", id,
                  rows);
    }
    const auto positions = static_cast<size_t>(parts_.model.arch.max_positions);
    if (positions == 0 || !tensors_.contains("embed.position")) return;
    for (size_t b = 0; b < batch.size(); ++b) {
      if (batch.text(b).size() <= positions) continue;
      throw_error(ErrorKind::too_long, fmt::format("text {}", b),
                  "{} tokens, the model has positions for {}; cut it before", batch.text(b).size(),
                  positions);
    }
  }

  at::Tensor states(const TokenBatch& batch, const EmbedOptions& options) {
    check_ids(batch);
    const DropoutSeed seed{options.train ? options.dropout_seed : 0, options.first_text};
    return kernels_ ? kernels_->forward(tensors_, batch, seed)
                    : torch_->forward(tensors_, batch, seed);
  }

  at::Tensor static_vectors(const TokenBatch& batch) {
    return static_->forward(tensor_at(tensors_, "static.embeddings"), batch);
  }

  const ModelParts parts_;
  const AdapterOptions adapters_;
  const at::Device device_;
  ThreadPool pool_;
  std::vector<Parameter> parameters_;
  NamedTensors tensors_;             // the parameters' own, and adapters
  std::optional<TorchStack> torch_;  // of transformers: for GPUs, and when asked for
  std::optional<KernelStack> kernels_;
  std::optional<StaticStack> static_;
};

void limit_tokens(model::Model& model, size_t max_tokens) {
  if (max_tokens == 0) return;
  const auto positions = static_cast<size_t>(model.arch.max_positions);
  if (positions != 0 && max_tokens > positions) {
    throw_error(ErrorKind::usage, "model.max_tokens",
                "{}, but the model has positions for {}; lower it, or give a new model more "
                "positions (model.max_positions), an old one rotary ones (model.position)",
                max_tokens, positions);
  }
  const size_t added =
      model.arch.kind == ModelKind::static_embedding
          ? 0
          : model.tokenizer->prefix_ids().size() + model.tokenizer->suffix_ids().size();
  if (max_tokens <= added) {
    throw_error(ErrorKind::usage, "model.max_tokens",
                "{}, but {} of them are special tokens; nothing of a text is left", max_tokens,
                added);
  }
  model.max_tokens = max_tokens;
  model.static_spec.max_tokens = max_tokens;
}

std::unique_ptr<TextModel> with_adapters(ModelParts parts, const TextModelOptions& options) {
  limit_tokens(parts.model, options.max_tokens);
  const NamedTensors fresh = add_adapters(parts, options.adapters);
  return std::make_unique<LoadedTextModel>(std::move(parts), options, fresh);
}

}  // namespace

std::unique_ptr<TextModel> TextModel::open(const std::filesystem::path& folder,
                                           const TextModelOptions& options,
                                           const model::LoadOptions& load) {
  return with_adapters(read_model_parts(folder, load), options);
}

std::unique_ptr<TextModel> TextModel::from_scratch(const ScratchSpec& spec,
                                                   const TextModelOptions& options) {
  return with_adapters(make_scratch_parts(spec), options);
}

}  // namespace akin::nn
