// Which rows of a dataset a task uses: Hugging Face's train_test_split (plain and stratified) and
// mteb's two ways to thin a split out. Returns row numbers; never touches the rows themselves.
// Follows datasets' Dataset.train_test_split and mteb 2.20.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace akin::eval {

struct TrainTest {
  std::vector<size_t> train, test;
};

// Dataset.train_test_split(test_size=test_rows, seed=seed). Errors: usage unless
// 0 < test_rows < rows.
TrainTest train_test_split(size_t rows, size_t test_rows, uint64_t seed = 42);

// The same with stratify_by_column; `labels` are the column's integers. Errors: usage unless
// 0 < test_rows < rows, both parts have room for every class, and no class has a single row.
TrainTest stratified_train_test_split(std::span<const int32_t> labels, size_t test_rows,
                                      uint64_t seed = 42);

// Class ids of a column of strings, as class_encode_column gives them: distinct strings in code
// point order ("10" before "2"). `classes` views into `labels`.
struct EncodedLabels {
  std::vector<int32_t> ids;               // one a row
  std::vector<std::string_view> classes;  // by id
};
EncodedLabels encode_labels(std::span<const std::string_view> labels);

// mteb's stratified_subsampling: the rows kept, in order; all rows when there are no more than
// `keep`. Errors as stratified_train_test_split.
std::vector<size_t> stratified_subsample(std::span<const std::string_view> labels, size_t keep,
                                         uint64_t seed = 42);

// mteb's training sample for one classification experiment: shuffles `order` (0..rows-1 before the
// first experiment, then handed from one to the next) by a fresh RandomState(seed), walks it and
// keeps a row while its label has fewer than `samples_per_label`. Rows in walk order.
std::vector<size_t> undersample(std::span<const int32_t> labels, size_t samples_per_label,
                                std::vector<size_t>& order, uint32_t seed = 42);

class Pcg64;
// The multilabel one: shuffles by the task's running default_rng; keeps a row if any of its labels
// still has fewer than `samples_per_label`. labels: one list of label ids a row.
std::vector<size_t> undersample_multilabel(std::span<const std::vector<int32_t>> labels,
                                           size_t samples_per_label, std::vector<size_t>& order,
                                           Pcg64& rng);

}  // namespace akin::eval
