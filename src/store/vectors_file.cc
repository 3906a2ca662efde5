// Writing vectors as .npy, raw or JSONL, and reading .npy. The .npy header follows NumPy's format
// 1.0 (numpy.lib.format), padded so that the number of rows can be written at the end.
#include "store/vectors_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "core/counters.h"
#include "core/tensor.h"

namespace akin::store {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr size_t kHeaderBytes = 128;  // magic, version, length, dict: room for any row count

size_t row_bytes(size_t dims, VectorDType dtype) {
  switch (dtype) {
    case VectorDType::f32:
      return 4 * dims;
    case VectorDType::f16:
      return 2 * dims;
    case VectorDType::int8:
      return dims;
    case VectorDType::binary:
      return (dims + 7) / 8;
  }
  return 0;
}

// One row in its type on disk, into out[0, row_bytes). NaN becomes 0 in int8 and a 0 bit.
void convert_row(const float* row, size_t dims, VectorDType dtype, char* out) {
  switch (dtype) {
    case VectorDType::f32:
      std::memcpy(out, row, 4 * dims);
      return;
    case VectorDType::f16:
      for (size_t i = 0; i < dims; ++i) {
        const uint16_t half = float_to_half(row[i]);
        std::memcpy(out + 2 * i, &half, 2);
      }
      return;
    case VectorDType::int8:
      for (size_t i = 0; i < dims; ++i) {
        const float scaled = std::nearbyint(127.0F * row[i]);
        const float held = scaled >= -127.0F ? std::min(scaled, 127.0F) : -127.0F;
        out[i] = static_cast<char>(std::isnan(row[i]) ? 0 : static_cast<int8_t>(held));
      }
      return;
    case VectorDType::binary:
      std::memset(out, 0, (dims + 7) / 8);
      for (size_t i = 0; i < dims; ++i) {
        if (row[i] > 0) out[i / 8] = static_cast<char>(out[i / 8] | (0x80 >> (i % 8)));
      }
      return;
  }
}

std::string npy_header(uint64_t rows, size_t dims, VectorDType dtype) {
  const char* descr = dtype == VectorDType::f32    ? "<f4"
                      : dtype == VectorDType::f16  ? "<f2"
                      : dtype == VectorDType::int8 ? "|i1"
                                                   : "|u1";
  const size_t cols = dtype == VectorDType::binary ? (dims + 7) / 8 : dims;
  std::string dict = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}, {}), }}",
                                 descr, rows, cols);
  constexpr size_t kDictBytes = kHeaderBytes - 10;
  dict.append(kDictBytes - 1 - dict.size(), ' ');
  dict += '\n';
  std::string header = "\x93NUMPY";
  header += '\x01';
  header += '\0';
  header += static_cast<char>(kDictBytes & 0xFF);
  header += static_cast<char>(kDictBytes >> 8);
  return header + dict;
}

class BinaryWriter : public VectorWriter {
 public:
  BinaryWriter(const std::filesystem::path& path, size_t dims, const VectorWriterOptions& options)
      : file_(path), dims_(dims), options_(options), row_(row_bytes(dims, options.dtype)) {
    if (options_.format != VectorFormat::npy) return;
    if (file_.is_stdout()) {
      throw Error(ErrorKind::usage,
                  "a .npy file begins with its number of rows, so it cannot go to stdout; write to "
                  "a file, or choose raw or jsonl");
    }
    file_.write(npy_header(0, dims_, options_.dtype));
  }

  void write(MatView<const float> rows, std::span<const std::string>,
             std::span<const std::string_view>) override {
    AKIN_CHECK(rows.cols() == dims_);
    check_interrupted();
    for (size_t r = 0; r < rows.rows(); ++r) {
      convert_row(rows.row(r), dims_, options_.dtype, row_.data());
      file_.write(row_.data(), row_.size());
    }
    rows_ += rows.rows();
  }

