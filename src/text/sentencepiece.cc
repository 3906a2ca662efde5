// Reads the protobuf wire format of a sentencepiece model. Unknown fields are skipped, every length
// is checked before it is used. The conversion to tokenizer.json is in sentencepiece_convert.cc.
#include "text/sentencepiece.h"

#include <simdjson.h>

#include <bit>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace akin::text {
namespace {

constexpr size_t kMaxPieces = size_t{1} << 24;

// Walks the fields of one message. Nested messages are read by a Wire of their own.
class Wire {
 public:
  Wire(std::string_view bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  // The next field, or false at the end. Its value is then in number() or bytes().
  bool next() {
    if (bytes_.empty()) return false;
    const uint64_t tag = varint();
    field_ = tag >> 3;
    type_ = static_cast<int>(tag & 7);
    if (field_ == 0 || field_ > 0x1FFFFFFF) fail("a field number out of range");
    switch (type_) {
      case 0:
        number_ = varint();
        break;
      case 1:
        number_ = fixed(8);
        break;
      case 2: {
        const uint64_t size = varint();
        if (size > bytes_.size()) fail("a length that runs past the end");
        value_ = bytes_.substr(0, size);
        bytes_.remove_prefix(size);
        break;
      }
      case 5:
        number_ = fixed(4);
        break;
      default:
        fail("an unknown wire type");
    }
    return true;
  }
  uint64_t field() const { return field_; }

  // The value, when it has the wire type that the caller expects.
  uint64_t number() const {
    if (type_ != 0) fail("a field of the wrong type");
    return number_;
  }
  int32_t int32() const { return static_cast<int32_t>(static_cast<uint32_t>(number())); }
  bool boolean() const { return number() != 0; }
  float real() const {
    if (type_ != 5) fail("a field of the wrong type");
    return std::bit_cast<float>(static_cast<uint32_t>(number_));
  }
  std::string_view bytes() const {
    if (type_ != 2) fail("a field of the wrong type");
    return value_;
  }
  std::string text() const {
    if (!simdjson::validate_utf8(bytes().data(), bytes().size())) fail("text that is not UTF-8");
    return std::string(value_);
  }
  [[noreturn]] void fail(std::string_view what) const {
    throw_error(ErrorKind::bad_format, where_,
                "not a sound sentencepiece model: found {}; download it again", what);
  }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (bytes_.empty()) fail("a number cut off at the end");
      const auto byte = static_cast<uint8_t>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    fail("a number of more than 64 bits");
  }
  uint64_t fixed(size_t size) {
    if (bytes_.size() < size) fail("a number cut off at the end");
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      value |= uint64_t{static_cast<uint8_t>(bytes_[i])} << 8 * i;
    }
    bytes_.remove_prefix(size);
    return value;
  }

  std::string_view bytes_;
  const std::string& where_;
  uint64_t field_ = 0, number_ = 0;
  int type_ = 0;
  std::string_view value_;
};

void read_piece(std::string_view bytes, const std::string& where, SentencePieceModel& model) {
  SentencePieceModel::Piece piece;
  Wire wire(bytes, where);
  while (wire.next()) {
    if (wire.field() == 1) {
      piece.text = wire.text();
    } else if (wire.field() == 2) {
      piece.score = wire.real();
    } else if (wire.field() == 3) {
      if (wire.number() < 1 || wire.number() > 6) wire.fail("an unknown piece type");
      piece.type = static_cast<SentencePieceModel::Type>(wire.number());
    }
  }
  if (!std::isfinite(piece.score)) wire.fail("a score that is not a number");
  if (piece.text.empty()) wire.fail("an empty piece");
  if (model.pieces.size() >= kMaxPieces) wire.fail("more than 16 million pieces");
  model.pieces.push_back(std::move(piece));
}

void read_trainer(std::string_view bytes, const std::string& where, SentencePieceModel& model) {
  Wire wire(bytes, where);
  while (wire.next()) {
    switch (wire.field()) {
      case 3:
        if (wire.number() < 1 || wire.number() > 4) wire.fail("an unknown model type");
        model.algorithm = static_cast<SentencePieceModel::Algorithm>(wire.number());
        break;
      case 24:
        model.treat_whitespace_as_suffix = wire.boolean();
        break;
      case 35:
        model.byte_fallback = wire.boolean();
        break;
      case 40:
        model.unk_id = wire.int32();
        break;
      case 41:
        model.bos_id = wire.int32();
        break;
      case 42:
        model.eos_id = wire.int32();
        break;
      case 43:
        model.pad_id = wire.int32();
        break;
      case 45:
        model.unk_piece = wire.text();
        break;
      case 46:
        model.bos_piece = wire.text();
        break;
      case 47:
        model.eos_piece = wire.text();
        break;
      case 48:
        model.pad_piece = wire.text();
        break;
      default:
        break;
    }
  }
}

void read_normalizer(std::string_view bytes, const std::string& where, SentencePieceModel& model) {
  Wire wire(bytes, where);
  while (wire.next()) {
    if (wire.field() == 2) model.charsmap = std::string(wire.bytes());
    if (wire.field() == 3) model.add_dummy_prefix = wire.boolean();
    if (wire.field() == 4) model.remove_extra_whitespaces = wire.boolean();
    if (wire.field() == 5) model.escape_whitespaces = wire.boolean();
  }
}

}  // namespace

SentencePieceModel read_sentencepiece(std::string_view bytes, const std::string& where) {
  SentencePieceModel model;
  Wire wire(bytes, where);
  while (wire.next()) {
    if (wire.field() == 1) read_piece(wire.bytes(), where, model);
    if (wire.field() == 2) read_trainer(wire.bytes(), where, model);
    if (wire.field() == 3) read_normalizer(wire.bytes(), where, model);
  }
  if (model.pieces.empty()) wire.fail("no pieces");
  return model;
}

SentencePieceModel load_sentencepiece(const std::filesystem::path& path) {
  return read_sentencepiece(read_file(path, uint64_t{1} << 30), path.string());
}

}  // namespace akin::text
