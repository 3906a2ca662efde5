// See parquet_decode.h.
#include "store/parquet_decode.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace akin::store {
namespace {

static_assert(std::endian::native == std::endian::little, "Parquet's bytes are read as they are");

bool read_varint(std::string_view& bytes, uint64_t& out) {
  out = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto b = static_cast<uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    out |= static_cast<uint64_t>(b & 0x7FU) << shift;
    if ((b & 0x80U) == 0) return true;
  }
  return false;
}

bool read_zigzag(std::string_view& bytes, uint64_t& out) {
  if (!read_varint(bytes, out)) return false;
  out = (out >> 1) ^ (0 - (out & 1U));
  return true;
}

template <typename T>
T load_as(const char* bytes) {
  T out;
  std::memcpy(&out, bytes, sizeof out);
  return out;
}

void set_integer(int64_t value, ParquetLeafType type, Value& out) {
  if (type.decimal && type.scale != 0) {
    out.kind = Value::Kind::real;
    out.real = static_cast<double>(value) / std::pow(10.0, type.scale);
    return;
  }
  if (type.unsigned_int && type.type == ParquetType::int64 && value < 0) {
    out.kind = Value::Kind::real;
    out.real = static_cast<double>(static_cast<uint64_t>(value));
    return;
  }
  out.kind = Value::Kind::integer;
  out.integer = type.unsigned_int && type.type == ParquetType::int32
                    ? static_cast<int64_t>(static_cast<uint32_t>(value))
                    : value;
}

void set_text(std::string_view text, Value& out) {
  out.kind = Value::Kind::text;
  out.text = text;
}

// A value of fixed size.
void set_fixed(const char* bytes, ParquetLeafType type, Value& out) {
  switch (type.type) {
    case ParquetType::int32:
      return set_integer(load_as<int32_t>(bytes), type, out);
    case ParquetType::int64:
      return set_integer(load_as<int64_t>(bytes), type, out);
    case ParquetType::float32:
      out.kind = Value::Kind::real;
      out.real = load_as<float>(bytes);
      return;
    default:
      out.kind = Value::Kind::real;
      out.real = load_as<double>(bytes);
  }
}

bool take_bytes(std::string_view& rest, std::string_view& out) {
  if (rest.size() < 4) return false;
  const auto size = load_as<uint32_t>(rest.data());
  if (size > rest.size() - 4) return false;
  out = rest.substr(4, size);
  rest.remove_prefix(4 + size_t{size});
  return true;
}

}  // namespace

uint64_t unpack_bits(std::string_view bytes, uint64_t begin, unsigned width) {
  if (width == 0) return 0;
  const uint64_t first = begin / 8;
  const auto shift = static_cast<unsigned>(begin % 8);
  uint64_t low = 0;
  uint8_t high = 0;
  if (first + 8 <= bytes.size()) {
    low = load_as<uint64_t>(bytes.data() + first);
  } else {
    std::memcpy(&low, bytes.data() + first, bytes.size() - first);
  }
  if (shift + width > 64) high = static_cast<uint8_t>(bytes[first + 8]);
  uint64_t out = low >> shift;
  if (shift > 0) out |= static_cast<uint64_t>(high) << (64 - shift);
  return width == 64 ? out : out & ((uint64_t{1} << width) - 1);
}

bool RunDecoder::next_slow(uint32_t& value) {
  while (packed_left_ == 0 && repeats_ == 0) {
    if (!next_run()) return false;
  }
  if (repeats_ > 0) {
    --repeats_;
    value = repeated_;
    return true;
  }
  if (bit_ + width_ > packed_.size() * 8) return false;
  value = static_cast<uint32_t>(unpack_bits(packed_, bit_, width_));
  bit_ += width_;
  --packed_left_;
  return true;
}

// The head of a run. A packed run at the end may lack the bytes of its padding.
bool RunDecoder::next_run() {
  uint64_t head = 0;
  if (width_ > 32 || rest_.empty() || !read_varint(rest_, head)) return false;
  if ((head & 1U) == 0) {
    const size_t bytes = (width_ + 7) / 8;
    if (rest_.size() < bytes) return false;
    repeated_ = 0;
    std::memcpy(&repeated_, rest_.data(), bytes);
    rest_.remove_prefix(bytes);
    repeats_ = head >> 1;
    return true;
  }
  const uint64_t groups = head >> 1;
  if (groups > (uint64_t{1} << 32)) return false;
  packed_ = rest_.substr(0, groups * width_);
  rest_.remove_prefix(packed_.size());
  packed_left_ = groups * 8;
  bit_ = 0;
  return true;
}

