// How long texts are, counted by powers of two: for the charts of a report. Characters, not tokens.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "data/record.h"
#include "text/utf8.h"

namespace akin::data {

struct LengthCounts {
  // Class 0: no character; class i: from 2^(i-1) to below 2^i; the last: all that are longer.
  static constexpr size_t kClasses = 18;
  std::array<uint64_t, kClasses> query{}, positive{};

  void add(const Record& record) {
    ++query[class_of(record.query)];
    if (record.is_pair()) ++positive[class_of(record.positive)];
  }
  void merge(const LengthCounts& other) {
    for (size_t i = 0; i < kClasses; ++i) {
      query[i] += other.query[i];
      positive[i] += other.positive[i];
    }
  }
  nlohmann::ordered_json json() const { return {{"query", query}, {"positive", positive}}; }

 private:
  static size_t class_of(const std::string& text) {
    return std::min<size_t>(std::bit_width(text::count_code_points(text)), kClasses - 1);
  }
};

}  // namespace akin::data
