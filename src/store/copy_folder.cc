#include "store/copy_folder.h"

#include <string>
#include <system_error>

#include "base/file.h"

namespace akin::store {

namespace fs = std::filesystem;
namespace {

// Not fs::copy_file: where a disk is full, libstdc++ says "Input/output error".
void copy_one(const fs::path& from, const fs::path& to) {
  const MappedFile in(from);
  AtomicFile out(to);
  out.write(in.bytes().data(), in.bytes().size());
  out.commit();
  fs::permissions(to, fs::status(from).permissions());
}

}  // namespace

namespace {

// A disk that is full while the system copies is told as an input/output error.
void copy_one(const fs::path& in, const fs::path& out) {
  std::error_code error, ignored;
  if (fs::copy_file(in, out, error)) return;
  const fs::space_info space = fs::space(out.parent_path(), ignored);
  if (!ignored && space.available < fs::file_size(in, ignored))
    error = std::make_error_code(std::errc::no_space_on_device);
  throw fs::filesystem_error("cannot copy", in, out, error);
}

}  // namespace

void copy_folder(const fs::path& in, const fs::path& out,
                 const std::function<bool(const fs::path& relative)>& leave_out) {
  for (auto it = fs::recursive_directory_iterator(in); it != fs::recursive_directory_iterator();
       ++it) {
    const fs::path relative = it->path().lexically_relative(in);
    const bool is_folder = it->is_directory();
    if (leave_out(relative)) {
      if (is_folder) it.disable_recursion_pending();
    } else if (is_folder) {
      fs::create_directories(out / relative);
    } else {
      copy_one(it->path(), out / relative);
    }
  }
}

bool holds_weights(const fs::path& relative) {
  const std::string first = relative.begin()->string();
  if (first == "onnx" || first == "openvino" || first == ".git") return true;
  const std::string extension = relative.extension().string();
  return extension == ".safetensors" || extension == ".bin" || extension == ".gguf" ||
         extension == ".h5" || extension == ".msgpack" ||
         relative.filename().string().ends_with(".index.json");
}

}  // namespace akin::store
