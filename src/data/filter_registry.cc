#include "base/error.h"
#include "data/filter.h"

namespace akin::data {

#define AKIN_FILTER(name, summary) \
  std::unique_ptr<Filter> make_##name##_filter(const FilterOptions& options);
#include "data/filters.def"
#undef AKIN_FILTER

namespace {

struct Row {
  FilterInfo info;
  std::unique_ptr<Filter> (*make)(const FilterOptions& options);
};
constexpr Row kFilters[] = {
#define AKIN_FILTER(name, summary) {{#name, summary}, make_##name##_filter},
#include "data/filters.def"
#undef AKIN_FILTER
};

}  // namespace

std::vector<FilterInfo> filter_infos() {
  std::vector<FilterInfo> out;
  for (const auto& row : kFilters) out.push_back(row.info);
  return out;
}

std::unique_ptr<Filter> make_filter(std::string_view name, const FilterOptions& options) {
  std::vector<std::string_view> names;
  for (const auto& row : kFilters) {
    if (row.info.name == name) return row.make(options);
    names.push_back(row.info.name);
  }
  throw_error(ErrorKind::usage, "--filters", "{} is not a filter; the filters are {}", quote(name),
              fmt::join(names, ", "));
}

}  // namespace akin::data