DeltaDecoder::DeltaDecoder(std::string_view bytes) : rest_(bytes) { good_ = read_header(); }

bool DeltaDecoder::read_header() {
  constexpr uint64_t kMaxBlock = 1U << 20, kMaxMiniblocks = 1U << 12;
  uint64_t block = 0;
  if (!read_varint(rest_, block) || !read_varint(rest_, miniblocks_) ||
      !read_varint(rest_, left_) || !read_zigzag(rest_, last_)) {
    return false;
  }
  if (block == 0 || block > kMaxBlock || miniblocks_ == 0 || miniblocks_ > kMaxMiniblocks ||
      block % miniblocks_ != 0) {
    return false;
  }
  miniblock_values_ = block / miniblocks_;
  return miniblock_values_ % 8 == 0;
}

// The next miniblock, at the head of a block its least difference and widths first.
bool DeltaDecoder::next_miniblock() {
  if (widths_.empty()) {
    if (!read_zigzag(rest_, min_delta_) || rest_.size() < miniblocks_) return false;
    widths_ = rest_.substr(0, miniblocks_);
    rest_.remove_prefix(miniblocks_);
  }
  width_ = static_cast<uint8_t>(widths_.front());
  widths_.remove_prefix(1);
  if (width_ > 64) return false;
  const uint64_t bytes = miniblock_values_ / 8 * width_;
  if (bytes > rest_.size()) return false;
  packed_ = rest_.substr(0, bytes);
  rest_.remove_prefix(bytes);
  miniblock_left_ = miniblock_values_;
  bit_ = 0;
  return true;
}

bool DeltaDecoder::next(int64_t& value) {
  if (!good_ || left_ == 0) return false;
  if (!first_) {
    if (miniblock_left_ == 0 && !next_miniblock()) {
      good_ = false;
      return false;
    }
    last_ += min_delta_ + unpack_bits(packed_, bit_, width_);
    bit_ += width_;
    --miniblock_left_;
  }
  first_ = false;
  --left_;
  value = static_cast<int64_t>(last_);
  return true;
}

bool DeltaDecoder::split(std::string_view bytes, std::string_view& numbers,
                         std::string_view& behind) {
  DeltaDecoder decoder(bytes);
  if (!decoder.good_) return false;
  uint64_t left = decoder.left_ > 0 ? decoder.left_ - 1 : 0;
  while (left > 0) {
    if (!decoder.next_miniblock()) return false;
    left -= std::min(left, decoder.miniblock_values_);
  }
  numbers = bytes.substr(0, bytes.size() - decoder.rest_.size());
  behind = decoder.rest_;
  return true;
}

size_t ParquetLeafType::bytes() const {
  switch (type) {
    case ParquetType::int32:
    case ParquetType::float32:
      return 4;
    case ParquetType::int64:
    case ParquetType::float64:
      return 8;
    default:
      return 0;
  }
}

bool ParquetDictionary::load(std::string_view bytes, ParquetLeafType type, uint32_t values) {
  bytes_ = bytes;
  type_ = type;
  values_ = values;
  offsets_.clear();
  if (type.type != ParquetType::bytes) {
    return type.bytes() > 0 && uint64_t{values} * type.bytes() <= bytes.size();
  }
  if (values > bytes.size() / 4) return false;
  offsets_.reserve(values);
  std::string_view rest = bytes, text;
  for (uint32_t i = 0; i < values; ++i) {
    offsets_.push_back(static_cast<uint32_t>(bytes.size() - rest.size()));
    if (!take_bytes(rest, text)) return false;
  }
  return true;
}

bool ParquetDictionary::get(uint32_t index, Value& out) const {
  if (index >= values_) return false;
  if (type_.type != ParquetType::bytes) {
    set_fixed(bytes_.data() + index * type_.bytes(), type_, out);
    return true;
  }
  const char* at = bytes_.data() + offsets_[index];
  set_text({at + 4, load_as<uint32_t>(at)}, out);
  return true;
}

