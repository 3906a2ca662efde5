#include "train/ewc.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "train/checkpoint.h"

namespace akin::train {
namespace {

constexpr size_t kChunk = 1 << 15;
constexpr size_t kQuantileSample = size_t{1} << 22;  // values that a quantile is taken from
constexpr std::string_view kFisher = "fisher.", kAnchor = "anchor.";

// gradient += lambda F (w - a); returns sum F (w - a)^2.
double hold(const float* w, const float* a, const float* f, size_t n, float lambda,
            float* gradient) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    const float moved = w[i] - a[i], pull = f[i] * moved;
    gradient[i] += lambda * pull;
    sum += double{pull} * moved;
  }
  return sum;
}

double weighted_squares(const Importance& importance) {
  double sum = 0;
  for (const auto& [name, fisher] : importance.fisher) {
    const at::Tensor anchor = importance.anchor.at(name).to(at::kDouble);
    sum += (fisher.to(at::kDouble) * anchor * anchor).sum().item<double>();
  }
  return sum;
}

// Every so-manieth value, in order: no random choice.
float quantile_of(const Importance& importance, double quantile) {
  size_t all = 0;
  for (const auto& [name, fisher] : importance.fisher) all += static_cast<size_t>(fisher.numel());
  const size_t step = std::max<size_t>(1, all / kQuantileSample);
  std::vector<float> sample;
  size_t next = 0, begin = 0;
  for (const auto& [name, fisher] : importance.fisher) {
    const auto n = static_cast<size_t>(fisher.numel());
    for (; next < begin + n; next += step) {
      const float value = fisher.data_ptr<float>()[next - begin];
      if (value > 0) sample.push_back(value);
    }
    begin += n;
  }
  if (sample.empty()) return 0;
  const auto place = static_cast<size_t>(quantile * static_cast<double>(sample.size() - 1));
  std::nth_element(sample.begin(), sample.begin() + static_cast<std::ptrdiff_t>(place),
                   sample.end());
  return sample[place];
}

bool rows_differ(const float* a, const float* b, size_t n) {
  return std::memcmp(a, b, n * sizeof(float)) != 0;
}

}  // namespace

std::string lasting_name(const std::string& parameter, const ArchSpec& arch) {
  constexpr std::string_view kAdapter = "adapter.";
  if (!parameter.starts_with(kAdapter)) return parameter;
  size_t number = 0;
  const char* const end = parameter.data() + parameter.size();
  const char* const rest = std::from_chars(parameter.data() + kAdapter.size(), end, number).ptr;
  return std::string(kAdapter) + arch.adapters.at(number) + std::string(rest, end);
}

void write_importance(const std::filesystem::path& path, const Importance& importance) {
  Checkpoint file;
  for (const auto& [name, value] : importance.fisher)
    file.tensors.emplace(std::string(kFisher) + name, value);
  for (const auto& [name, value] : importance.anchor)
    file.tensors.emplace(std::string(kAnchor) + name, value);
  file.state = importance.about;
  write_checkpoint(path, file);
}

Importance read_importance(const std::filesystem::path& path) {
  const Checkpoint file = read_checkpoint(path);
  Importance out;
  out.about = file.state;
  for (const auto& [name, value] : file.tensors) {
    if (name.starts_with(kFisher)) out.fisher.emplace(name.substr(kFisher.size()), value);
    if (name.starts_with(kAnchor)) out.anchor.emplace(name.substr(kAnchor.size()), value);
  }
  bool whole = !out.fisher.empty() && out.fisher.size() == out.anchor.size();
  for (const auto& [name, value] : out.fisher) {
    const auto it = out.anchor.find(name);
    whole = whole && it != out.anchor.end() && it->second.sizes() == value.sizes();
  }
  if (!whole) {
    throw_error(ErrorKind::bad_format, path.string(),
                "holds no Fisher information with an anchor for each weight; give the "
                "fisher.safetensors of a run with [ewc] estimate");
  }
  return out;
}

void normalize(Importance& importance, double quantile) {
  if (quantile < 1) {
    const double most = quantile_of(importance, quantile);
    for (auto& [name, fisher] : importance.fisher) fisher.clamp_max_(most);
  }
  const double sum = weighted_squares(importance);
  if (!(sum > 0) || !std::isfinite(sum)) {
    throw_error(ErrorKind::usage, "ewc",
                "the Fisher information sums to {} over the weights; the estimate saw no gradient",
                sum);
  }
  for (auto& [name, fisher] : importance.fisher) fisher.mul_(1 / sum);
}

Importance combine(const Importance& old, const Importance& fresh, KeepFisher keep, double decay) {
  Importance out = fresh;
  for (auto& [name, fisher] : out.fisher) {
    const auto it = old.fisher.find(name);
    if (it == old.fisher.end()) continue;
    if (it->second.sizes() != fisher.sizes()) {
      throw_error(ErrorKind::bad_format, "ewc", "{} had another shape in an earlier stage", name);
    }
    at::Tensor& anchor = out.anchor.at(name);
    if (keep == KeepFisher::online) {
      fisher = it->second * decay + fisher;
      continue;
    }
    const at::Tensor sum = it->second + fisher;
    const at::Tensor mean = (it->second * old.anchor.at(name) + fisher * anchor) / sum;
    anchor = at::where(sum > 0, mean, anchor).contiguous();
    fisher = sum;
  }
  for (const auto& [name, fisher] : old.fisher) {  // of weights that the last stage did not train
    if (out.fisher.contains(name)) continue;
    out.fisher.emplace(name, keep == KeepFisher::online ? fisher * decay : fisher);
    out.anchor.emplace(name, old.anchor.at(name));
  }
  auto stages = old.about.value("stages", nlohmann::json::array());
  for (const auto& stage : fresh.about.value("stages", nlohmann::json::array()))
    stages.push_back(stage);
  out.about["stages"] = stages;
  return out;
}

