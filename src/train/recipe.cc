#include "train/recipe.h"

#include <toml++/toml.h>

#include <algorithm>
#include <functional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "nn/cpu_stack.h"
#include "train/recipe_check.h"

namespace akin::train {

std::span<const std::string_view> choices(Schedule) {
  static constexpr std::string_view kWords[] = {"linear", "cosine", "constant"};
  return kWords;
}

std::span<const std::string_view> choices(SavedType) {
  static constexpr std::string_view kWords[] = {"f32", "f16", "bf16"};
  return kWords;
}

std::span<const std::string_view> choices(PrecisionChoice) {
  static constexpr std::string_view kWords[] = {"f32", "bf16", "fastest"};
  return kWords;
}

namespace {

std::string place(const std::string& where, const toml::node& node) {
  return fmt::format("{}:{}", where, node.source().begin.line);
}

std::string scalar_text(const toml::node& node, std::string_view key, const std::string& where) {
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* value = node.as_integer()) return fmt::format("{}", value->get());
  if (const auto* value = node.as_floating_point()) return fmt::format("{}", value->get());
  if (const auto* value = node.as_boolean()) return value->get() ? "true" : "false";
  throw_error(ErrorKind::bad_format, place(where, node),
              "{} is not text, a number, or true or false", key);
}

// In TOML a key has underscores, as identifiers do; on the command line dashes.
std::string field_name(std::string_view key) {
  std::string out(key);
  std::replace(out.begin(), out.end(), '_', '-');
  return out;
}

const OptionField& field_of(std::span<const OptionField> fields, std::string_view key,
                            const std::string& table, ErrorKind kind, const std::string& where) {
  const std::string name = field_name(key);
  for (const auto& field : fields) {
    if (field.name == name) return field;
  }
  std::vector<std::string_view> known;
  std::vector<std::string> keys;
  for (const auto& field : fields) {
    known.push_back(field.name);
    keys.push_back(recipe_key(field.name));
  }
  const auto near = nearest(name, known.data(), known.size());
  throw_error(kind, where, "{} is not a key of [{}]; {}", quote(key), table,
              near.empty() ? fmt::format("it has {}", fmt::join(keys, ", "))
                           : fmt::format("did you mean {}?", recipe_key(std::string(near))));
}

// Lists go in item by item: no item is split at commas.
void set_value(const OptionField& field, const toml::node& node, const std::string& where) {
  std::vector<std::string> values;
  if (const auto* list = node.as_array()) {
    if (!field.many) {
      throw_error(ErrorKind::bad_format, place(where, node), "{} takes one value, not a list",
                  recipe_key(field.name));
    }
    for (const auto& item : *list)
      values.push_back(scalar_text(item, recipe_key(field.name), where));
  } else {
    values.push_back(scalar_text(node, recipe_key(field.name), where));
  }
  try {
    field.set(values);
  } catch (const Error& error) {
    throw Error(ErrorKind::bad_format,
                fmt::format("{}: {}", recipe_key(field.name), error.message()), place(where, node));
  }
}

// `given`: gets the names of the fields that are set.
void read_table(const toml::table& table, const std::string& name,
                std::span<const OptionField> fields, const std::set<std::string_view>& others,
                const std::string& where, std::set<std::string>& given) {
  for (const auto& [key, node] : table) {
    if (others.contains(key.str())) continue;
    given.insert(field_name(key.str()));
    set_value(field_of(fields, key.str(), name, ErrorKind::bad_format, place(where, node)), node,
              where);
  }
}

const toml::table& as_table(const toml::node& node, std::string_view name,
                            const std::string& where) {
  if (const auto* table = node.as_table()) return *table;
  throw_error(ErrorKind::bad_format, place(where, node), "{} is not a table", name);
}

template <typename Visit>
void each_table(Recipe& recipe, const Visit& visit) {
  visit("model", describe_options(recipe.model));
  visit("train", describe_options(recipe.train));
  visit("loss", describe_options(recipe.loss));
  visit("matryoshka", describe_options(recipe.matryoshka));
  visit("mixture", describe_options(recipe.mixture));
  visit("evaluate", describe_options(recipe.evaluate));
  visit("save", describe_options(recipe.save));
  visit("adapters", describe_options(recipe.adapters));
  visit("ewc", describe_options(recipe.ewc));
  visit("teacher", describe_options(recipe.teacher));
  visit("pretrain", describe_options(recipe.pretrain));
}

SourceTable read_source(const toml::table& table, const std::string& where) {
  SourceTable out;
  std::set<std::string> ignored;
  read_table(table, "source", describe_options(out), {"loss"}, where, ignored);
  if (const auto* own = table.get("loss")) {
    if (const auto* name = own->as_string()) {
      out.loss.name = name->get();
      out.loss.given = {"name"};
    } else {
      const auto loss_fields = describe_options(out.loss);
      read_table(as_table(*own, "loss", where), "source.loss", loss_fields, {}, where,
                 out.loss.given);
    }
  }
  if (out.path.empty()) {
    throw_error(ErrorKind::bad_format, place(where, table), "a [[source]] needs a path");
  }
  if (out.name.empty()) {
    std::string file = std::filesystem::path(out.path[0]).filename().string();
    const std::string folder = std::filesystem::path(out.path[0]).parent_path().filename().string();
    file = file.substr(0, file.find('.'));
    out.name = folder.empty() ? file : folder + "/" + file;
  }
  return out;
}

std::vector<SourceTable> read_sources(const toml::node* node, const std::string& where) {
  std::vector<SourceTable> out;
  if (node == nullptr) return out;
  const auto* list = node->as_array();
  if (list == nullptr) {
    throw_error(ErrorKind::bad_format, place(where, *node),
                "source is not a list of tables; write [[source]]");
  }
  for (const auto& item : *list) {
    out.push_back(read_source(as_table(item, "source", where), where));
    for (size_t i = 0; i + 1 < out.size(); ++i) {
      if (out[i].name == out.back().name) {
        throw_error(ErrorKind::bad_format, place(where, item),
                    "there is another source {}; give one of them a name", quote(out[i].name));
      }
    }
  }
  return out;
}

void apply_to(std::span<const OptionField> fields, const std::string& table, const std::string& key,
              const std::string& value, const std::string& setting) {
  const std::string where = "--set " + setting;
  const auto& field = field_of(fields, key, table, ErrorKind::usage, where);
  try {
    field.set(std::span(&value, 1));
  } catch (const Error& error) {  // the field names a flag, which no recipe has
    throw Error(error.kind(), error.message(), where);
  }
}

// "source.<name>.key", "source.<name>.loss" and "source.<name>.loss.key".
void apply_to_source(Recipe& recipe, const std::string& table, const std::string& key,
                     const std::string& value, const std::string& setting) {
  for (auto& source : recipe.sources) {
    const bool names_loss = "source." + source.name == table && key == "loss";
    if (names_loss || "source." + source.name + ".loss" == table) {
      const std::string field = names_loss ? "name" : key;
      apply_to(describe_options(source.loss), table, field, value, setting);
      source.loss.given.insert(field_name(field));
      return;
    }
    if ("source." + source.name == table)
      return apply_to(describe_options(source), table, key, value, setting);
  }
  std::vector<std::string> names;
  for (const auto& source : recipe.sources) names.push_back(source.name);
  throw_error(ErrorKind::usage, "--set", "the recipe has no source {}; it has {}",
              quote(table.substr(7)), fmt::join(names, ", "));
}

void apply_setting(Recipe& recipe, const std::string& setting, std::set<std::string>& keys) {
  const size_t equals = setting.find('=');
  const std::string name = setting.substr(0, equals);
  const size_t dot = name.rfind('.');
  if (equals == std::string::npos || dot == std::string::npos) {
    throw_error(ErrorKind::usage, "--set", "{} is not TABLE.KEY=VALUE", quote(setting));
  }
  const std::string table = name.substr(0, dot), key = name.substr(dot + 1);
  const std::string value = setting.substr(equals + 1);
  if (table.starts_with("source.")) return apply_to_source(recipe, table, key, value, setting);
  if (table == "loss") recipe.loss.given.insert(field_name(key));
  keys.insert(table + "." + field_name(key));
  bool found = false;
  std::vector<std::string_view> known;
  each_table(recipe, [&](const char* own_name, const std::vector<OptionField>& fields) {
    known.emplace_back(own_name);
    if (table != own_name) return;
    found = true;
    apply_to(fields, table, key, value, setting);
  });
  if (!found) {
    throw_error(ErrorKind::usage, "--set",
                "{} is not a table of a recipe; they are {} and source.NAME", quote(table),
                fmt::join(known, ", "));
  }
}

}  // namespace

