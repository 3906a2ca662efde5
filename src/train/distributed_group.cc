// What a group does with its basic operations.
#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "train/distributed.h"

namespace akin::train {

std::vector<std::string> Group::exchange(const std::string& own) {
  at::Tensor length = at::full({1}, static_cast<int64_t>(own.size()), at::kLong);
  const at::Tensor lengths = gather(length);
  const int64_t most = lengths.max().item<int64_t>();
  at::Tensor bytes = at::zeros({1, std::max<int64_t>(1, most)}, at::kByte);
  std::memcpy(bytes.data_ptr<uint8_t>(), own.data(), own.size());
  const at::Tensor all = gather(bytes);
  std::vector<std::string> out;
  for (int64_t r = 0; r < static_cast<int64_t>(size()); ++r) {
    const auto* begin = reinterpret_cast<const char*>(all[r].data_ptr<uint8_t>());
    out.emplace_back(begin, static_cast<size_t>(lengths[r].item<int64_t>()));
  }
  return out;
}

bool Group::any(bool own) {
  at::Tensor count = at::full({1}, own ? 1 : 0, at::kInt);
  sum(count);
  return count.item<int>() > 0;
}

void Group::share(at::Tensor& values) {
  at::Tensor bits = values.view(at::kInt);  // no sum of floats gives back a negative zero
  if (!leads()) bits.zero_();
  sum(bits);
}

void Group::in_turn(const std::function<void()>& act) {
  if (leads()) act();
  told({});
  if (!leads() && local_rank() == 0) act();
  any(false);
  if (!leads() && local_rank() != 0) act();
}

}  // namespace akin::train
