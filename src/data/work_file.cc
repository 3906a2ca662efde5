// See work_file.h. A block: number of records (32 bits), bytes (32 bits), the packed records.
#include "data/work_file.h"

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace akin::data {

void WorkFileWriter::write(uint32_t records, std::string_view packed) {
  if (packed.size() > UINT32_MAX) {
    throw_error(ErrorKind::too_long, "records", "{} bytes of text in {} records, at most {}",
                packed.size(), records, UINT32_MAX);
  }
  const uint32_t head[2] = {records, static_cast<uint32_t>(packed.size())};
  file_.write(head, sizeof head);
  file_.write(packed);
}

WorkFileReader::WorkFileReader(const std::filesystem::path& path)
    : where_(path.string()), file_(std::fopen(path.c_str(), "rbe")) {
  if (file_ == nullptr) {
    throw_error(errno == ENOENT ? ErrorKind::not_found : ErrorKind::io, where_, "cannot open: {}",
                std::strerror(errno));
  }
}

bool WorkFileReader::next(uint32_t& records, std::string& packed) {
  uint32_t head[2];
  const size_t got = std::fread(head, 1, sizeof head, file_.get());
  if (got == 0 && std::feof(file_.get()) != 0) return false;
  bool whole = got == sizeof head;
  if (whole) {
    records = head[0];
    packed.resize(head[1]);
    whole = std::fread(packed.data(), 1, packed.size(), file_.get()) == packed.size();
  }
  if (!whole) {
    throw_error(std::ferror(file_.get()) != 0 ? ErrorKind::io : ErrorKind::bad_format, where_,
                "the work file is cut or cannot be read; remove the work folder and start again");
  }
  return true;
}

}  // namespace akin::data
