#include "model/peft.h"

#include <algorithm>
#include <cmath>
#include <system_error>

#include "base/error.h"
#include "model/weights.h"
#include "store/peft_folder.h"

namespace akin::model {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxAdapters = 64;

bool is_table(std::string_view name) { return name == "embed.token" || name == "embed.type"; }

bool is_linear(std::string_view name) {
  return name.starts_with("layer.") && name.ends_with(".weight") &&
         name.find("norm") == std::string_view::npos;
}

std::string less_weight(std::string_view name) {
  for (const std::string_view ending : {".parametrizations.weight.original", ".weight"}) {
    if (name.ends_with(ending)) return std::string(name.substr(0, name.size() - ending.size()));
  }
  return std::string(name);
}

// The module that PEFT calls `path`: tools name modules with or without the prefix of their class.
const PeftModule* find_module(const std::map<std::string, PeftModule>& modules,
                              std::string_view path) {
  const auto ends = [](std::string_view whole, std::string_view end) {
    return whole.size() > end.size() && whole.ends_with(end) &&
           whole[whole.size() - end.size() - 1] == '.';
  };
  for (const auto& [name, module] : modules) {
    if (name == path || ends(name, path) || ends(path, name)) return &module;
  }
  return nullptr;
}

// Rows [begin, begin + rows) of b and the columns of it that are not all zero, with the rows of a
// that belong to them: adapters of a fused linear's parts are written as one pair of blocks.
struct PartOfPair {
  Mat<float> a, b;
};
PartOfPair part_of(const std::vector<float>& a, const std::vector<float>& b, int64_t r, int64_t in,
                   int64_t begin, int64_t rows, float factor, bool whole) {
  std::vector<int64_t> used;
  for (int64_t k = 0; k < r; ++k) {
    bool any = whole;
    for (int64_t row = begin; row < begin + rows && !any; ++row)
      any = b[static_cast<size_t>(row * r + k)] != 0;
    if (any) used.push_back(k);
  }
  PartOfPair out{Mat<float>(used.size(), static_cast<size_t>(in)),
                 Mat<float>(static_cast<size_t>(rows), used.size())};
  for (size_t i = 0; i < used.size(); ++i) {
    std::copy_n(a.begin() + used[i] * in, in, out.a.row(i));
    for (int64_t row = 0; row < rows; ++row) {
      out.b(static_cast<size_t>(row), i) =
          b[static_cast<size_t>((begin + row) * r + used[i])] * factor;
    }
  }
  return out;
}

Mat<float> transposed(const std::vector<float>& values, int64_t rows, int64_t cols, float factor) {
  Mat<float> out(static_cast<size_t>(cols), static_cast<size_t>(rows));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c)
      out(static_cast<size_t>(c), static_cast<size_t>(r)) =
          values[static_cast<size_t>(r * cols + c)] * factor;
  }
  return out;
}

class Reader {
 public:
  Reader(Model& model, MappedWeights& weights)
      : model_(model), weights_(weights), modules_(peft_modules(weights)) {}

  void read(const fs::path& folder, const std::string& task) {
    const store::PeftFolder peft = store::read_peft_folder(folder);
    const size_t number = model_.arch.adapters.size();
    const std::string where = (folder / "adapter_model.safetensors").string();
    for (const auto& [path, pair] : peft.pairs) {
      const PeftModule* module = find_module(modules_, path);
      if (module == nullptr) {
        throw_error(ErrorKind::unsupported, where,
                    "module {} is no linear layer or token table of this {} model; akin runs "
                    "adapters on attention, feed-forward and embedding weights of the folder's "
                    "own model",
                    quote(path), model_.arch.family);
      }
      take(fmt::format("adapter.{}.", number), *module, pair, where);
    }
    for (const std::string& key : peft.ignored_keys)
      model_.ignored_keys.push_back(fmt::format("adapters/{}: {}", task, key));
    model_.arch.adapters.push_back(task);
  }

