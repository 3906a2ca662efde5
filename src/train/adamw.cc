#include "train/adamw.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/error.h"

namespace akin::train {

struct AdamW::Factors {
  float rate = 0;   // learning rate / bias correction of the first moment
  float decay = 0;  // what is left of a weight after decay
  float beta1 = 0, beta2 = 0;
  float root = 0;  // 1 / sqrt(bias correction of the second moment)
  float epsilon = 0;
  float clip = 1;  // factor on the gradient
};

namespace {

constexpr size_t kChunk = 1 << 15;  // elements at a time: three arrays of it fit a core's cache

struct Pointers {
  float *w, *m, *v;
  const float* g;
};

// Copies of a loop for wider vectors; each element is rounded alike in all of them. Sanitizers run
// before such copies can be told apart.
#if defined(__x86_64__) && defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__) && !defined(__clang__)
#define AKIN_VECTOR_COPIES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define AKIN_VECTOR_COPIES
#endif

// n elements in a row.
AKIN_VECTOR_COPIES void update_run(const Pointers& p, size_t n, float rate, float decay,
                                   float beta1, float beta2, float root, float epsilon,
                                   float clip) {
  const float rest1 = 1 - beta1, rest2 = 1 - beta2;
  for (size_t i = 0; i < n; ++i) {
    const float g = p.g[i] * clip;
    const float m = beta1 * p.m[i] + rest1 * g;
    const float v = beta2 * p.v[i] + rest2 * g * g;
    p.m[i] = m;
    p.v[i] = v;
    p.w[i] = p.w[i] * decay - rate * m / (std::sqrt(v) * root + epsilon);
  }
}

// Eight sums side by side, added in their order.
AKIN_VECTOR_COPIES double sum_of_squares(const float* x, size_t n) {
  constexpr size_t kSums = 8;
  double sums[kSums] = {};
  size_t i = 0;
  for (; i + kSums <= n; i += kSums) {
    for (size_t j = 0; j < kSums; ++j) sums[j] += double{x[i + j]} * double{x[i + j]};
  }
  for (size_t j = 0; i < n; ++i, ++j) sums[j] += double{x[i]} * double{x[i]};
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

// The sum of squares in a fixed order, whatever the number of threads.
double squares(const at::Tensor& values, ThreadPool& pool) {
  if (!values.device().is_cpu()) {
    return values.to(at::kDouble).square().sum().item<double>();
  }
  const at::Tensor flat = values.contiguous();
  const float* data = flat.data_ptr<float>();
  const auto n = static_cast<size_t>(flat.numel());
  std::vector<double> parts((n + kChunk - 1) / kChunk);
  parallel_for(pool, parts.size(), 4, [&](size_t part, size_t) {
    parts[part] = sum_of_squares(data + part * kChunk, std::min(kChunk, n - part * kChunk));
  });
  double sum = 0;
  for (const double part : parts) sum += part;
  return sum;
}

// A sparse gradient with every row once. Torch forgets that rows in rising order are; sorting them
// again would cost more than the update.
at::Tensor once_each(const at::Tensor& gradient) {
  if (gradient.is_coalesced() || !gradient.device().is_cpu()) return gradient.coalesce();
  const at::Tensor indices = gradient._indices().contiguous();
  const int64_t* rows = indices.data_ptr<int64_t>();
  const int64_t count = indices.size(1);
  if (indices.size(0) == 1 &&
      std::adjacent_find(rows, rows + count, std::greater_equal<>()) == rows + count) {
    at::Tensor out = gradient;
    return out._coalesced_(true);
  }
  return gradient.coalesce();
}

at::Tensor values_of(const at::Tensor& gradient) {
  return gradient.is_sparse() ? gradient._values() : gradient;
}

bool on_cpu(const nn::Parameter& parameter) {
  return parameter.value.device().is_cpu() && parameter.value.scalar_type() == at::kFloat;
}

}  // namespace

AdamW::AdamW(std::vector<nn::Parameter>& parameters, const AdamWOptions& options, ThreadPool& pool)
    : parameters_(parameters), options_(options), pool_(pool), slots_(parameters.size()) {
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!parameters[i].trained) continue;
    const at::Tensor value = parameters[i].value.detach();
    slots_[i].m = at::zeros_like(value);
    slots_[i].v = at::zeros_like(value);
    if (options.ema > 0) slots_[i].average = value.clone();
  }
}

double AdamW::step(double learning_rate) {
  std::vector<at::Tensor> gradients(parameters_.size());
  double sum = 0;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!parameters_[i].trained) continue;
    at::Tensor& gradient = parameters_[i].value.mutable_grad();
    if (!gradient.defined()) continue;
    gradients[i] = gradient.is_sparse() ? once_each(gradient) : gradient;
    sum += squares(values_of(gradients[i]), pool_);
  }
  const double norm = std::sqrt(sum);
  if (!std::isfinite(norm)) return norm;
  ++steps_;
  Factors factors;
  const auto count = static_cast<double>(steps_);
  factors.rate = static_cast<float>(learning_rate / (1 - std::pow(options_.beta1, count)));
  factors.root = static_cast<float>(1 / std::sqrt(1 - std::pow(options_.beta2, count)));
  factors.beta1 = static_cast<float>(options_.beta1);
  factors.beta2 = static_cast<float>(options_.beta2);
  factors.epsilon = static_cast<float>(options_.epsilon);
  if (options_.clip > 0 && norm > options_.clip) {
    factors.clip = static_cast<float>(options_.clip / norm);
  }
  for (size_t i = 0; i < parameters_.size(); ++i) {
    nn::Parameter& parameter = parameters_[i];
    if (gradients[i].defined()) {
      factors.decay =
          parameter.decay ? static_cast<float>(1 - learning_rate * options_.weight_decay) : 1.0F;
      if (on_cpu(parameter)) {
        update_cpu(parameter, slots_[i], gradients[i], factors);
      } else {
        update_any(parameter, slots_[i], gradients[i], factors);
      }
      parameter.value.mutable_grad().reset();
    }
    if (slots_[i].average.defined()) average_dense(parameter, slots_[i]);
  }
  return norm;
}

