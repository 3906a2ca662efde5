#include "mine/tally.h"

#include <algorithm>
#include <cmath>

namespace akin::mine {
namespace {

using Json = nlohmann::ordered_json;

template <typename Array>
void add_all(Array& to, const Array& from) {
  for (size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

double share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

Json counts_json(const ScoreCounts& counts) {
  return {{"count", counts.count}, {"millionths", counts.millionths}, {"bins", counts.bins}};
}
ScoreCounts read_counts(const Json& json) {
  ScoreCounts out;
  out.count = json.at("count").get<uint64_t>();
  out.millionths = json.at("millionths").get<int64_t>();
  out.bins = json.at("bins").get<decltype(out.bins)>();
  return out;
}

constexpr double kMillion = 1e6;

}  // namespace

void ScoreCounts::add(float score) {
  const double at = (double{score} + 1) / 2 * kBins;
  ++bins[static_cast<size_t>(std::clamp(at, 0.0, double{kBins - 1}))];
  ++count;
  millionths += std::llround(double{score} * kMillion);
}
void ScoreCounts::merge(const ScoreCounts& other) {
  add_all(bins, other.bins);
  count += other.count;
  millionths += other.millionths;
}
double ScoreCounts::mean() const {
  return count == 0 ? 0 : static_cast<double>(millionths) / kMillion / static_cast<double>(count);
}

void Tally::Samples::add(Sample sample, size_t most) {
  const auto at =
      std::lower_bound(items.begin(), items.end(), sample,
                       [](const Sample& a, const Sample& b) { return a.order < b.order; });
  items.insert(at, std::move(sample));
  if (items.size() > most) items.pop_back();
}
Json Tally::Samples::json() const {
  Json out = Json::array();
  for (const auto& item : items) out.push_back({{"order", item.order}, {"shown", item.shown}});
  return out;
}
Tally::Samples Tally::Samples::from_json(const Json& json) {
  Samples out;
  for (const auto& item : json) {
    out.items.push_back({item.at("order").get<uint64_t>(), item.at("shown")});
  }
  return out;
}

void Tally::add_row(uint64_t order, Json shown) {
  rows_.add({order, std::move(shown)}, kRowSamples);
}
void Tally::add_fate(Fate fate, uint64_t order, Json shown) {
  samples_[static_cast<size_t>(fate)].add({order, std::move(shown)}, kFateSamples);
}

void Tally::merge(const Tally& other) {
  rows += other.rows;
  window += other.window;
  kept += other.kept;
  filled += other.filled;
  short_rows += other.short_rows;
  bare_rows += other.bare_rows;
  rank_sum += other.rank_sum;
  plain_judged += other.plain_judged;
  add_all(fates, other.fates);
  add_all(plain, other.plain);
  add_all(order_broken, other.order_broken);
  positives.merge(other.positives);
  negatives.merge(other.negatives);
  hidden.tried += other.hidden.tried;
  hidden.outside += other.hidden.outside;
  hidden.cut += other.hidden.cut;
  hidden.passed += other.hidden.passed;
  for (const auto& sample : other.rows_.items) {
    if (wants_row(sample.order)) rows_.add(sample, kRowSamples);
  }
  for (size_t i = 0; i < kFates; ++i) {
    for (const auto& sample : other.samples_[i].items) {
      if (samples_[i].wants(sample.order, kFateSamples)) samples_[i].add(sample, kFateSamples);
    }
  }
}

Json Tally::json() const {
  Json samples = Json::array();
  for (const auto& of_fate : samples_) samples.push_back(of_fate.json());
  return {{"rows", rows},
          {"window", window},
          {"kept", kept},
          {"filled", filled},
          {"short_rows", short_rows},
          {"bare_rows", bare_rows},
          {"rank_sum", rank_sum},
          {"plain_judged", plain_judged},
          {"fates", fates},
          {"plain", plain},
          {"order_broken", order_broken},
          {"positives", counts_json(positives)},
          {"negatives", counts_json(negatives)},
          {"hidden", {hidden.tried, hidden.outside, hidden.cut, hidden.passed}},
          {"row_samples", rows_.json()},
          {"fate_samples", samples}};
}

Tally Tally::from_json(const Json& json) {
  Tally out;
  const auto number = [&](const char* key) { return json.at(key).get<uint64_t>(); };
  out.rows = number("rows");
  out.window = number("window");
  out.kept = number("kept");
  out.filled = number("filled");
  out.short_rows = number("short_rows");
  out.bare_rows = number("bare_rows");
  out.rank_sum = number("rank_sum");
  out.plain_judged = number("plain_judged");
  out.fates = json.at("fates").get<decltype(out.fates)>();
  out.plain = json.at("plain").get<decltype(out.plain)>();
  out.order_broken = json.at("order_broken").get<decltype(out.order_broken)>();
  out.positives = read_counts(json.at("positives"));
  out.negatives = read_counts(json.at("negatives"));
  const auto& hidden = json.at("hidden");
  out.hidden = {hidden.at(0).get<uint64_t>(), hidden.at(1).get<uint64_t>(),
                hidden.at(2).get<uint64_t>(), hidden.at(3).get<uint64_t>()};
  out.rows_ = Samples::from_json(json.at("row_samples"));
  for (size_t i = 0; i < kFates; ++i) {
    out.samples_[i] = Samples::from_json(json.at("fate_samples").at(i));
  }
  return out;
}

void Tally::report(Json& out) const {
  Json guards = Json::array();
  for (size_t i = 1; i < kFates; ++i) {
    Json samples = Json::array();
    for (const auto& item : samples_[i].items) samples.push_back(item.shown);
    guards.push_back({{"name", fate_name(static_cast<Fate>(i))},
                      {"removed", fates[i]},
                      {"share", share(fates[i], window)},
                      {"without_guards", plain[i]},
                      {"samples", std::move(samples)}});
  }
  uint64_t all = 0, likely = 0;
  for (size_t i = 0; i < kFates; ++i) {
    all += plain[i];
    const bool by_text =
        i >= static_cast<size_t>(Fate::own_query) && i <= static_cast<size_t>(Fate::alike_answer);
    likely += by_text ? plain[i] : 0;
  }
  Json estimate = {{"without_guards", all},
                   {"without_guards_known_or_nearly_equal", share(likely, all)},
                   {"hidden_answers_tried", hidden.tried},
                   {"hidden_answers_outside_the_window", hidden.outside},
                   {"hidden_answers_cut", hidden.cut},
                   {"hidden_answers_passed", hidden.passed}};
  const uint64_t in_window = hidden.cut + hidden.passed;
  estimate["hidden_answers_passed_share"] =
      in_window == 0 ? Json(nullptr) : Json(share(hidden.passed, in_window));
  estimate["above_positive_by_other_model"] =
      order_broken[0] == 0 ? Json(nullptr) : Json(share(order_broken[1], order_broken[0]));
  estimate["without_guards_above_positive_by_other_model"] =
      plain_judged == 0 ? Json(nullptr) : Json(share(order_broken[2], plain_judged));
  out["candidates"] = window;
  out["negatives"] = kept;
  out["filled"] = filled;
  out["short_rows"] = short_rows;
  out["rows_without_negative"] = bare_rows;
  const uint64_t searched = kept - filled;
  out["mean_rank"] =
      searched == 0 ? 0.0 : static_cast<double>(rank_sum) / static_cast<double>(searched);
  out["guards"] = std::move(guards);
  out["estimate"] = std::move(estimate);
  out["scores"] = {{"positive_mean", positives.mean()},
                   {"negative_mean", negatives.mean()},
                   {"positive", positives.bins},
                   {"negative", negatives.bins}};
  Json samples = Json::array();
  for (const auto& item : rows_.items) samples.push_back(item.shown);
  out["samples"] = std::move(samples);
}

}  // namespace akin::mine