 private:
  // ArchSpec has one scaling for all: what differs from it goes into B.
  float factor_of(float scaling) {
    if (model_.arch.lora_scaling == 0 && scaling != 0) model_.arch.lora_scaling = scaling;
    return model_.arch.lora_scaling == 0 ? 0.0F : scaling / model_.arch.lora_scaling;
  }
  void put(const std::string& name, Mat<float> values) {
    weights_.add_owned(name, std::move(values));
  }

  void take(const std::string& adapter, const PeftModule& module, const store::LoraPair& pair,
            const std::string& where) {
    const int64_t r = pair.a.shape[0], in = pair.a.shape[1], out = pair.b.shape[0];
    if (pair.embedding != module.embedding || in != module.in || out != module.out) {
      throw_error(ErrorKind::bad_format, where,
                  "the pair of {} has A {} and B {}, the model's weight is [{}, {}]; the adapter "
                  "is of another base model",
                  module.parts.front().name, pair.a.shape_string(), pair.b.shape_string(),
                  module.out, module.in);
    }
    model_.arch.lora_rank = std::max(model_.arch.lora_rank, r);
    const float factor = factor_of(pair.scaling);
    const std::vector<float> a = tensor_to_f32(pair.a), b = tensor_to_f32(pair.b);
    if (module.embedding) {
      const std::string name = adapter + module.parts.front().name;
      put(name + ".lora_a", transposed(a, r, in, 1));
      put(name + ".lora_b", transposed(b, out, r, factor));
      return;
    }
    int64_t begin = 0;
    for (const PeftModule::Part& part : module.parts) {
      const bool whole = module.parts.size() == 1;  // kept as it is, zeros and all
      PartOfPair own = part_of(a, b, r, in, begin, part.rows, factor, whole);
      begin += part.rows;
      if (own.a.rows() == 0) continue;
      put(adapter + part.name + ".lora_a", std::move(own.a));
      put(adapter + part.name + ".lora_b", std::move(own.b));
    }
  }

  Model& model_;
  MappedWeights& weights_;
  const std::map<std::string, PeftModule> modules_;
};

std::vector<fs::path> task_folders(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / "adapters", ignored)) {
    if (store::is_peft_folder(entry.path())) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

std::map<std::string, PeftModule> peft_modules(const Weights& weights) {
  struct Found {
    const std::byte* at;
    std::string name;
  };
  std::map<std::string, std::vector<Found>> by_source;
  for (const std::string& name : weights.names()) {
    if (!is_table(name) && !is_linear(name)) continue;
    by_source[less_weight(weights.source(name))].push_back({weights.at(name).bytes.data(), name});
  }
  std::map<std::string, PeftModule> out;
  for (auto& [source, found] : by_source) {
    std::sort(found.begin(), found.end(),
              [](const Found& a, const Found& b) { return std::less<>()(a.at, b.at); });
    PeftModule& module = out[source];
    for (const Found& part : found) {
      const Tensor& tensor = weights.at(part.name);
      module.embedding = is_table(part.name);
      module.in = module.embedding ? tensor.shape[0] : tensor.shape[1];
      module.out = module.embedding ? tensor.shape[1] : module.out + tensor.shape[0];
      module.parts.push_back({module.embedding ? part.name : less_weight(part.name),
                              module.embedding ? tensor.shape[1] : tensor.shape[0]});
    }
  }
  return out;
}

void read_peft_adapters(Model& model, MappedWeights& weights) {
  const std::vector<fs::path> folders = task_folders(model.folder);
  if (folders.empty()) return;
  if (model.arch.kind != ModelKind::transformer) {
    throw_error(ErrorKind::unsupported, (model.folder / "adapters").string(),
                "adapters ride on transformers, this is a {} model", model.arch.family);
  }
  Reader reader(model, weights);
  for (const fs::path& folder : folders) {
    const std::string task = folder.filename().string();
    const auto& tasks = model.arch.adapters;
    if (std::find(tasks.begin(), tasks.end(), task) != tasks.end() ||
        tasks.size() == kMaxAdapters) {
      throw_error(ErrorKind::bad_format, folder.string(),
                  "the checkpoint has a task {} already, or {} tasks in all; rename the folder",
                  quote(task), kMaxAdapters);
    }
    reader.read(folder, task);
  }
}

}  // namespace akin::model
