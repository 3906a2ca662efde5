// The scores of single items (queries, pairs, experiments) that lie behind a task's main score, one
// file a task, so that two runs can be compared item by item. Not a file of mteb's: it lies in
// <revision>/items/<Task>.jsonl, where mteb's readers do not look.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace akin::store {

// How the main score comes from the items.
enum class ItemStatistic : uint8_t {
  mean,      // mean of values (nDCG of each query, average precision of each list, v-measures)
  spearman,  // of (values, gold)
  pearson,   // of (values, gold)
  ap,        // average precision of values against gold in {0, 1}
  accuracy,  // of the best threshold on values against gold in {0, 1}
};
std::string_view item_statistic_name(ItemStatistic statistic);

// One line of the file: the items of one subset of one split.
struct ItemScores {
  std::string split;
  std::string subset = "default";
  std::string metric = {};  // the main score's name, "ndcg_at_10"
  ItemStatistic statistic = ItemStatistic::mean;
  std::vector<double> values = {};
  std::vector<double> gold = {};  // as long as values, except for `mean`: empty
  std::vector<std::string> ids =
      {};  // empty, or as long as values; runs are paired by id when present
};

std::filesystem::path item_scores_path(const std::filesystem::path& folder, std::string_view task);
void write_item_scores(const std::filesystem::path& folder, std::string_view task,
                       const std::vector<ItemScores>& items);  // atomic
// Empty when the file is not there. Errors: bad_format naming file and line.
std::vector<ItemScores> read_item_scores(const std::filesystem::path& folder,
                                         std::string_view task);

}  // namespace akin::store
