// Reading and writing safetensors, and finding the weights of a folder. Reads one format; pickles
// are torch_bin.cc. Follows the format description of huggingface/safetensors (README): 8-byte
// little-endian header length, JSON header, buffer without holes or overlaps.
#include "store/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "store/tensor_files_builder.h"

namespace akin::store {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;

struct DTypeRow {
  std::string_view name;
  DType dtype;
  uint64_t bits;
};
constexpr DTypeRow kDTypes[] = {
    {"F32", DType::f32, 32},
    {"F16", DType::f16, 16},
    {"BF16", DType::bf16, 16},
    {"F64", DType::f64, 64},
    {"I64", DType::i64, 64},
    {"I32", DType::i32, 32},
    {"I16", DType::i16, 16},
    {"I8", DType::i8, 8},
    {"U8", DType::u8, 8},
    {"BOOL", DType::boolean, 8},
    {"U16", DType::u16, 16},
    {"U32", DType::u32, 32},
    {"U64", DType::u64, 64},
    {"C64", DType::other, 64},
    {"F8_E4M3", DType::other, 8},
    {"F8_E5M2", DType::other, 8},
    {"F8_E8M0", DType::other, 8},
    {"F8_E4M3FNUZ", DType::other, 8},
    {"F8_E5M2FNUZ", DType::other, 8},
    {"F6_E2M3", DType::other, 6},
    {"F6_E3M2", DType::other, 6},
    {"F4", DType::other, 4},
};

const DTypeRow& dtype_row(std::string_view name, const std::string& where,
                          std::string_view tensor) {
  for (const DTypeRow& row : kDTypes) {
    if (row.name == name) return row;
  }
  throw_error(ErrorKind::unsupported, where,
              "tensor {} has dtype {}, which is none that safetensors defines; expected F32, F16, "
              "BF16 or an integer type",
              quote(tensor), quote(name));
}

struct Range {
  uint64_t begin, end;
  std::string_view name;
};

uint64_t to_offset(const JsonValue& value) {
  const int64_t n = value.as_int();
  if (n < 0) value.fail("an offset >= 0");
  return static_cast<uint64_t>(n);
}

// Bytes that a shape and a dtype need. Errors: bad_format on a negative dimension or an overflow.
uint64_t needed_bytes(const std::vector<int64_t>& shape, uint64_t bits, const std::string& where,
                      std::string_view name) {
  uint64_t elements = 1;
  bool overflow = false;
  for (const int64_t dim : shape) {
    if (dim < 0) {
      throw_error(ErrorKind::bad_format, where, "tensor {} has a dimension of {}, expected >= 0",
                  quote(name), dim);
    }
    overflow |= __builtin_mul_overflow(elements, static_cast<uint64_t>(dim), &elements);
  }
  uint64_t total_bits = 0;
  overflow |= elements > (uint64_t{1} << 62) || __builtin_mul_overflow(elements, bits, &total_bits);
  if (overflow) {
    throw_error(ErrorKind::bad_format, where,
                "tensor {} has shape [{}], more bytes than any file can hold", quote(name),
                fmt::join(shape, ", "));
  }
  if (total_bits % 8 != 0) {
    throw_error(ErrorKind::bad_format, where,
                "tensor {} has {} elements of {} bits, which is no whole number of bytes",
                quote(name), elements, bits);
  }
  return total_bits / 8;
}

Range read_entry(std::string_view name, const JsonValue& entry, const std::string& where,
                 std::span<const std::byte> buffer, Tensor& tensor) {
  const DTypeRow& row = dtype_row(entry.at("dtype").as_string(), where, name);
  tensor.dtype = row.dtype;
  for (const JsonValue& dim : entry.at("shape").items()) tensor.shape.push_back(dim.as_int());
  const std::vector<JsonValue> offsets = entry.at("data_offsets").items();
  if (offsets.size() != 2) entry.at("data_offsets").fail("two offsets [begin, end]");
  const uint64_t begin = to_offset(offsets[0]), end = to_offset(offsets[1]);
  if (begin > end || end > buffer.size()) {
    throw_error(ErrorKind::bad_format, where,
                "tensor {} lies at bytes [{}, {}), expected a range within the {} bytes after the "
                "header; the file is cut or damaged, download it again",
                quote(name), begin, end, buffer.size());
  }
  const uint64_t needed = needed_bytes(tensor.shape, row.bits, where, name);
  if (end - begin != needed) {
    throw_error(ErrorKind::bad_format, where,
                "tensor {} of dtype {} and shape {} has {} bytes, expected {}", quote(name),
                row.name, tensor.shape_string(), end - begin, needed);
  }
  tensor.bytes = buffer.subspan(begin, end - begin);
  return {begin, end, name};
}

void check_layout(std::vector<Range>& ranges, uint64_t buffer_size, const std::string& where) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t end = 0;
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].begin != end) {
      const bool overlap = ranges[i].begin < end;
      throw_error(ErrorKind::bad_format, where,
                  "tensor {} begins at byte {}, expected {}: {}; the file is damaged or was made "
                  "to deceive",
                  quote(ranges[i].name), ranges[i].begin, end,
                  overlap ? fmt::format("it overlaps tensor {}", quote(ranges[i - 1].name))
                          : std::string("there is a hole before it"));
    }
    end = ranges[i].end;
  }
  if (end != buffer_size) {
    throw_error(ErrorKind::bad_format, where,
                "the last tensor ends at byte {} after the header, but the file has {} bytes "
                "there; expected them equal",
                end, buffer_size);
  }
}