  void finish() override {
    if (options_.format == VectorFormat::npy) {
      file_.rewrite(0, npy_header(rows_, dims_, options_.dtype));
    }
    file_.commit();
  }

 private:
  AtomicFile file_;
  const size_t dims_;
  const VectorWriterOptions options_;
  std::vector<char> row_;
  uint64_t rows_ = 0;
};

// {"id": "...", "text": "...", "embedding": [...]} a line; floats in their shortest form that reads
// back to the same float, int8 and binary as integers.
class JsonlWriter : public VectorWriter {
 public:
  JsonlWriter(const std::filesystem::path& path, size_t dims, const VectorWriterOptions& options)
      : file_(path), dims_(dims), options_(options), row_(row_bytes(dims, options.dtype)) {}

  void write(MatView<const float> rows, std::span<const std::string> ids,
             std::span<const std::string_view> texts) override {
    AKIN_CHECK(rows.cols() == dims_);
    AKIN_CHECK(ids.empty() || ids.size() == rows.rows());
    AKIN_CHECK(texts.empty() || texts.size() == rows.rows());
    check_interrupted();
    for (size_t r = 0; r < rows.rows(); ++r) {
      line_ = "{";
      if (!ids.empty()) add_text("id", ids[r]);
      if (options_.with_text && !texts.empty()) add_text("text", texts[r]);
      line_ += "\"embedding\":[";
      add_numbers(rows.row(r));
      line_ += "]}\n";
      file_.write(line_);
    }
  }
  void finish() override { file_.commit(); }