void AdamW::update_cpu(nn::Parameter& parameter, Slot& slot, const at::Tensor& gradient,
                       const Factors& f) {
  const at::Tensor values = values_of(gradient).contiguous();
  float* w = parameter.value.data_ptr<float>();
  float* m = slot.m.data_ptr<float>();
  float* v = slot.v.data_ptr<float>();
  const float* g = values.data_ptr<float>();
  const auto run = [&](size_t to, size_t from, size_t n) {
    update_run({w + to, m + to, v + to, g + from}, n, f.rate, f.decay, f.beta1, f.beta2, f.root,
               f.epsilon, f.clip);
  };
  if (!gradient.is_sparse()) {
    const auto n = static_cast<size_t>(values.numel());
    parallel_for(pool_, (n + kChunk - 1) / kChunk, 4, [&](size_t part, size_t) {
      run(part * kChunk, part * kChunk, std::min(kChunk, n - part * kChunk));
    });
    return;
  }
  const at::Tensor indices = gradient._indices().contiguous();
  const int64_t* rows = indices.data_ptr<int64_t>();
  const auto count = static_cast<size_t>(indices.size(1));
  const size_t dim = count == 0 ? 0 : static_cast<size_t>(values.numel()) / count;
  parallel_for(pool_, count, 64, [&](size_t row, size_t) {
    run(static_cast<size_t>(rows[row]) * dim, row * dim, dim);
  });
}

// The same in torch operations, for other devices and types.
void AdamW::update_any(nn::Parameter& parameter, Slot& slot, const at::Tensor& gradient,
                       const Factors& f) {
  at::Tensor w = parameter.value.detach();
  const auto apply = [&](const at::Tensor& old_w, at::Tensor m, at::Tensor v, const at::Tensor& g) {
    m.mul_(f.beta1).add_(g, (1 - f.beta1) * f.clip);
    v.mul_(f.beta2).addcmul_(g, g, (1 - f.beta2) * f.clip * f.clip);
    return old_w.mul(f.decay).sub_(m.div(v.sqrt().mul_(f.root).add_(f.epsilon)).mul_(f.rate));
  };
  if (!gradient.is_sparse()) {
    w.copy_(apply(w, slot.m, slot.v, gradient));
    return;
  }
  const at::Tensor rows = gradient._indices()[0];
  at::Tensor m = slot.m.index_select(0, rows), v = slot.v.index_select(0, rows);
  const at::Tensor changed = apply(w.index_select(0, rows), m, v, gradient._values());
  slot.m.index_copy_(0, rows, m);
  slot.v.index_copy_(0, rows, v);
  w.index_copy_(0, rows, changed);
}

void AdamW::average_dense(nn::Parameter& parameter, Slot& slot) {
  const auto keep = static_cast<float>(options_.ema);
  if (!on_cpu(parameter)) {
    slot.average.mul_(keep).add_(parameter.value.detach(), 1 - keep);
    return;
  }
  float* average = slot.average.data_ptr<float>();
  const float* w = parameter.value.data_ptr<float>();
  const auto n = static_cast<size_t>(slot.average.numel());
  parallel_for(pool_, (n + kChunk - 1) / kChunk, 4, [&](size_t part, size_t) {
    const size_t end = std::min(n, (part + 1) * kChunk);
    for (size_t i = part * kChunk; i < end; ++i) {
      average[i] = keep * average[i] + (1 - keep) * w[i];
    }
  });
}

std::vector<at::Tensor> AdamW::averages() const {
  std::vector<at::Tensor> out;
  if (options_.ema <= 0) return out;
  for (size_t i = 0; i < slots_.size(); ++i) {
    out.push_back(slots_[i].average.defined() ? slots_[i].average : parameters_[i].value.detach());
  }
  return out;
}

std::map<std::string, at::Tensor> AdamW::state() const {
  std::map<std::string, at::Tensor> out;
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (!parameters_[i].trained) continue;
    out.emplace("adam.m." + parameters_[i].name, slots_[i].m);
    out.emplace("adam.v." + parameters_[i].name, slots_[i].v);
    if (slots_[i].average.defined()) out.emplace("ema." + parameters_[i].name, slots_[i].average);
  }
  return out;
}

void AdamW::restore(const std::map<std::string, at::Tensor>& state, uint64_t steps) {
  for (auto& [name, tensor] : this->state()) {
    const auto it = state.find(name);
    if (it == state.end() || it->second.sizes() != tensor.sizes()) {
      throw_error(ErrorKind::bad_format, "checkpoint",
                  "{} is {}; the checkpoint is of another model or recipe, start again without "
                  "--resume",
                  name, it == state.end() ? "missing" : "of another shape");
    }
    at::Tensor own = tensor;
    own.copy_(it->second);
  }
  steps_ = steps;
}

}  // namespace akin::train
