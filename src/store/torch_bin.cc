// pytorch_model.bin (the zip form that torch.save has written since PyTorch 1.6) as a table of
// tensors. The pickle inside is read as data by unpickler.h; nothing is executed. Contiguous
// tensors borrow from the mapped file, strided views are copied.
#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "store/safetensors.h"
#include "store/tensor_files_builder.h"
#include "store/unpickler.h"
#include "store/zip_entries.h"

namespace akin::store {
namespace {

using Bytes = std::span<const std::byte>;
using Entries = std::map<std::string, Bytes, std::less<>>;

class TorchBin {
 public:
  TorchBin(Bytes bytes, const std::string& where, TensorFilesBuilder& builder)
      : where_(where),
        builder_(builder),
        entries_(read_zip_entries(bytes, where)),
        copy_budget_(4 * bytes.size() + (size_t{64} << 20)) {}

  void read() {
    const std::string_view pickle = find_pickle();
    prefix_ = pickle.substr(0, pickle.size() - std::string_view("data.pkl").size());
    check_archive();
    pickle_ = read_pickle(entries_.find(pickle)->second, where_);
    collect(state_dict());
  }

 private:
  template <typename... Args>
  [[noreturn]] void fail(std::string_view tensor, fmt::format_string<Args...> format,
                         Args&&... args) const {
    throw_error(ErrorKind::bad_format, where_, "tensor {} {}; the file is damaged, get it again",
                quote(tensor), fmt::format(format, std::forward<Args>(args)...));
  }

  std::string_view find_pickle() const {
    for (const auto& [name, bytes] : entries_) {
      if (name.ends_with("/data.pkl") && name.find('/') == name.size() - 9) return name;
    }
    throw_error(ErrorKind::bad_format, where_,
                "zip archive has no <name>/data.pkl; this is not a file of torch.save");
  }

  void check_archive() const {
    if (entries_.contains(prefix_ + "constants.pkl")) {
      throw_error(ErrorKind::unsupported, where_,
                  "is a TorchScript program, not a state_dict; akin reads tensors only");
    }
    const auto order = entries_.find(prefix_ + "byteorder");
    if (order == entries_.end()) return;
    const std::string_view word(reinterpret_cast<const char*>(order->second.data()),
                                order->second.size());
    if (word != "little") {
      throw_error(ErrorKind::unsupported, where_, "has byte order {}, expected \"little\"",
                  quote(word));
    }
  }

  const PickleValue& value(uint32_t ref) const { return pickle_.values[ref]; }

  bool has_tensors(const PickleValue& dict) const {
    for (size_t i = 1; i < dict.items.size(); i += 2) {
      if (value(dict.items[i]).kind == PickleKind::tensor) return true;
    }
    return false;
  }

  // The root, or the dict that a training checkpoint keeps under one of the usual names.
  const PickleValue& state_dict() const {
    const PickleValue& root = value(pickle_.root);
    if (root.kind != PickleKind::dict) {
      throw_error(ErrorKind::unsupported, where_,
                  "holds no dict of tensors at its root; save the model's state_dict()");
    }
    if (has_tensors(root) || root.items.empty()) return root;
    for (size_t i = 0; i + 1 < root.items.size(); i += 2) {
      const PickleValue& key = value(root.items[i]);
      const PickleValue& inner = value(root.items[i + 1]);
      const bool usual =
          key.kind == PickleKind::text &&
          (key.text == "state_dict" || key.text == "model_state_dict" || key.text == "model");
      if (usual && inner.kind == PickleKind::dict && has_tensors(inner)) return inner;
    }
    throw_error(ErrorKind::unsupported, where_,
                "holds no tensors at its root or under \"state_dict\"; save the model's "
                "state_dict()");
  }

  void collect(const PickleValue& dict) {
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const PickleValue& key = value(dict.items[i]);
      const PickleValue& item = value(dict.items[i + 1]);
      if (item.kind != PickleKind::tensor) continue;  // epoch numbers and the like
      if (key.kind != PickleKind::text) {
        throw_error(ErrorKind::bad_format, where_, "a tensor's name is no string");
      }
      // A later equal key wins, as in a Python dict.
      builder_.tensors().insert_or_assign(
          std::string(key.text),
          make_tensor(key.text, pickle_.tensors[static_cast<size_t>(item.integer)]));
    }
  }

  Bytes storage_bytes(std::string_view name, const PickleValue& storage) const {
    const size_t size = dtype_size_bytes(storage.dtype);
    const auto entry = entries_.find(fmt::format("{}data/{}", prefix_, storage.text));
    if (entry == entries_.end()) {
      fail(name, "lies in storage {}, which the archive lacks", quote(storage.text));
    }
    const Bytes bytes = entry->second;
    if (storage.integer < 0 || static_cast<uint64_t>(storage.integer) != bytes.size() / size ||
        bytes.size() % size != 0) {
      fail(name, "lies in a storage of {} elements of {} bytes, but the archive has {} bytes",
           storage.integer, size, bytes.size());
    }
    return bytes;
  }

