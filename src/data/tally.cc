// See tally.h.
#include "data/tally.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/error.h"
#include "base/hash.h"

namespace akin::data {
namespace {

uint64_t order_of(uint64_t number) {
  return hash64({reinterpret_cast<const char*>(&number), sizeof number});
}

// The number that shows as the float does: 0.1, not 0.10000000149.
double shortest(float value) { return std::strtod(fmt::format("{}", value).c_str(), nullptr); }

}  // namespace

nlohmann::ordered_json record_json(const Record& record) {
  nlohmann::ordered_json out{{record.is_pair() ? "query" : "text", record.query}};
  if (record.shape != RowShape::single)
    out[record.is_pair() ? "positive" : "label"] = record.positive;
  if (!record.negatives.empty()) out["negatives"] = record.negatives;
  if (record.label) out["label"] = shortest(*record.label);
  for (const float score : record.scores) out["scores"].push_back(shortest(score));
  if (!record.task.empty()) out["task"] = record.task;
  if (!record.source.empty()) out["source"] = record.source;
  return out;
}

void Tally::Reason::add(Sample sample) {
  if (!wants(sample.order)) return;
  const auto at = std::upper_bound(samples.begin(), samples.end(), sample.order,
                                   [](uint64_t order, const Sample& s) { return order < s.order; });
  samples.insert(at, std::move(sample));
  if (samples.size() > kSamples) samples.pop_back();
}

void Tally::remove(std::string_view reason, const std::string& match, const Record& record,
                   uint64_t number) {
  auto at = reasons_.find(reason);
  if (at == reasons_.end()) at = reasons_.try_emplace(std::string(reason)).first;
  ++at->second.count;
  const uint64_t order = order_of(number);
  if (!at->second.wants(order)) return;
  auto shown = nlohmann::ordered_json::object();
  shown["row"] = record.row;
  if (!match.empty()) shown["match"] = match;
  shown["record"] = record_json(record);
  at->second.add({order, std::move(shown)});
}

void Tally::note(std::string_view note) {
  const auto at = notes_.find(note);
  if (at == notes_.end()) {
    notes_.emplace(note, 1);
  } else {
    ++at->second;
  }
}

void Tally::merge(const Tally& other) {
  in_ += other.in_;
  changed_ += other.changed_;
  for (const auto& [name, count] : other.notes_) notes_[name] += count;
  for (const auto& [name, reason] : other.reasons_) {
    Reason& mine = reasons_[name];
    mine.count += reason.count;
    for (const Sample& sample : reason.samples) mine.add(sample);
  }
}

uint64_t Tally::removed() const {
  uint64_t out = 0;
  for (const auto& [name, reason] : reasons_) out += reason.count;
  return out;
}

nlohmann::ordered_json Tally::json() const {
  nlohmann::ordered_json reasons = nlohmann::ordered_json::object();
  for (const auto& [name, reason] : reasons_) {
    auto samples = nlohmann::ordered_json::array();
    for (const Sample& sample : reason.samples) {
      samples.push_back(sample.shown);
      samples.back()["order"] = sample.order;
    }
    reasons[name] = {{"count", reason.count}, {"samples", std::move(samples)}};
  }
  nlohmann::ordered_json out{
      {"in", in_}, {"removed", removed()}, {"changed", changed_}, {"reasons", std::move(reasons)}};
  if (!notes_.empty()) out["notes"] = notes_;
  return out;
}

Tally Tally::from_json(const nlohmann::ordered_json& json) {
  Tally out;
  try {
    out.in_ = json.at("in").get<uint64_t>();
    out.changed_ = json.at("changed").get<uint64_t>();
    if (json.contains("notes")) json.at("notes").get_to(out.notes_);
    for (const auto& [name, reason] : json.at("reasons").items()) {
      Reason& mine = out.reasons_[name];
      mine.count = reason.at("count").get<uint64_t>();
      for (auto shown : reason.at("samples")) {
        const auto order = shown.at("order").get<uint64_t>();
        shown.erase("order");
        mine.add({order, std::move(shown)});
      }
    }
  } catch (const nlohmann::json::exception& error) {
    throw_error(ErrorKind::bad_format, "state.json",
                "damaged ({}); remove the work folder and start again", error.what());
  }
  return out;
}

}  // namespace akin::data
