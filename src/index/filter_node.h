// The tree of a filter: written by filter.cc, walked by filter_match.cc. Internal to index/.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "index/filter.h"

namespace akin::index {

struct FilterNull {};
using FilterValue = std::variant<FilterNull, bool, int64_t, uint64_t, double, std::string>;

struct Filter::Node {
  enum class Kind : uint8_t {
    all,
    any,
    negation,
    equal,
    less,
    at_most,
    more,
    at_least,
    in,
    exists
  };
  Kind kind = Kind::all;
  std::vector<Node> children;       // all, any: two or more; negation: one
  std::vector<std::string> path;    // of a condition
  std::vector<FilterValue> values;  // in: any number; exists: none; else one
};

}  // namespace akin::index
