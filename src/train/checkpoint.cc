#include "train/checkpoint.h"

#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "core/tensor.h"
#include "store/safetensors.h"

namespace akin::train {
namespace {

constexpr const char* kStateKey = "akin.train";
constexpr const char* kHashKey = "akin.hash";
constexpr std::string_view kWhatNow =
    "the run cannot go on: remove the checkpoint to start again, or give another --out";
constexpr uint64_t kUsualSteps = 500;
constexpr int kSpared = 50;  // times what the last checkpoint took, before the next one

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {reinterpret_cast<const std::byte*>(tensor.data_ptr<float>()),
          static_cast<size_t>(tensor.numel()) * sizeof(float)};
}

}  // namespace

void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint) {
  std::map<std::string, at::Tensor> held;  // contiguous copies live until the file is written
  std::map<std::string, Tensor, std::less<>> tensors;
  Hasher hasher;
  for (const auto& [name, value] : checkpoint.tensors) {
    const at::Tensor own = value.detach().to(at::kCPU, at::kFloat).contiguous();
    held.emplace(name, own);
    Tensor tensor;
    tensor.dtype = DType::f32;
    tensor.shape.assign(own.sizes().begin(), own.sizes().end());
    tensor.bytes = bytes_of(own);
    hasher.add(name);
    hasher.add(tensor.bytes);
    tensors.emplace(name, tensor);
  }
  const std::string state = checkpoint.state.dump();
  hasher.add(state);
  store::write_safetensors(path, tensors, {{kStateKey, state}, {kHashKey, hasher.hex()}});
}

namespace {

// A file that is cut is no matter of a download, as it is for other tensor files.
store::TensorFiles open_tensors(const std::filesystem::path& path) {
  try {
    return store::TensorFiles::open_safetensors(path);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::bad_format) throw;
    throw_error(ErrorKind::bad_format, path.string(), "is cut or damaged; {}", kWhatNow);
  }
}

}  // namespace

Checkpoint read_checkpoint(const std::filesystem::path& path) {
  const auto files = open_tensors(path);
  const auto state = files.metadata().find(kStateKey);
  const auto hash = files.metadata().find(kHashKey);
  if (state == files.metadata().end() || hash == files.metadata().end()) {
    throw_error(ErrorKind::bad_format, path.string(),
                "is not a checkpoint of akin train; remove it, or give another --out");
  }
  Checkpoint out;
  Hasher hasher;
  for (const auto& [name, tensor] : files.tensors()) {
    if (tensor.dtype != DType::f32) {
      throw_error(ErrorKind::bad_format, path.string(), "tensor {} is {}, expected F32",
                  quote(name), dtype_name(tensor.dtype));
    }
    hasher.add(name);
    hasher.add(tensor.bytes);
    at::Tensor own = at::empty(at::IntArrayRef(tensor.shape), at::kFloat);
    if (!tensor.bytes.empty()) {
      std::memcpy(own.data_ptr<float>(), tensor.bytes.data(), tensor.bytes.size());
    }
    out.tensors.emplace(name, own);
  }
  hasher.add(state->second);
  if (hasher.hex() != hash->second) {
    throw_error(ErrorKind::bad_format, path.string(),
                "its bytes are not those that were written; the disk or a copy damaged it; {}",
                kWhatNow);
  }
  out.state = nlohmann::json::parse(state->second, nullptr, false);
  if (out.state.is_discarded()) {
    throw_error(ErrorKind::bad_format, path.string(), "its state is not JSON");
  }
  return out;
}

bool CheckpointPace::due(uint64_t step, Clock::time_point now) const {
  const uint64_t every = every_.value_or(kUsualSteps);
  return every > 0 && step % every == 0 && (every_ || now >= earliest_);
}

void CheckpointPace::wrote(Clock::time_point begin, Clock::time_point end) {
  earliest_ = end + kSpared * (end - begin);
}

}  // namespace akin::train
