#include "data/eval_gate.h"

#include <utility>

#include "data/path_key.h"

namespace akin::data {

EvalGate::EvalGate(std::vector<std::string> texts, std::vector<std::string> columns) {
  options_.eval_texts = std::move(texts);
  options_.eval_columns = std::move(columns);
}

void EvalGate::add_key(Hasher& hasher) const {
  for (const auto& path : options_.eval_texts) add_path_key(path, hasher);
  for (const auto& column : options_.eval_columns) hasher.add(column);
}

bool EvalGate::meets(Record& record) {
  if (filter_ == nullptr) filter_ = make_filter("contamination", options_);
  Record* const one = &record;
  Verdict verdict;
  filter_->judge({&one, 1}, {&verdict, 1});
  return !verdict.reason.empty();
}

}  // namespace akin::data