  // Elements of a shape; fails on a shape or view that leaves the storage.
  uint64_t checked_elements(std::string_view name, const PickleTensor& view,
                            uint64_t storage_elements) const {
    if (view.shape.size() != view.strides.size() || view.offset < 0) {
      fail(name, "has {} sizes, {} strides and offset {}", view.shape.size(), view.strides.size(),
           view.offset);
    }
    for (size_t d = 0; d < view.shape.size(); ++d) {
      if (view.shape[d] < 0 || view.strides[d] < 0) {
        fail(name, "has size {} and stride {}, expected both >= 0", view.shape[d], view.strides[d]);
      }
    }
    if (std::find(view.shape.begin(), view.shape.end(), 0) != view.shape.end()) return 0;
    unsigned __int128 last = static_cast<uint64_t>(view.offset), elements = 1;
    for (size_t d = 0; d < view.shape.size(); ++d) {
      last += static_cast<unsigned __int128>(view.shape[d] - 1) *
              static_cast<uint64_t>(view.strides[d]);
      elements *= static_cast<uint64_t>(view.shape[d]);
      if (last >= storage_elements || elements > storage_elements) {
        fail(name, "has shape [{}] and strides [{}], more than its storage of {} elements",
             fmt::join(view.shape, ", "), fmt::join(view.strides, ", "), storage_elements);
      }
    }
    if (last >= storage_elements) fail(name, "begins behind the end of its storage");
    return static_cast<uint64_t>(elements);
  }

  static bool is_contiguous(const PickleTensor& view) {
    int64_t expected = 1;
    for (size_t d = view.shape.size(); d-- > 0;) {
      if (view.shape[d] != 1 && view.strides[d] != expected) return false;
      expected *= view.shape[d];
    }
    return true;
  }

  Tensor make_tensor(std::string_view name, const PickleTensor& view) {
    const PickleValue& storage = value(view.storage);
    const Bytes bytes = storage_bytes(name, storage);
    const size_t size = dtype_size_bytes(storage.dtype);
    Tensor tensor;
    tensor.dtype = storage.dtype;
    tensor.shape = view.shape;
    const uint64_t elements = checked_elements(name, view, bytes.size() / size);
    if (elements == 0) return tensor;
    if (is_contiguous(view)) {
      tensor.bytes = bytes.subspan(static_cast<uint64_t>(view.offset) * size, elements * size);
      return tensor;
    }
    if (elements * size > copy_budget_) {
      throw_error(ErrorKind::unsupported, where_,
                  "has strided views that would take more memory than four times the file; save "
                  "the tensors with .contiguous()");
    }
    copy_budget_ -= elements * size;
    tensor.bytes = builder_.add_owned(copy_view(bytes, view, elements, size));
    return tensor;
  }

  // Row-major copy of a checked view: the innermost dimension is a loop, the others an odometer.
  static std::vector<std::byte> copy_view(Bytes bytes, const PickleTensor& view, uint64_t elements,
                                          size_t size) {
    std::vector<std::byte> out(elements * size);
    std::vector<size_t> index(view.shape.size(), 0);
    const size_t inner = view.shape.size() - 1;  // not contiguous, so there is one
    auto from = static_cast<size_t>(view.offset);
    size_t written = 0;
    while (written < elements) {
      for (size_t i = 0; i < static_cast<size_t>(view.shape[inner]); ++i, ++written) {
        const size_t element = from + i * static_cast<size_t>(view.strides[inner]);
        std::memcpy(out.data() + written * size, bytes.data() + element * size, size);
      }
      for (size_t d = inner; d-- > 0;) {
        const auto stride = static_cast<size_t>(view.strides[d]);
        from += stride;
        if (++index[d] < static_cast<size_t>(view.shape[d])) break;
        from -= stride * index[d];
        index[d] = 0;
      }
    }
    return out;
  }

  const std::string& where_;
  TensorFilesBuilder& builder_;
  const Entries entries_;
  uint64_t copy_budget_;  // bytes
  std::string prefix_;
  Pickle pickle_;
};

}  // namespace

void parse_torch_bin(std::span<const std::byte> bytes, const std::string& where,
                     TensorFilesBuilder& builder) {
  if (looks_like_zip(bytes)) {
    TorchBin(bytes, where, builder).read();
    return;
  }
  constexpr unsigned char kLegacyMagic[] = {0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9};
  if (bytes.size() > 9 && std::memcmp(bytes.data() + 2, kLegacyMagic, sizeof kLegacyMagic) == 0) {
    throw_error(ErrorKind::unsupported, where,
                "is in the format of PyTorch before 1.6 (no zip), which akin does not read; load "
                "and save it once with a newer PyTorch, or use a copy with model.safetensors");
  }
  throw_error(
      ErrorKind::bad_format, where,
      "begins with {}, expected a zip archive as torch.save writes it{}",
      quote({reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 8)}),
      bytes.size() < 1024 ? "; is it a Git LFS pointer instead of the file?" : "");
}

TensorFiles TensorFiles::open_torch_bin(const std::filesystem::path& path) {
  TensorFilesBuilder builder;
  const auto bytes = builder.add_file(MappedFile(path));
  parse_torch_bin(bytes, path.string(), builder);
  return builder.take();
}

}  // namespace akin::store