bool ParquetValues::start(std::string_view bytes, int32_t encoding, ParquetLeafType type,
                          uint32_t values, const ParquetDictionary* dictionary) {
  rest_ = bytes;
  type_ = type;
  dictionary_ = dictionary;
  position_ = 0;
  const bool integer = type.type == ParquetType::int32 || type.type == ParquetType::int64;
  const bool text = type.type == ParquetType::bytes;
  switch (encoding) {
    case 0:
      encoding_ = Encoding::plain;
      return true;
    case 2:
    case 8: {
      encoding_ = Encoding::dictionary;
      if (dictionary == nullptr) return false;
      if (bytes.empty()) {  // a page of nulls
        runs_ = {};
        return true;
      }
      runs_ = RunDecoder(bytes.substr(1), static_cast<uint8_t>(bytes.front()));
      return true;
    }
    case 3: {
      encoding_ = Encoding::runs;
      std::string_view runs = bytes;
      if (!bytes.empty() && !take_bytes(rest_, runs)) return false;
      runs_ = RunDecoder(runs, 1);
      return type.type == ParquetType::boolean;
    }
    case 5:
      encoding_ = Encoding::delta;
      delta_ = DeltaDecoder(bytes);
      return integer;
    case 6:
    case 7:
      encoding_ = encoding == 6 ? Encoding::delta_length : Encoding::delta_bytes;
      return text && start_deltas();
    case 9:
      encoding_ = Encoding::split;
      split_values_ = type.bytes() == 0 ? 0 : bytes.size() / type.bytes();
      return type.bytes() > 0 && split_values_ <= values;
    default:
      return false;
  }
}

bool ParquetValues::start_deltas() {
  previous_.clear();
  if (rest_.empty()) {
    delta_ = prefixes_ = {};
    return true;
  }
  std::string_view numbers;
  if (encoding_ == Encoding::delta_bytes) {
    if (!DeltaDecoder::split(rest_, numbers, rest_)) return false;
    prefixes_ = DeltaDecoder(numbers);
  }
  if (!DeltaDecoder::split(rest_, numbers, rest_)) return false;
  delta_ = DeltaDecoder(numbers);
  return true;
}

bool ParquetValues::next(Value& out, std::deque<std::string>& copies) {
  switch (encoding_) {
    case Encoding::plain:
      return next_plain(out);
    case Encoding::dictionary: {
      uint32_t index = 0;
      return runs_.next(index) && dictionary_->get(index, out);
    }
    case Encoding::runs: {
      uint32_t bit = 0;
      out.kind = Value::Kind::integer;
      if (!runs_.next(bit)) return false;
      out.integer = bit;
      return true;
    }
    case Encoding::delta: {
      int64_t value = 0;
      if (!delta_.next(value)) return false;
      if (type_.type == ParquetType::int32) value = static_cast<int32_t>(value);
      set_integer(value, type_, out);
      return true;
    }
    case Encoding::delta_length: {
      std::string_view text;
      if (!next_delta_length(text)) return false;
      set_text(text, out);
      return true;
    }
    case Encoding::delta_bytes:
      return next_delta_bytes(out, copies);
    case Encoding::split:
      return next_split(out);
  }
  return false;
}

bool ParquetValues::next_plain(Value& out) {
  if (type_.type == ParquetType::bytes) {
    std::string_view text;
    if (!take_bytes(rest_, text)) return false;
    set_text(text, out);
    return true;
  }
  if (type_.type == ParquetType::boolean) {
    if (position_ / 8 >= rest_.size()) return false;
    out.kind = Value::Kind::integer;
    out.integer = static_cast<int64_t>(unpack_bits(rest_, position_, 1));
    ++position_;
    return true;
  }
  const size_t size = type_.bytes();
  if (size == 0 || rest_.size() < size) return false;
  set_fixed(rest_.data(), type_, out);
  rest_.remove_prefix(size);
  return true;
}

// Byte b of value i lies at b * values + i.
bool ParquetValues::next_split(Value& out) {
  if (position_ >= split_values_) return false;
  char bytes[8] = {};
  for (size_t b = 0; b < type_.bytes(); ++b) bytes[b] = rest_[b * split_values_ + position_];
  ++position_;
  set_fixed(bytes, type_, out);
  return true;
}

bool ParquetValues::next_delta_length(std::string_view& out) {
  int64_t size = 0;
  if (!delta_.next(size) || size < 0 || static_cast<uint64_t>(size) > rest_.size()) return false;
  out = rest_.substr(0, static_cast<size_t>(size));
  rest_.remove_prefix(static_cast<size_t>(size));
  return true;
}

bool ParquetValues::next_delta_bytes(Value& out, std::deque<std::string>& copies) {
  int64_t prefix = 0;
  std::string_view suffix;
  if (!prefixes_.next(prefix) || prefix < 0 || static_cast<uint64_t>(prefix) > previous_.size() ||
      !next_delta_length(suffix)) {
    return false;
  }
  previous_.resize(static_cast<size_t>(prefix));
  previous_.append(suffix);
  set_text(copies.emplace_back(previous_), out);
  return true;
}

}  // namespace akin::store
