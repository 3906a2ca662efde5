// Scalars as a TensorBoard event file: TFRecord frames of Event messages, written by hand, since
// the three fields that curves need do not justify a protobuf library.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

namespace akin::train {

class EventWriter {
 public:
  // Makes `<folder>/events.out.tfevents.<seconds>.akin`. Errors: io.
  explicit EventWriter(const std::filesystem::path& folder);
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;
  void scalar(std::string_view tag, uint64_t step, float value);
  void flush();

 private:
  void record(std::string_view event);
  std::string path_;
  std::FILE* file_ = nullptr;
};

}  // namespace akin::train
