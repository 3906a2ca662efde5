#include "store/item_scores.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "store/mteb_result.h"

namespace akin::store {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 5> kNames = {"mean", "spearman", "pearson", "ap",
                                                    "accuracy"};

std::vector<double> numbers(const JsonValue& list) {
  std::vector<double> out;
  const auto array = list.as_array();
  out.reserve(array.size());
  for (const auto item : array) {
    double value = std::numeric_limits<double>::quiet_NaN();  // written as null
    if (!item.is_null() && item.get(value) != simdjson::SUCCESS)
      list.fail("a list of numbers only");
    out.push_back(value);
  }
  return out;
}

ItemScores parse_line(std::string_view line, const std::string& where) {
  const auto document = JsonDocument::parse(line, where);
  const JsonValue root(document);
  ItemScores out;
  out.split = root.at("split").as_string();
  out.subset = root.get("subset", "default");
  out.metric = root.get("metric", "");
  const std::string name = root.get("statistic", "mean");
  const auto known = std::find(kNames.begin(), kNames.end(), name);
  if (known == kNames.end()) {
    throw_error(ErrorKind::bad_format, where, "\"statistic\": got {}, expected one of {}",
                quote(name), fmt::join(kNames, ", "));
  }
  out.statistic = static_cast<ItemStatistic>(known - kNames.begin());
  out.values = numbers(root.at("values"));
  if (const auto gold = root.find("gold")) out.gold = numbers(*gold);
  if (const auto ids = root.find("ids")) {
    for (const auto& id : ids->items()) out.ids.emplace_back(id.as_string());
  }
  const bool needs_gold = out.statistic != ItemStatistic::mean;
  if (out.gold.size() != (needs_gold ? out.values.size() : 0) ||
      (!out.ids.empty() && out.ids.size() != out.values.size())) {
    throw_error(ErrorKind::bad_format, where, "{} values, {} gold, {} ids: lengths must agree",
                out.values.size(), out.gold.size(), out.ids.size());
  }
  return out;
}

}  // namespace

std::string_view item_statistic_name(ItemStatistic statistic) {
  return kNames[static_cast<size_t>(statistic)];
}

std::filesystem::path item_scores_path(const std::filesystem::path& folder, std::string_view task) {
  return folder / "items" / (model_folder_name(task) + ".jsonl");
}

void write_item_scores(const std::filesystem::path& folder, std::string_view task,
                       const std::vector<ItemScores>& items) {
  std::string out;
  for (const auto& item : items) {
    Json line = {{"split", item.split},
                 {"subset", item.subset},
                 {"metric", item.metric},
                 {"statistic", item_statistic_name(item.statistic)},
                 {"values", item.values}};
    if (!item.gold.empty()) line["gold"] = item.gold;
    if (!item.ids.empty()) line["ids"] = item.ids;
    out += line.dump(-1, ' ', false, Json::error_handler_t::replace);
    out += '\n';
  }
  const auto path = item_scores_path(folder, task);
  std::filesystem::create_directories(path.parent_path());
  write_file(path, out);
}

std::vector<ItemScores> read_item_scores(const std::filesystem::path& folder,
                                         std::string_view task) {
  const auto path = item_scores_path(folder, task);
  std::vector<ItemScores> out;
  if (!std::filesystem::exists(path)) return out;
  const std::string bytes = read_file(path, uint64_t{1} << 30);
  size_t begin = 0, number = 0;
  while (begin < bytes.size()) {
    const size_t end = std::min(bytes.find('\n', begin), bytes.size());
    const auto line = std::string_view(bytes).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (!line.empty()) out.push_back(parse_line(line, fmt::format("{}:{}", path.string(), number)));
  }
  return out;
}

}  // namespace akin::store