Ewc::Ewc(Importance held, const std::vector<nn::Parameter>& parameters, const ArchSpec& arch,
         double lambda, ThreadPool& pool)
    : held_(std::move(held)), terms_(parameters.size()), lambda_(lambda), pool_(pool) {
  bool any = false;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const nn::Parameter& parameter = parameters[i];
    const std::string name = lasting_name(parameter.name, arch);
    const auto it = held_.fisher.find(name);
    if (!parameter.trained || it == held_.fisher.end()) continue;
    if (it->second.sizes() != parameter.value.sizes()) {
      throw_error(ErrorKind::bad_format, "ewc",
                  "{} has another shape in the Fisher file; it belongs to another model",
                  parameter.name);
    }
    const at::Device device = parameter.value.device();
    terms_[i] = {it->second.to(device).contiguous(), held_.anchor.at(name).to(device).contiguous()};
    any = true;
  }
  if (!any) {
    throw_error(ErrorKind::usage, "ewc",
                "the Fisher file knows none of the weights that are trained; it belongs to another "
                "model");
  }
}

double Ewc::add(std::vector<nn::Parameter>& parameters) {
  double sum = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!terms_[i].fisher.defined()) continue;
    nn::Parameter& parameter = parameters[i];
    if (!parameter.value.device().is_cpu()) {
      sum += add_on_device(parameter, terms_[i]);
    } else if (parameter.value.grad().defined() && parameter.value.grad().is_sparse()) {
      sum += add_rows(parameter, terms_[i]);
    } else {
      sum += add_dense(parameter, terms_[i]);
    }
  }
  return lambda_ / 2 * sum;
}

double Ewc::add_dense(nn::Parameter& parameter, const Term& term) {
  at::Tensor& gradient = parameter.value.mutable_grad();
  gradient = gradient.defined() ? gradient.contiguous() : at::zeros_like(term.anchor);
  const auto n = static_cast<size_t>(term.anchor.numel());
  const float* w = parameter.value.data_ptr<float>();
  float* g = gradient.data_ptr<float>();
  std::vector<double> parts((n + kChunk - 1) / kChunk);
  parallel_for(pool_, parts.size(), 4, [&](size_t part, size_t) {
    const size_t at = part * kChunk;
    parts[part] =
        hold(w + at, term.anchor.data_ptr<float>() + at, term.fisher.data_ptr<float>() + at,
             std::min(kChunk, n - at), static_cast<float>(lambda_), g + at);
  });
  double sum = 0;
  for (const double part : parts) sum += part;
  return sum;
}

// Rows that are where their anchor is have no penalty; the others have one whether the batch used
// them or not, so they join the gradient. Which they are is seen from the weights alone.
double Ewc::add_rows(nn::Parameter& parameter, const Term& term) {
  at::Tensor& gradient = parameter.value.mutable_grad();
  const auto count = static_cast<size_t>(term.anchor.size(0)),
             dim = static_cast<size_t>(term.anchor.size(1));
  const float *w = parameter.value.data_ptr<float>(), *a = term.anchor.data_ptr<float>(),
              *f = term.fisher.data_ptr<float>();
  std::vector<char> in(count);
  parallel_for(pool_, count, 512, [&](size_t row, size_t) {
    in[row] = rows_differ(w + row * dim, a + row * dim, dim) ? 1 : 0;
  });
  const at::Tensor indices = gradient._indices().contiguous(),
                   values = gradient._values().contiguous();
  const int64_t* batch = indices.data_ptr<int64_t>();
  const auto batch_rows = static_cast<size_t>(indices.size(1));
  for (size_t i = 0; i < batch_rows; ++i) in[static_cast<size_t>(batch[i])] = 1;
  std::vector<int64_t> rows;
  std::vector<size_t> place(count);
  for (size_t row = 0; row < count; ++row) {
    if (in[row] == 0) continue;
    place[row] = rows.size();
    rows.push_back(static_cast<int64_t>(row));
  }
  at::Tensor all = at::zeros({static_cast<int64_t>(rows.size()), term.anchor.size(1)}, at::kFloat);
  float* g = all.data_ptr<float>();
  for (size_t i = 0; i < batch_rows; ++i) {
    float* to = g + place[static_cast<size_t>(batch[i])] * dim;
    const float* from = values.data_ptr<float>() + i * dim;
    for (size_t c = 0; c < dim; ++c) to[c] += from[c];
  }
  std::vector<double> parts(rows.size());
  parallel_for(pool_, rows.size(), 64, [&](size_t i, size_t) {
    const size_t at = static_cast<size_t>(rows[i]) * dim;
    parts[i] = hold(w + at, a + at, f + at, dim, static_cast<float>(lambda_), g + i * dim);
  });
  gradient = at::_sparse_coo_tensor_unsafe(at::tensor(rows, at::kLong).unsqueeze(0), all,
                                           term.anchor.sizes())
                 ._coalesced_(true);
  double sum = 0;
  for (const double part : parts) sum += part;
  return sum;
}

double Ewc::add_on_device(nn::Parameter& parameter, const Term& term) const {
  const at::Tensor moved = parameter.value.detach() - term.anchor;
  const at::Tensor pull = term.fisher * moved;
  at::Tensor& gradient = parameter.value.mutable_grad();
  gradient = gradient.defined() ? gradient.to_dense().add(pull, lambda_) : pull * lambda_;
  return (pull * moved).sum(at::kDouble).item<double>();
}

}  // namespace akin::train