// A checkout without its large files holds small texts in their place.
std::string_view pointer_words(std::span<const std::byte> bytes) {
  constexpr std::string_view kPointer = "version https://git-lfs";
  const bool pointer = bytes.size() >= kPointer.size() &&
                       std::memcmp(bytes.data(), kPointer.data(), kPointer.size()) == 0;
  return pointer ? " but a Git LFS pointer to one: get the file itself (git lfs pull)" : "";
}

std::string_view checked_header(std::span<const std::byte> bytes, const std::string& where) {
  if (bytes.size() < 8) {
    throw_error(ErrorKind::bad_format, where,
                "{} bytes, expected at least 8 for the header length; the file is cut, download "
                "it again",
                bytes.size());
  }
  uint64_t length = 0;
  for (size_t i = 0; i < 8; ++i) length |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  if (length > kMaxHeaderBytes) {
    throw_error(ErrorKind::bad_format, where,
                "header length is {} bytes, expected at most {}; this is not a safetensors file{}",
                length, kMaxHeaderBytes, pointer_words(bytes));
  }
  if (length > bytes.size() - 8) {
    throw_error(ErrorKind::bad_format, where,
                "header length is {} bytes, but only {} follow; the file is cut, download it again",
                length, bytes.size() - 8);
  }
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + 8, length);
  if (!header.starts_with('{')) {
    throw_error(ErrorKind::bad_format, where, "header begins with {}, expected \"{{\"",
                quote(header.substr(0, 8)));
  }
  return header;
}

void read_metadata(const JsonValue& value, const std::string& where,
                   std::map<std::string, std::string>& out) {
  for (const auto& [key, text] : value.fields()) {
    if (!out.emplace(key, text.as_string()).second) {
      throw_error(ErrorKind::bad_format, where, "__metadata__ has key {} twice", quote(key));
    }
  }
}

}  // namespace

