#include "train/tensorboard.h"

#include <array>
#include <chrono>
#include <cstring>

#include "base/error.h"

namespace akin::train {
namespace {

// CRC-32C (Castagnoli), as TFRecord frames carry it, rotated and offset.
uint32_t masked_crc(std::string_view bytes) {
  static const std::array<uint32_t, 256> kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < table.size(); ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82F63B78U : 0);
      table[i] = value;
    }
    return table;
  }();
  uint32_t crc = ~0U;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<uint8_t>(c)) & 255] ^ (crc >> 8);
  crc = ~crc;
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8U;
}

template <typename T>
void append_raw(std::string& out, T value) {  // little-endian, as every machine that akin runs on
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 128; value >>= 7) out += static_cast<char>((value & 127) | 128);
  out += static_cast<char>(value);
}

// Protobuf wire types.
constexpr int kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;
void append_key(std::string& out, int field, int type) {
  append_varint(out, static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(type));
}
void append_bytes(std::string& out, int field, std::string_view bytes) {
  append_key(out, field, kBytes);
  append_varint(out, bytes.size());
  out += bytes;
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string event_at(double seconds) {
  std::string out;
  append_key(out, 1, kFixed64);  // wall_time
  append_raw(out, seconds);
  return out;
}

}  // namespace

EventWriter::EventWriter(const std::filesystem::path& folder) {
  const double now = now_seconds();
  path_ =
      (folder / fmt::format("events.out.tfevents.{}.akin", static_cast<uint64_t>(now))).string();
  file_ = std::fopen(path_.c_str(), "ab");
  if (file_ == nullptr) throw_error(ErrorKind::io, path_, "cannot be written");
  std::string event = event_at(now);
  append_bytes(event, 3, "brain.Event:2");  // file_version
  record(event);
}

EventWriter::~EventWriter() {
  if (file_ != nullptr) std::fclose(file_);
}

void EventWriter::scalar(std::string_view tag, uint64_t step, float value) {
  std::string item;
  append_bytes(item, 1, tag);
  append_key(item, 2, kFixed32);  // simple_value
  append_raw(item, value);
  std::string summary;
  append_bytes(summary, 1, item);
  std::string event = event_at(now_seconds());
  append_key(event, 2, kVarint);
  append_varint(event, step);
  append_bytes(event, 5, summary);
  record(event);
}

void EventWriter::record(std::string_view event) {
  std::string frame;
  append_raw(frame, static_cast<uint64_t>(event.size()));
  append_raw(frame, masked_crc(frame));
  frame += event;
  append_raw(frame, masked_crc(event));
  if (std::fwrite(frame.data(), 1, frame.size(), file_) != frame.size()) {
    throw_error(ErrorKind::io, path_, "cannot be written; is the disk full?");
  }
}

void EventWriter::flush() {
  if (std::fflush(file_) != 0) {
    throw_error(ErrorKind::io, path_, "cannot be written; is the disk full?");
  }
}

}  // namespace akin::train