 private:
  // Invalid UTF-8 is written as U+FFFD, as JSON has no other way to say it.
  void add_text(std::string_view key, std::string_view text) {
    line_ += fmt::format(
        "\"{}\":{},", key,
        nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  void add_numbers(const float* row) {
    if (options_.dtype == VectorDType::f32 || options_.dtype == VectorDType::f16) {
      for (size_t i = 0; i < dims_; ++i) {
        const bool f16 = options_.dtype == VectorDType::f16;
        add_float(f16 ? half_to_float(float_to_half(row[i])) : row[i]);
      }
    } else {
      convert_row(row, dims_, options_.dtype, row_.data());
      for (const char c : row_) {
        const bool int8 = options_.dtype == VectorDType::int8;
        fmt::format_to(std::back_inserter(line_), "{},",
                       int8 ? static_cast<int>(static_cast<int8_t>(c))
                            : static_cast<int>(static_cast<uint8_t>(c)));
      }
    }
    if (line_.ends_with(',')) line_.pop_back();
  }
  void add_float(float value) {
    if (std::isfinite(value)) {
      fmt::format_to(std::back_inserter(line_), "{},", value);
      return;
    }
    line_ += "null,";
    count_event("non_finite_values", 1, "a vector holds NaN or infinity; JSON has null there");
  }

  AtomicFile file_;
  const size_t dims_;
  const VectorWriterOptions options_;
  std::vector<char> row_;
  std::string line_;
};

// --- reading

struct NpyHeader {
  bool f16 = false;
  uint64_t rows = 0, cols = 0;
  size_t data_offset = 0;
};

class NpyParser {
 public:
  NpyParser(std::span<const std::byte> bytes, const std::string& where)
      : text_(reinterpret_cast<const char*>(bytes.data()), bytes.size()), where_(where) {}

  NpyHeader parse() {
    if (!text_.starts_with("\x93NUMPY") || text_.size() < 12) {
      fail("does not begin as a .npy file does");
    }
    const int version = static_cast<unsigned char>(text_[6]);
    if (version < 1 || version > 3) fail(fmt::format("has version {}, expected 1 to 3", version));
    const size_t length_bytes = version == 1 ? 2 : 4;
    uint64_t length = 0;
    for (size_t i = 0; i < length_bytes; ++i) {
      length |= uint64_t{static_cast<unsigned char>(text_[8 + i])} << (8 * i);
    }
    const size_t begin = 8 + length_bytes;
    if (length > text_.size() - begin) fail("is cut in its header");
    NpyHeader header;
    header.data_offset = begin + length;
    dict_ = text_.substr(begin, length);
    read_dict(header);
    return header;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw_error(ErrorKind::bad_format, where_, "{}", what);
  }

  std::string_view after(std::string_view key) const {
    const size_t at = dict_.find(key);
    if (at == std::string_view::npos) fail(fmt::format("header lacks {}", key));
    std::string_view rest = dict_.substr(at + key.size());
    const size_t first = rest.find_first_not_of(" :");
    if (first == std::string_view::npos) fail(fmt::format("header has no value for {}", key));
    return rest.substr(first);
  }

  void read_dict(NpyHeader& header) const {
    const std::string_view descr = after("'descr'");
    header.f16 = descr.starts_with("'<f2'");
    if (!header.f16 && !descr.starts_with("'<f4'")) {
      throw_error(ErrorKind::unsupported, where_, "has dtype {}, expected '<f4' or '<f2'",
                  quote(descr.substr(0, descr.find(','))));
    }
    if (!after("'fortran_order'").starts_with("False")) {
      throw_error(ErrorKind::unsupported, where_,
                  "is in Fortran order; save it with numpy.ascontiguousarray");
    }
    std::string_view shape = after("'shape'");
    if (!shape.starts_with('(')) fail("header has no shape");
    shape = shape.substr(1, shape.find(')') - 1);
    const std::vector<uint64_t> dims = read_shape(shape);
    if (dims.empty() || dims.size() > 2) {
      throw_error(ErrorKind::unsupported, where_, "has {} dimensions, expected 1 or 2",
                  dims.size());
    }
    header.rows = dims.size() == 2 ? dims[0] : 1;
    header.cols = dims.back();
  }

  std::vector<uint64_t> read_shape(std::string_view shape) const {
    std::vector<uint64_t> dims;
    while (true) {
      const size_t digit = shape.find_first_not_of(" ,");
      if (digit == std::string_view::npos) return dims;
      shape.remove_prefix(digit);
      uint64_t value = 0;
      size_t used = 0;
      while (used < shape.size() && shape[used] >= '0' && shape[used] <= '9') {
        if (used > 15) fail("has a dimension that no file can hold");
        value = 10 * value + static_cast<uint64_t>(shape[used++] - '0');
      }
      if (used == 0 || dims.size() == 32) fail("has a shape that is no list of numbers");
      dims.push_back(value);
      shape.remove_prefix(used);
    }
  }

  const std::string_view text_;
  const std::string& where_;
  std::string_view dict_;
};

}  // namespace

std::unique_ptr<VectorWriter> open_vector_writer(const std::filesystem::path& path, size_t dims,
                                                 const VectorWriterOptions& options) {
  AKIN_CHECK(dims > 0);
  if (options.format == VectorFormat::jsonl) {
    return std::make_unique<JsonlWriter>(path, dims, options);
  }
  return std::make_unique<BinaryWriter>(path, dims, options);
}

Mat<float> read_npy(const std::filesystem::path& path) {
  const MappedFile file(path);
  const std::string where = path.string();
  const NpyHeader header = NpyParser(file.bytes(), where).parse();
  const auto data = file.bytes().subspan(header.data_offset);
  const unsigned __int128 needed =
      static_cast<unsigned __int128>(header.rows) * header.cols * (header.f16 ? 2 : 4);
  if (needed != data.size()) {
    throw_error(ErrorKind::bad_format, where,
                "shape ({}, {}) does not fit the {} bytes of data; the file is cut or damaged",
                header.rows, header.cols, data.size());
  }
  Mat<float> out(header.rows, header.cols);
  const Tensor tensor{header.f16 ? DType::f16 : DType::f32,
                      {static_cast<int64_t>(header.rows), static_cast<int64_t>(header.cols)},
                      data};
  tensor_to_f32(tensor, 0, {out.data(), header.rows * header.cols});
  return out;
}

}  // namespace akin::store
