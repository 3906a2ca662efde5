// libFuzzer: any bytes as a text source. The first byte chooses format and options, the rest is the
// file, compressed or not.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "store/row_source.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace akin::store;
  if (size == 0) return 0;
  constexpr TextFormat kFormats[] = {TextFormat::lines, TextFormat::jsonl, TextFormat::tsv,
                                     TextFormat::csv};
  TextSourceOptions options;
  options.format = kFormats[data[0] & 3U];
  options.skip_bad_rows = (data[0] & 4U) != 0;
  if ((data[0] & 8U) != 0) options.max_row_bytes = 16;
  if ((data[0] & 16U) != 0 && options.format != TextFormat::lines) options.id_field = "id";
  if ((data[0] & 32U) != 0 && options.format != TextFormat::lines) options.fields = {"text", "2"};
  try {
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const auto source = make_text_source(open_memory_stream(bytes), "fuzz", options);
    TextRow row;
    uint64_t output = 0;
    while (source->next(row)) {
      output += row.values.size() + row.values[0].size();
      if (output > 50'000'000) break;  // a decompression bomb streams; no need to read it all
    }
  } catch (const akin::Error&) {
    return 0;
  }
  return 0;
}
