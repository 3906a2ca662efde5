#include "eval/task_file.h"

#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <algorithm>
#include <functional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "eval/task.h"

namespace akin::eval {
namespace {

std::string place(const std::string& where, const toml::node& node) {
  return fmt::format("{}:{}", where, node.source().begin.line);
}

std::string text(const toml::node& node, std::string_view key, const std::string& where) {
  if (const auto* value = node.as_string()) return value->get();
  throw_error(ErrorKind::bad_format, place(where, node), "{} is not a string", key);
}

std::vector<std::string> texts(const toml::node& node, std::string_view key,
                               const std::string& where) {
  std::vector<std::string> out;
  const auto* list = node.as_array();
  if (list == nullptr) {
    out.push_back(text(node, key, where));
    return out;
  }
  for (const auto& item : *list) out.push_back(text(item, key, where));
  if (out.empty()) throw_error(ErrorKind::bad_format, place(where, node), "{} is empty", key);
  return out;
}

const toml::table& table(const toml::node& node, std::string_view key, const std::string& where) {
  if (const auto* value = node.as_table()) return *value;
  throw_error(ErrorKind::bad_format, place(where, node),
              "{} is not a table, expected {} = {{ name = \"...\" }}", key, key);
}

// "; did you mean x?" or "", then the names there are.
std::string known_names(std::string_view word, std::span<const std::string_view> names) {
  std::vector<std::string> quoted;
  quoted.reserve(names.size());
  for (const auto name : names) quoted.push_back(name.empty() ? "\"\"" : std::string(name));
  return fmt::format("{}; there are {}", did_you_mean(word, names), fmt::join(quoted, ", "));
}

// Names that mean something in prompts, files and columns.
constexpr std::string_view kSides[] = {"", "query", "document"};
constexpr std::string_view kRoles[] = {"rows",       "train",     "corpus",    "queries", "qrels",
                                       "top_ranked", "sentence1", "sentence2", "haystack"};
constexpr std::string_view kWords[] = {
    "anchor",   "corpus-id",   "corpus-ids", "entailment", "group",        "human_summaries",
    "id",       "instruction", "label",      "labels",     "lang",         "machine_summaries",
    "negative", "positive",    "query",      "query-id",   "query-row-id", "relevance",
    "score",    "sentence1",   "sentence2",  "sentences",  "text",         "title"};

std::map<std::string, std::string> text_map(const toml::node& node, std::string_view key,
                                            std::span<const std::string_view> names,
                                            const std::string& where) {
  std::map<std::string, std::string> out;
  for (const auto& [name, value] : table(node, key, where)) {
    if (std::find(names.begin(), names.end(), name.str()) == names.end()) {
      throw_error(ErrorKind::bad_format, place(where, value), "{} means nothing in {}{}",
                  quote(name.str()), key, known_names(name.str(), names));
    }
    out[std::string(name.str())] = text(value, name.str(), where);
  }
  return out;
}

std::map<std::string, int32_t> label_map(const toml::node& node, const std::string& where) {
  std::map<std::string, int32_t> out;
  for (const auto& [name, value] : table(node, "label_map", where)) {
    const auto* number = value.as_integer();
    if (number == nullptr || number->get() < -1000000 || number->get() > 1000000) {
      throw_error(ErrorKind::bad_format, place(where, value),
                  "label_map.{} is not an integer up to a million", std::string(name.str()));
    }
    out[std::string(name.str())] = static_cast<int32_t>(number->get());
  }
  return out;
}

std::vector<SubsetSpec> subsets(const toml::node& node, const std::string& where) {
  std::vector<SubsetSpec> out;
  const auto* list = node.as_array();
  if (list == nullptr || list->empty()) {
    throw_error(ErrorKind::bad_format, place(where, node), "subsets is not a list of subsets");
  }
  for (const auto& item : *list) {
    SubsetSpec& subset = out.emplace_back();
    if (item.is_string()) {
      subset.name = text(item, "subsets", where);
      continue;
    }
    subset.name.clear();
    for (const auto& [key, value] : table(item, "subsets", where)) {
      if (key.str() == "name") {
        subset.name = text(value, "name", where);
      } else if (key.str() == "languages") {
        subset.languages = texts(value, "languages", where);
      } else {
        throw_error(ErrorKind::bad_format, place(where, value),
                    "{} is not a member of a subset; it has name and languages", quote(key.str()));
      }
    }
    if (subset.name.empty()) {
      throw_error(ErrorKind::bad_format, place(where, item), "a subset needs a name");
    }
  }
  return out;
}

std::string scalar_text(const toml::node& node, std::string_view key, const std::string& where) {
  if (const auto* value = node.as_boolean()) return value->get() ? "true" : "false";
  if (const auto* value = node.as_integer()) return std::to_string(value->get());
  if (const auto* value = node.as_floating_point()) return fmt::format("{}", value->get());
  return text(node, key, where);
}

using Reader = std::function<void(TaskSpec&, const toml::node&, const std::string& where)>;

const std::map<std::string_view, Reader>& readers() {
  const auto string_member = [](std::string TaskSpec::*member, std::string_view key) -> Reader {
    return [member, key](TaskSpec& spec, const toml::node& node, const std::string& where) {
      spec.*member = text(node, key, where);
    };
  };
  const auto list_member = [](std::vector<std::string> TaskSpec::*member,
                              std::string_view key) -> Reader {
    return [member, key](TaskSpec& spec, const toml::node& node, const std::string& where) {
      spec.*member = texts(node, key, where);
    };
  };
  const auto map_member = [](std::map<std::string, std::string> TaskSpec::*member,
                             std::string_view key,
                             std::span<const std::string_view> names) -> Reader {
    return [member, key, names](TaskSpec& spec, const toml::node& node, const std::string& where) {
      spec.*member = text_map(node, key, names, where);
    };
  };
  static const std::map<std::string_view, Reader> kReaders = {
      {"name", string_member(&TaskSpec::name, "name")},
      {"type", string_member(&TaskSpec::type, "type")},
      {"main_score", string_member(&TaskSpec::main_score, "main_score")},
      {"dataset", string_member(&TaskSpec::dataset, "dataset")},
      {"revision", string_member(&TaskSpec::revision, "revision")},
      {"splits", list_member(&TaskSpec::splits, "splits")},
      {"languages", list_member(&TaskSpec::languages, "languages")},
      {"subtasks", list_member(&TaskSpec::subtasks, "subtasks")},
      {"files", map_member(&TaskSpec::files, "files", kRoles)},
      {"columns", map_member(&TaskSpec::columns, "columns", kWords)},
      {"prompts", map_member(&TaskSpec::prompts, "prompts", kSides)},
      {"subsets", [](TaskSpec& spec, const toml::node& node,
                     const std::string& where) { spec.subsets = subsets(node, where); }},
      {"label_map", [](TaskSpec& spec, const toml::node& node,
                       const std::string& where) { spec.label_map = label_map(node, where); }},
  };
  return kReaders;
}

void check_once(std::vector<std::string> names, std::string_view what, const TaskSpec& spec) {
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice == names.end()) return;
  throw_error(ErrorKind::bad_format, spec.where, "task {} names the {} {} twice", spec.name, what,
              quote(*twice));
}

void check_task(const TaskSpec& spec) {
  if (spec.name.empty() || spec.type.empty()) {
    throw_error(ErrorKind::bad_format, spec.where, "a [[task]] needs a name and a type");
  }
  if (spec.name.find('/') != std::string::npos || spec.name[0] == '.' ||
      spec.name == "model_meta" || spec.name.ends_with(".config")) {
    throw_error(ErrorKind::bad_format, spec.where,
                "the name {} cannot be the name of a result file; leave out \"/\", a leading \".\" "
                "and the names of akin's own files (model_meta, *.config)",
                quote(spec.name));
  }
  if (spec.dataset.empty() && spec.generate.empty() && spec.subtasks.empty()) {
    throw_error(ErrorKind::bad_format, spec.where,
                "task {} needs a dataset: a folder below --data, or a repository in the cache",
                spec.name);
  }
  const auto types = task_types();
  if (std::find(types.begin(), types.end(), spec.type) == types.end()) {
    throw_error(ErrorKind::bad_format, spec.where, "{} is not a task type; the types are {}",
                quote(spec.type), fmt::join(types, ", "));
  }
  check_once(spec.splits, "split", spec);
  std::vector<std::string> subset_names;
  for (const auto& subset : resolved_subsets(spec)) subset_names.push_back(subset.name);
  check_once(subset_names, "subset", spec);
}

TaskSpec read_task(const toml::table& task, const std::string& where) {
  TaskSpec spec;
  std::vector<std::pair<std::string, std::string>> given;  // settings and their places
  spec.where = place(where, task);
  for (const auto& [key, value] : task) {
    const auto reader = readers().find(key.str());
    if (reader != readers().end()) {
      reader->second(spec, value, where);
      continue;
    }
    std::vector<std::string_view> known = setting_names();
    if (std::find(known.begin(), known.end(), key.str()) == known.end()) {
      for (const auto& [name, unused] : readers()) known.push_back(name);
      throw_error(ErrorKind::bad_format, place(where, value), "{} is not a setting of a task{}",
                  quote(key.str()), known_names(key.str(), known));
    }
    given.emplace_back(key.str(), place(where, value));
    try {
      set_setting(spec, key.str(), scalar_text(value, key.str(), where), place(where, value));
    } catch (const Error& error) {
      throw Error(ErrorKind::bad_format, error.message(), error.where());
    }
  }
  check_task(spec);
  const auto taken = settings_of(spec.type);
  for (const auto& [name, at] : given) {
    if (std::find(taken.begin(), taken.end(), name) != taken.end()) continue;
    throw_error(ErrorKind::bad_format, at, "{} changes nothing in a {} task; its settings: {}",
                name, spec.type,
                taken.empty() ? "none" : fmt::format("{}", fmt::join(taken, ", ")));
  }
  return spec;
}

}  // namespace

