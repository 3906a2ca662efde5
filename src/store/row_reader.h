// What the row readers of rows.h share: requests for columns, and the readers themselves over
// memory. Internal to store/, for its tests and fuzz targets too.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "store/byte_stream.h"
#include "store/rows.h"

namespace akin::store {

// "id|_id?" taken apart; borrows it.
struct ColumnRequest {
  explicit ColumnRequest(std::string_view column);
  std::vector<std::string_view> names;
  bool optional = false;
};
[[noreturn]] void throw_missing_column(std::string_view where, const ColumnRequest& request,
                                       const std::vector<std::string>& there);

std::unique_ptr<RowReader> make_json_rows(std::unique_ptr<ByteStream> in, std::string where,
                                          std::span<const std::string> columns,
                                          const RowOptions& options);
std::unique_ptr<RowReader> make_table_rows(std::unique_ptr<ByteStream> in, std::string where,
                                           std::span<const std::string> columns,
                                           const RowOptions& options);
// Borrows `bytes`.
std::unique_ptr<RowReader> make_parquet_rows(std::string_view bytes, std::string where,
                                             std::span<const std::string> columns,
                                             const RowOptions& options);
std::unique_ptr<RowReader> open_parquet_rows(const std::filesystem::path& path,
                                             std::span<const std::string> columns,
                                             const RowOptions& options);

std::vector<std::string> list_json_columns(std::unique_ptr<ByteStream> in, std::string where,
                                           const RowOptions& options);
std::vector<std::string> list_table_columns(std::unique_ptr<ByteStream> in, std::string where,
                                            const RowOptions& options);
std::vector<std::string> list_parquet_columns(std::string_view bytes, const std::string& where);
std::vector<std::string> list_parquet_columns(const std::filesystem::path& path);

}  // namespace akin::store
