// Several training processes as one group, by torch.distributed: Gloo between CPUs, NCCL between
// GPUs where libtorch was built with it. Moves tensors and words; knows no model and no step
// (distributed_step.h does). Every process calls the same operations in the same order.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "train/distributed_launch.h"

namespace akin::train {

// Operations throw Error(io) when another process has gone; then lost() is true, and the only call
// that is left is ending(). One thread at a time.
class Group {
 public:
  explicit Group(Launch launch) : launch_(std::move(launch)) {}
  virtual ~Group() = default;
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  size_t rank() const { return launch_.rank; }
  size_t size() const { return launch_.size; }
  size_t local_rank() const { return launch_.local_rank; }
  bool leads() const { return launch_.rank == 0; }  // writes, logs, evaluates

  // In place: the sum over all processes, the same bytes in each. `values` is contiguous.
  virtual void sum(at::Tensor& values) = 0;
  // [n, ...] of each process, n the same in all -> [size * n, ...], by rank.
  virtual at::Tensor gather(const at::Tensor& values) = 0;
  // What process 0 says. However long it takes to say so, the others wait: for what only it does.
  virtual std::string told(const std::string& words) = 0;
  // The error to end with, once one has been thrown: the others learn of it, and this process of
  // theirs. Takes up to a few seconds.
  virtual Error ending(const Error& own) = 0;
  bool lost() const { return lost_; }

  std::vector<std::string> exchange(const std::string& own);  // of every process, by rank
  bool any(bool own);                                         // whether it is true in one of them
  void share(at::Tensor& values);  // process 0's, in place; f32, contiguous
  // For what leaves files: process 0 first, then one of each other machine, then the rest.
  void in_turn(const std::function<void()>& act);

 protected:
  bool lost_ = false;
  const Launch launch_;
};

// Waits until all processes are there. Errors: unsupported (this build has no Gloo); io (nobody at
// the address, processes that do not come); usage (two of the same rank, another number of them).
std::unique_ptr<Group> join(const Launch& launch);
bool can_join();  // whether this build has Gloo

}  // namespace akin::train