Recipe parse_recipe(std::string_view toml, const std::string& where,
                    std::span<const std::string> settings) {
  toml::table root;
  try {
    root = toml::parse(toml, where);
  } catch (const toml::parse_error& error) {
    throw_error(ErrorKind::bad_format, fmt::format("{}:{}", where, error.source().begin.line), "{}",
                error.description());
  }
  Recipe recipe;
  GivenKeys keys;
  std::vector<std::string_view> known = {"source"};
  each_table(recipe, [&](const char* name, const std::vector<OptionField>& fields) {
    known.emplace_back(name);
    const auto* node = root.get(name);
    if (node == nullptr) return;
    std::set<std::string> given;
    read_table(as_table(*node, name, where), name, fields, {}, where, given);
    for (const auto& field : given) keys.file.insert(fmt::format("{}.{}", name, field));
    if (name == std::string_view("loss")) recipe.loss.given = std::move(given);
  });
  for (const auto& [key, node] : root) {
    if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
    throw_error(ErrorKind::bad_format, place(where, node),
                "[{}] is not a table of a recipe; they are {}", key.str(), fmt::join(known, ", "));
  }
  recipe.sources = read_sources(root.get("source"), where);
  for (const auto& setting : settings) apply_setting(recipe, setting, keys.settings);
  settle_losses(recipe);
  check_recipe(recipe, keys, where);
  return recipe;
}

