#include "train/distributed_step.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"

namespace akin::train {
namespace {

// The rows of each process, one below the other, where each has another number of them.
at::Tensor gather_rows(Group& group, const at::Tensor& own, const std::vector<int64_t>& counts) {
  const int64_t most = *std::max_element(counts.begin(), counts.end());
  if (most == 0) return own;
  std::vector<int64_t> shape = own.sizes().vec();
  shape[0] = most;
  at::Tensor padded = at::zeros(shape, own.options());
  padded.narrow(0, 0, own.size(0)).copy_(own);
  const at::Tensor all = group.gather(padded);
  std::vector<at::Tensor> parts;
  for (size_t r = 0; r < counts.size(); ++r) {
    parts.push_back(all.narrow(0, static_cast<int64_t>(r) * most, counts[r]));
  }
  return at::cat(parts);
}

// Sum of the sparse gradients of all processes.
at::Tensor sum_rows(Group& group, const nn::Parameter& parameter) {
  const at::Tensor& own = parameter.value.grad();
  at::Tensor rows, values;
  if (own.defined()) {
    rows = own._indices()[0];
    values = own._values();
  } else {
    std::vector<int64_t> none = parameter.value.sizes().vec();
    none[0] = 0;
    rows = at::empty({0}, parameter.value.options().dtype(at::kLong));
    values = at::empty(none, parameter.value.options());
  }
  const at::Tensor all = group.gather(at::full({1}, rows.size(0), at::kLong));
  const std::vector<int64_t> counts(all.data_ptr<int64_t>(), all.data_ptr<int64_t>() + all.numel());
  rows = gather_rows(group, rows, counts);
  values = gather_rows(group, values, counts);
  return at::_sparse_coo_tensor_unsafe(rows.unsqueeze(0), values, parameter.value.sizes())
      .coalesce();
}

// How many processes have a dense gradient of each parameter, and how many a sparse one.
struct Presence {
  std::vector<int> dense, sparse;
};
Presence find_presence(Group& group, const std::vector<nn::Parameter>& parameters) {
  const auto count = static_cast<int64_t>(parameters.size());
  at::Tensor have = at::zeros({2 * count}, at::kInt);
  int* flags = have.data_ptr<int>();
  for (int64_t i = 0; i < count; ++i) {
    const at::Tensor& gradient = parameters[static_cast<size_t>(i)].value.grad();
    if (gradient.defined()) flags[gradient.is_sparse() ? count + i : i] = 1;
  }
  group.sum(have);
  flags = have.data_ptr<int>();
  return {{flags, flags + count}, {flags + count, flags + 2 * count}};
}

}  // namespace

std::vector<size_t> portions(const TokenBatch& texts, size_t processes) {
  const size_t count = texts.size();
  if (count < processes) {
    throw_error(ErrorKind::usage, "train.batch",
                "a batch of {} texts cannot be divided among {} processes; raise batch, or start "
                "fewer processes",
                count, processes);
  }
  std::vector<size_t> out = {0};
  for (size_t r = 1; r < processes; ++r) {
    const size_t tokens = texts.tokens() * r / processes;
    const auto cut = std::lower_bound(texts.offsets.begin(), texts.offsets.end(), tokens);
    const auto text = static_cast<size_t>(cut - texts.offsets.begin());
    out.push_back(std::clamp(text, out.back() + 1, count - (processes - r)));
  }
  out.push_back(count);
  return out;
}

at::Tensor join_vectors(Group& group, const at::Tensor& own, const std::vector<size_t>& portions) {
  std::vector<int64_t> counts;
  for (size_t r = 0; r < group.size(); ++r) {
    counts.push_back(static_cast<int64_t>(portions[r + 1] - portions[r]));
  }
  const at::Tensor all = gather_rows(group, own.detach(), counts);
  const auto begin = static_cast<int64_t>(portions[group.rank()]);
  const int64_t end = begin + own.size(0);
  return at::cat({all.narrow(0, 0, begin), own, all.narrow(0, end, all.size(0) - end)});
}

void sum_gradients(Group& group, std::vector<nn::Parameter>& parameters) {
  const Presence have = find_presence(group, parameters);
  std::vector<at::Tensor> dense;
  for (size_t i = 0; i < parameters.size(); ++i) {
    nn::Parameter& parameter = parameters[i];
    at::Tensor& gradient = parameter.value.mutable_grad();
    if (have.dense[i] == 0 && have.sparse[i] > 0) gradient = sum_rows(group, parameter);
    if (have.dense[i] == 0) continue;
    if (!gradient.defined()) gradient = at::zeros_like(parameter.value.detach());
    if (gradient.is_sparse()) gradient = gradient.to_dense();
    dense.push_back(gradient.reshape(-1));
  }
  if (dense.empty()) return;
  at::Tensor flat = at::cat(dense);
  group.sum(flat);
  int64_t begin = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (have.dense[i] == 0) continue;
    at::Tensor& gradient = parameters[i].value.mutable_grad();
    gradient = flat.narrow(0, begin, gradient.numel()).view(gradient.sizes());
    begin += gradient.numel();
  }
}

}  // namespace akin::train
