#include "mine/text_file.h"

#include <system_error>

#include "base/error.h"

namespace akin::mine {

TextFile::TextFile(std::filesystem::path path)
    : path_(std::move(path)), writer_(std::make_unique<AtomicFile>(path_)) {}

TextFile::~TextFile() {
  std::error_code ignored;
  if (writer_ == nullptr) std::filesystem::remove(path_, ignored);
}

uint32_t TextFile::add(std::string_view bytes) {
  AKIN_CHECK(writer_ != nullptr);
  if (ends_.size() >= UINT32_MAX) {
    throw_error(ErrorKind::unsupported, path_.string(), "more than {} texts", UINT32_MAX);
  }
  writer_->write(bytes);
  ends_.push_back(writer_->size_bytes());
  return static_cast<uint32_t>(ends_.size() - 1);
}

void TextFile::close() {
  writer_->commit();
  writer_.reset();
  if (!ends_.empty() && ends_.back() > 0) file_ = MappedFile(path_);
}

std::string_view TextFile::operator[](uint32_t number) const {
  AKIN_DCHECK(writer_ == nullptr && number < ends_.size());
  const uint64_t begin = number == 0 ? 0 : ends_[number - 1];
  const uint64_t size = ends_[number] - begin;
  if (size == 0) return {};
  return {reinterpret_cast<const char*>(file_.bytes().data()) + begin, size};
}

void TextFile::release_pages() const {
  if (file_.bytes().size() > 0) file_.release_pages();
}

}  // namespace akin::mine