Recipe read_recipe(const std::filesystem::path& path, std::span<const std::string> settings) {
  return parse_recipe(read_file(path, uint64_t{16} << 20), path.string(), settings);
}

nlohmann::ordered_json recipe_record(Recipe& recipe) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  each_table(recipe, [&](const char* name, const std::vector<OptionField>& fields) {
    out[name] = options_record(fields);
  });
  auto& sources = out["source"] = nlohmann::ordered_json::array();
  for (auto& source : recipe.sources) {
    auto record = options_record(describe_options(source));
    record["loss"] = options_record(describe_options(source.loss));
    sources.push_back(std::move(record));
  }
  return out;
}

namespace {

// NOLINTNEXTLINE(misc-no-recursion): as deep as a recipe, which is three levels
nlohmann::ordered_json with_recipe_keys(const nlohmann::ordered_json& record) {
  if (record.is_array()) {
    auto out = nlohmann::ordered_json::array();
    for (const auto& item : record) out.push_back(with_recipe_keys(item));
    return out;
  }
  if (!record.is_object()) return record;
  auto out = nlohmann::ordered_json::object();
  for (const auto& [key, value] : record.items()) out[recipe_key(key)] = with_recipe_keys(value);
  return out;
}

}  // namespace

nlohmann::ordered_json recipe_values(Recipe& recipe) {
  auto record = recipe_record(recipe);
  if (!recipe.model.open.empty()) {
    for (const char* field : kNewModelFields) record["model"].erase(field);
  }
  return with_recipe_keys(record);
}

std::string recipe_key(std::string field) {
  std::replace(field.begin(), field.end(), '-', '_');
  return field;
}

const std::vector<TableHelp>& recipe_tables() {
  static Recipe defaults;
  static SourceTable source;
  static const std::vector<TableHelp> kTables = [] {
    std::vector<TableHelp> out;
    each_table(defaults, [&](const char* name, const std::vector<OptionField>& fields) {
      out.push_back({fmt::format("[{}]", name), fields});
    });
    out.push_back({"[[source]]", describe_options(source)});
    OptionField& loss = out.back().fields.emplace_back();
    loss.name = "loss";
    loss.value = "NAME";
    loss.help =
        "a loss of its own: its name, or a table with keys of [loss]; what it leaves open is as in "
        "[loss], where this loss takes it";
    loss.get = [] { return nlohmann::ordered_json(nullptr); };
    return out;
  }();
  return kTables;
}

bool settle_precision(Recipe& recipe) {
  PrecisionChoice& precision = recipe.model.precision;
  if (precision != PrecisionChoice::fastest) return false;
  const bool bf16 = recipe.train.device.starts_with("cuda") || nn::bf16_available();
  precision = bf16 ? PrecisionChoice::bf16 : PrecisionChoice::f32;
  return true;
}

}  // namespace akin::train
