#include "data/eval_gate.h"

#include <utility>

#include "base/hash.h"
#include "data/path_key.h"

namespace akin::data {

EvalGate::EvalGate(std::vector<std::string> texts, std::vector<std::string> columns) {
  options_.eval_texts = std::move(texts);
  options_.eval_columns = std::move(columns);
}

const std::string& EvalGate::key() {
  if (!key_.empty()) return key_;
  Hasher hasher;
  for (const auto& path : options_.eval_texts) add_path_key(path, hasher);
  for (const auto& column : options_.eval_columns) hasher.add(column);
  return key_ = hasher.hex();
}

bool EvalGate::meets(Record& record) {
  if (filter_ == nullptr) filter_ = make_filter("contamination", options_);
  Record* const one = &record;
  Verdict verdict;
  filter_->judge({&one, 1}, {&verdict, 1});
  return !verdict.reason.empty();
}

}  // namespace akin::data