void parse_safetensors(std::span<const std::byte> bytes, const std::string& where,
                       TensorFilesBuilder& builder) {
  const std::string_view header = checked_header(bytes, where);
  const std::span<const std::byte> buffer = bytes.subspan(8 + header.size());
  const JsonDocument document = JsonDocument::parse(header, where);
  std::vector<Range> ranges;
  bool has_metadata = false;
  for (const auto& [name, entry] : JsonValue(document).fields()) {
    if (name == "__metadata__") {
      if (std::exchange(has_metadata, true)) {
        throw_error(ErrorKind::bad_format, where, "header has key \"__metadata__\" twice");
      }
      read_metadata(entry, where, builder.metadata());
      continue;
    }
    Tensor tensor;
    ranges.push_back(read_entry(name, entry, where, buffer, tensor));
    if (!builder.tensors().emplace(name, std::move(tensor)).second) {
      throw_error(ErrorKind::bad_format, where, "tensor {} is in the header twice", quote(name));
    }
  }
  check_layout(ranges, buffer.size(), where);
}

TensorFiles TensorFiles::open_safetensors(const std::filesystem::path& path) {
  TensorFilesBuilder builder;
  const auto bytes = builder.add_file(MappedFile(path));
  parse_safetensors(bytes, path.string(), builder);
  return builder.take();
}

void TensorFiles::merge(TensorFiles&& other) {
  for (auto& [name, tensor] : other.tensors_) {
    if (tensors_.contains(name)) {
      throw_error(ErrorKind::bad_format,
                  other.files_.empty() ? std::string() : other.files_.front().path().string(),
                  "tensor {} is also in {}; expected each name in one file", quote(name),
                  files_.empty() ? "another file" : files_.front().path().string());
    }
  }
  tensors_.merge(other.tensors_);
  metadata_.merge(other.metadata_);
  std::move(other.files_.begin(), other.files_.end(), std::back_inserter(files_));
  std::move(other.owned_.begin(), other.owned_.end(), std::back_inserter(owned_));
}

namespace {

std::string make_header(const std::vector<std::pair<std::string_view, const Tensor*>>& order,
                        const std::map<std::string, std::string>& metadata,
                        const std::string& where) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  header["__metadata__"]["format"] = "pt";
  for (const auto& [key, value] : metadata) header["__metadata__"][key] = value;
  uint64_t offset = 0;
  for (const auto& [name, tensor] : order) {
    const uint64_t end = offset + tensor->bytes.size();
    header[std::string(name)] = {
        {"dtype", dtype_name(tensor->dtype)},
        {"shape", tensor->shape},
        {"data_offsets", nlohmann::ordered_json::array({offset, end})},
    };
    offset = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& error) {
    throw_error(ErrorKind::bad_format, where, "a tensor name or metadata is not valid UTF-8: {}",
                error.what());
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxHeaderBytes) {
    throw_error(ErrorKind::unsupported, where, "header would be {} bytes, readers refuse over {}",
                text.size(), kMaxHeaderBytes);
  }
  return text;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, Tensor, std::less<>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::string where = path.string();
  std::vector<std::pair<std::string_view, const Tensor*>> order;
  for (const auto& [name, tensor] : tensors) {
    const size_t size = dtype_size_bytes(tensor.dtype);
    if (size == 0 || name == "__metadata__") {
      throw_error(ErrorKind::unsupported, where, "tensor {} of dtype {} cannot be written",
                  quote(name), dtype_name(tensor.dtype));
    }
    AKIN_CHECK(tensor.bytes.size() == needed_bytes(tensor.shape, size * 8, where, name));
    order.emplace_back(name, &tensor);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return dtype_size_bytes(a.second->dtype) > dtype_size_bytes(b.second->dtype);
  });
  const std::string header = make_header(order, metadata, where);
  char length[8];
  for (size_t i = 0; i < 8; ++i) {
    length[i] = static_cast<char>((static_cast<uint64_t>(header.size()) >> (8 * i)) & 0xFFU);
  }
  AtomicFile file(path);
  file.write(length, sizeof length);
  file.write(header);
  for (const auto& [name, tensor] : order) file.write(tensor->bytes.data(), tensor->bytes.size());
  file.commit();
}

}  // namespace akin::store
