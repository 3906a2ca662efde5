#include "store/copy_folder.h"

#include <string>

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
