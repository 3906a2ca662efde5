#include "train/recipe.h"

#include <toml++/toml.h>

#include <algorithm>
#include <functional>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "nn/cpu_stack.h"

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
  for (const auto& field : fields) known.push_back(field.name);
  const auto near = nearest(name, known.data(), known.size());
  throw_error(kind, where, "{} is not a key of [{}]; {}", quote(key), table,
              near.empty() ? fmt::format("it has {}", fmt::join(known, ", "))
                           : fmt::format("did you mean {}?", near));
}

// Lists go in item by item: no item is split at commas.
void set_value(const OptionField& field, const toml::node& node, const std::string& where) {
  std::vector<std::string> values;
  if (const auto* list = node.as_array()) {
    if (!field.many) {
      throw_error(ErrorKind::bad_format, place(where, node), "{} takes one value, not a list",
                  field.name);
    }
    for (const auto& item : *list) values.push_back(scalar_text(item, field.name, where));
  } else {
    values.push_back(scalar_text(node, field.name, where));
  }
  try {
    field.set(values);
  } catch (const Error& error) {
    throw Error(ErrorKind::bad_format, fmt::format("{}: {}", field.name, error.message()),
                place(where, node));
  }
}

void read_table(const toml::table& table, const std::string& name,
                std::span<const OptionField> fields, const std::set<std::string_view>& others,
                const std::string& where) {
  for (const auto& [key, node] : table) {
    if (others.contains(key.str())) continue;
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

SourceTable read_source(const toml::table& table, const LossTable& common,
                        const std::string& where) {
  SourceTable out;
  out.loss = common;
  const auto fields = describe_options(out);
  read_table(table, "source", fields, {"loss"}, where);
  if (const auto* own = table.get("loss")) {
    out.own_loss = true;
    const auto* name = own->as_string();
    if (name != nullptr) {  // loss = "cosent": with its options as they are by default
      out.loss = {};
      out.loss.name = name->get();
    } else {
      const auto loss_fields = describe_options(out.loss);
      read_table(as_table(*own, "loss", where), "source.loss", loss_fields, {}, where);
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

std::vector<SourceTable> read_sources(const toml::node* node, const LossTable& common,
                                      const std::string& where) {
  std::vector<SourceTable> out;
  if (node == nullptr) return out;
  const auto* list = node->as_array();
  if (list == nullptr) {
    throw_error(ErrorKind::bad_format, place(where, *node),
                "source is not a list of tables; write [[source]]");
  }
  for (const auto& item : *list) {
    out.push_back(read_source(as_table(item, "source", where), common, where));
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
  field.set(std::span(&value, 1));
}

void apply_setting(Recipe& recipe, const std::string& setting) {
  const size_t equals = setting.find('=');
  const std::string name = setting.substr(0, equals);
  const size_t dot = name.rfind('.');
  if (equals == std::string::npos || dot == std::string::npos) {
    throw_error(ErrorKind::usage, "--set", "{} is not TABLE.KEY=VALUE", quote(setting));
  }
  const std::string table = name.substr(0, dot), key = name.substr(dot + 1);
  const std::string value = setting.substr(equals + 1);
  if (table.starts_with("source.")) {
    for (auto& source : recipe.sources) {
      if ("source." + source.name == table)
        return apply_to(describe_options(source), table, key, value, setting);
      if ("source." + source.name + ".loss" == table) {
        source.own_loss = true;
        return apply_to(describe_options(source.loss), table, key, value, setting);
      }
    }
    throw_error(ErrorKind::usage, "--set", "the recipe has no source {}", quote(table.substr(7)));
  }
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

[[noreturn]] void refuse(std::string_view where, std::string_view key, double got,
                         std::string_view expected) {
  throw_error(ErrorKind::usage, where, "{} is {}, expected {}", key, got, expected);
}

void check_range(const std::string& where, std::string_view key, double value, double least,
                 double most, std::string_view words) {
  if (!(value >= least && value <= most)) refuse(where, key, value, words);
}

void check(const Recipe& recipe, const std::string& where) {
  const TrainTable& train = recipe.train;
  constexpr double kMany = 1e12;
  check_range(where, "train.steps", static_cast<double>(train.steps), 1, kMany, "1 or more");
  check_range(where, "train.batch", static_cast<double>(train.batch), 1, 1e7, "1 or more");
  check_range(where, "train.learning_rate", train.learning_rate, 1e-30, 1e3, "more than 0");
  check_range(where, "train.warmup", train.warmup, 0, 1, "a share, from 0 to 1");
  check_range(where, "train.weight_decay", train.weight_decay, 0, 1e3, "0 or more");
  check_range(where, "train.beta1", train.beta1, 0, 1 - 1e-9, "from 0 to below 1");
  check_range(where, "train.beta2", train.beta2, 0, 1 - 1e-9, "from 0 to below 1");
  check_range(where, "train.epsilon", train.epsilon, 1e-300, 1, "more than 0");
  check_range(where, "train.clip", train.clip, 0, kMany, "0 or more");
  check_range(where, "train.ema", train.ema, 0, 1 - 1e-12, "from 0 to below 1");
  check_range(where, "train.log_every", static_cast<double>(train.log_every), 1, kMany,
              "1 or more");
  check_range(where, "train.workers", static_cast<double>(train.workers), 1, 256, "1 to 256");
  check_range(where, "model.dropout", recipe.model.dropout, 0, 0.95, "from 0 to 0.95");
  check_range(where, "model.attention_dropout", recipe.model.attention_dropout, 0, 0.95,
              "from 0 to 0.95");
  check_range(where, "teacher.temperature", recipe.teacher.temperature, 1e-6, 1e6, "more than 0");
  check_range(where, "pretrain.mask", recipe.pretrain.mask, 0, 0.95, "a share, from 0 to 0.95");
  check_range(where, "pretrain.decoder_mask", recipe.pretrain.decoder_mask, 0, 0.95,
              "a share, from 0 to 0.95");
  check_range(where, "pretrain.bag_weight", recipe.pretrain.bag_weight, 0, 1e6, "0 or more");
  if (!recipe.model.position.empty() && recipe.model.position != "rotary") {
    throw_error(ErrorKind::usage, where, "model.position is {}, expected rotary or nothing",
                quote(recipe.model.position));
  }
  if (recipe.sources.empty()) {
    throw_error(ErrorKind::bad_format, where, "no [[source]]: there is nothing to train on");
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
  std::vector<std::string_view> known = {"source"};
  each_table(recipe, [&](const char* name, const std::vector<OptionField>& fields) {
    known.emplace_back(name);
    if (const auto* node = root.get(name)) {
      read_table(as_table(*node, name, where), name, fields, {}, where);
    }
  });
  for (const auto& [key, node] : root) {
    if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
    throw_error(ErrorKind::bad_format, place(where, node),
                "[{}] is not a table of a recipe; they are {}", key.str(), fmt::join(known, ", "));
  }
  recipe.sources = read_sources(root.get("source"), recipe.loss, where);
  for (const auto& setting : settings) apply_setting(recipe, setting);
  for (auto& source : recipe.sources) {  // --set loss.temperature=... holds for them, too
    if (!source.own_loss) source.loss = recipe.loss;
  }
  check(recipe, where);
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
