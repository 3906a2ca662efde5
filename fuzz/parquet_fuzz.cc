// libFuzzer: any bytes as a Parquet file. All columns that it names are read, lists too; every text
// that comes out must be readable to its end. Seeds: src/store/testdata/*.parquet.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "store/row_reader.h"

namespace {

using akin::store::Value;

// As deep as lists are nested; the reader bounds that.
uint64_t touch(const Value& value) {
  uint64_t out = 1;
  for (const char c : value.text) out += static_cast<unsigned char>(c) & 1U;
  for (const Value& item : value.list) out += touch(item);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace akin::store;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    const std::vector<std::string> names = list_parquet_columns(bytes, "fuzz");
    // One by one: a column that cannot be read must not hide the others.
    for (size_t i = 0; i < names.size() && i < 20; ++i) {
      if (names[i].find_first_of("|?") != std::string::npos) continue;
      try {
        const std::vector<std::string> column = {names[i]};
        const auto rows = make_parquet_rows(bytes, "fuzz", column, {.max_row_bytes = 1 << 20});
        Value value;
        uint64_t seen = 0;
        // Long runs cost no bytes; no need to read them all.
        while (seen < 200'000 && rows->next({&value, 1})) seen += touch(value);
      } catch (const akin::Error& error) {
        if (error.kind() == akin::ErrorKind::internal) std::abort();
      }
    }
  } catch (const akin::Error& error) {
    if (error.kind() == akin::ErrorKind::internal) std::abort();
  }
  return 0;
}