std::vector<TaskSpec> parse_task_file(std::string_view toml, const std::string& where) {
  toml::table root;
  try {
    root = toml::parse(toml, where);
  } catch (const toml::parse_error& error) {
    throw_error(ErrorKind::bad_format, fmt::format("{}:{}", where, error.source().begin.line), "{}",
                error.description());
  }
  const auto* tasks = root["task"].as_array();
  for (const auto& [key, value] : root) {
    if (key.str() == "task" && tasks != nullptr) continue;
    throw_error(ErrorKind::bad_format, place(where, value),
                "{} is not known here; a task file holds [[task]] tables", quote(key.str()));
  }
  std::vector<TaskSpec> out;
  std::set<std::string> names;
  if (tasks != nullptr) {
    for (const auto& node : *tasks) {
      out.push_back(read_task(table(node, "task", where), where));
      if (names.insert(out.back().name).second) continue;
      throw_error(ErrorKind::bad_format, out.back().where, "there is another task {} in the file",
                  quote(out.back().name));
    }
  }
  if (out.empty()) throw_error(ErrorKind::bad_format, where, "no [[task]] in the file");
  return out;
}

std::vector<TaskSpec> read_task_file(const std::filesystem::path& path) {
  return parse_task_file(read_file(path, uint64_t{16} << 20), path.string());
}

}  // namespace akin::eval
