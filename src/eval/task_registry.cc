#include <algorithm>

#include "base/error.h"
#include "eval/task.h"

namespace akin::eval {

#define AKIN_TASK_TYPE(type, name, settings) std::unique_ptr<Task> make_##name##_task();
#include "eval/tasks.def"
#undef AKIN_TASK_TYPE

namespace {

struct Row {
  std::string_view type;
  std::unique_ptr<Task> (*make)();
  std::string_view settings;  // names, one space between
};
constexpr Row kTypes[] = {
#define AKIN_TASK_TYPE(type, name, settings) {#type, make_##name##_task, settings},
#include "eval/tasks.def"
#undef AKIN_TASK_TYPE
};

}  // namespace

std::vector<std::string_view> task_types() {
  std::vector<std::string_view> out;
  for (const auto& row : kTypes) out.push_back(row.type);
  return out;
}

std::vector<std::string_view> settings_of(std::string_view type) {
  std::vector<std::string_view> out;
  for (const auto& row : kTypes) {
    if (row.type != type) continue;
    for (std::string_view rest = row.settings; !rest.empty();) {
      const size_t end = std::min(rest.find(' '), rest.size());
      out.push_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return out;
}

std::unique_ptr<Task> make_task(std::string_view type) {
  for (const auto& row : kTypes) {
    if (row.type == type) return row.make();
  }
  const auto types = task_types();
  throw_error(ErrorKind::usage, "type", "{} is not a task type; the types are {}", quote(type),
              fmt::join(types, ", "));
}

}  // namespace akin::eval
