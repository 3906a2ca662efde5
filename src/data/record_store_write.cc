// See record_store_write.h.
#include "data/record_store_write.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "base/error.h"
#include "data/record_io.h"

namespace akin::data {
namespace {

template <typename T>
std::string_view bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string_view bytes_of(const std::vector<uint64_t>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(uint64_t)};
}

}  // namespace

StoreWriter::StoreWriter(const std::filesystem::path& path) : file_(path) {
  file_.write(bytes_of(header_));
}

void StoreWriter::write(const Record& record, const TextKeys& keys) {
  RecordHead head;
  head.keys = keys;
  bytes_.assign(sizeof head, '\0');
  append_packed(record, bytes_);
  std::memcpy(bytes_.data(), &head, sizeof head);
  head.check = hash64(std::string_view(bytes_).substr(sizeof head.check));
  std::memcpy(bytes_.data(), &head.check, sizeof head.check);
  contents_.add(head.check);
  begins_.push_back(file_.size_bytes());
  file_.write(bytes_);
  count(record);
  if (begins_.size() == kBlockRecords) end_block();
}

void StoreWriter::count(const Record& record) {
  RecordStore::Fields& fields = header_.fields;
  ++header_.records;
  fields.positive += record.positive.empty() ? 0 : 1;
  fields.label += record.label ? 1 : 0;
  fields.not_pairs += record.label && *record.label <= 0 ? 1 : 0;
  fields.scores += record.scores.size() == 1 + record.negatives.size() ? 1 : 0;
  if (record.negatives.empty()) return;
  ++fields.negatives;
  fields.fewest_negatives = fields.negatives == 1
                                ? record.negatives.size()
                                : std::min(fields.fewest_negatives, record.negatives.size());
}

void StoreWriter::end_block() {
  if (begins_.empty()) return;
  begins_.push_back(file_.size_bytes());
  tables_.push_back(file_.size_bytes());
  file_.write(bytes_of(begins_));
  begins_.clear();
}

void StoreWriter::commit(std::string_view inputs, RecordStore::RowCounts rows) {
  AKIN_CHECK(inputs.size() == kKeyBytes);
  end_block();
  header_.directory_at = file_.size_bytes();
  file_.write(bytes_of(tables_));
  header_.file_bytes = file_.size_bytes();
  header_.rows = rows;
  inputs.copy(header_.inputs, kKeyBytes);
  contents_.hex().copy(header_.contents, kKeyBytes);
  header_.check = hash64(bytes_of(header_).substr(0, offsetof(StoreHeader, check)));
  file_.rewrite(0, bytes_of(header_));
  file_.commit();
}

}  // namespace akin::data
