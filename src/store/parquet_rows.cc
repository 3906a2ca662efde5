// Rows of a Parquet file: the columns asked for are found in the schema, and lists are put together
// from levels. Pages are parquet_column.cc. Follows Dremel's levels as LogicalTypes.md of Apache
// Parquet uses them.
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "store/parquet_column.h"
#include "store/parquet_meta.h"
#include "store/row_reader.h"

namespace akin::store {
namespace {

// A leaf with the lists on the way to it.
struct LeafPath {
  std::string name;  // "translation.en"; list wrappers left out
  ParquetLeaf leaf;
  std::vector<uint32_t> list_defs;  // per list, outermost first: the level of one that has an item
  const ParquetNode* node = nullptr;
};

// Walks the flat tree. check_tree() has bounded its depth.
class SchemaWalk {
 public:
  explicit SchemaWalk(const ParquetMeta& meta) : meta_(meta) {
    for (size_t i = 0; i < meta.nodes[0].children; ++i) walk({}, {}, false);
  }
  std::vector<LeafPath> take() { return std::move(leaves_); }

 private:
  // `inside`: the parent is a list or map, whose repeated child has a name that is no part of the
  // path ("list", "element", "array", "bag").
  // NOLINTNEXTLINE(misc-no-recursion)
  void walk(const std::string& prefix, LeafPath path, bool inside) {
    const ParquetNode& node = meta_.nodes[next_++];
    if (node.repetition == ParquetRepetition::optional) ++path.leaf.max_def;
    if (node.repetition == ParquetRepetition::repeated) {
      ++path.leaf.max_def;
      ++path.leaf.max_rep;
      path.list_defs.push_back(path.leaf.max_def);
    }
    std::string name = prefix;
    if (!inside) {
      if (!name.empty()) name += '.';
      name += node.name;
    }
    if (node.leaf) {
      path.name = name;
      path.node = &node;
      path.leaf.name = name;
      path.leaf.index = leaves_.size();
      path.leaf.type = {node.type, node.unsigned_int, node.decimal, node.scale};
      leaves_.push_back(std::move(path));
      return;
    }
    // In list > repeated "list" > "element", both inner names are wrappers.
    const bool wrapper = inside && node.repetition == ParquetRepetition::repeated &&
                         node.children == 1 && !list_of_struct_in_old_form(node);
    for (size_t i = 0; i < node.children; ++i) walk(name, path, node.list || wrapper);
  }
  // The repeated group is the item itself when it is called "array" or "..._tuple".
  static bool list_of_struct_in_old_form(const ParquetNode& node) {
    return node.name == "array" || node.name.ends_with("_tuple");
  }

  const ParquetMeta& meta_;
  size_t next_ = 1;
  std::vector<LeafPath> leaves_;
};

// One column of the result: puts the entries of a row together.
class ListBuilder {
 public:
  ListBuilder(ParquetColumn column, std::vector<uint32_t> list_defs, uint64_t max_row_bytes)
      : column_(std::move(column)),
        list_defs_(std::move(list_defs)),
        max_row_bytes_(max_row_bytes),
        items_(list_defs_.size()),
        sizes_(list_defs_.size()) {}

  ParquetColumn& column() { return column_; }
  const ParquetColumn& column() const { return column_; }

  // False when the row group has no further entry.
  bool read_row(Value& out) {
    column_.release();
    ParquetColumn::Entry entry;
    if (!column_.next(entry)) return false;
    if (entry.rep != 0) column_.fail("a row begins in the middle of a list");
    if (list_defs_.empty()) {
      out = entry.value;
      return true;
    }
    for (auto& items : items_) items.clear();
    for (auto& sizes : sizes_) sizes.clear();
    bytes_ = 0;
    Value root;
    place(entry, 0, root);
    uint32_t rep = 0;
    while (column_.peek(rep) && rep > 0) {
      column_.next(entry);
      // The item is one more of the list at depth rep - 1, which must be open.
      if (sizes_[rep - 1].empty() || sizes_[rep - 1].back() == 0)
        column_.fail("a list goes on that has not begun");
      add_item(entry, rep - 1);
    }
    link(root);
    out = root;
    return true;
  }

 private:
  // `entry` as the list at `depth`: null, empty, or with its first item. `to` lies one list further
  // out (or is the root), so that it does not move.
  // NOLINTNEXTLINE(misc-no-recursion): as deep as there are lists
  void place(const ParquetColumn::Entry& entry, size_t depth, Value& to) {
    if (entry.def + 1 < list_defs_[depth]) return;  // null
    to.kind = Value::Kind::list;
    const bool empty = entry.def < list_defs_[depth];
    sizes_[depth].push_back(0);
    if (!empty) add_item(entry, depth);
  }

  // NOLINTNEXTLINE(misc-no-recursion)
  void add_item(const ParquetColumn::Entry& entry, size_t depth) {
    if (entry.def < list_defs_[depth]) column_.fail("an empty list has an item");
    ++sizes_[depth].back();
    Value& item = items_[depth].emplace_back();
    count(sizeof(Value));
    if (depth + 1 == list_defs_.size()) {
      item = entry.value;
      count(entry.value.text.size());
    } else {
      place(entry, depth + 1, item);
    }
  }

  void count(size_t bytes) {
    bytes_ += bytes;
    if (bytes_ > max_row_bytes_) {
      column_.fail(fmt::format("a row is longer than {} bytes", max_row_bytes_));
    }
  }

  // Items of one list lie side by side, and lists of one depth in order: gives every list its span.
  void link(Value& root) {
    for (size_t depth = 0; depth < list_defs_.size(); ++depth) {
      const std::span<Value> parents =
          depth == 0 ? std::span<Value>(&root, 1) : std::span<Value>(items_[depth - 1]);
      size_t begin = 0, list = 0;
      for (Value& parent : parents) {
        if (parent.kind != Value::Kind::list) continue;
        const size_t size = sizes_[depth][list++];
        parent.list = {items_[depth].data() + begin, size};
        begin += size;
      }
    }
  }

  ParquetColumn column_;
  std::vector<uint32_t> list_defs_;
  uint64_t max_row_bytes_;
  std::vector<std::vector<Value>> items_;   // per depth
  std::vector<std::vector<size_t>> sizes_;  // per depth, of each list
  uint64_t bytes_ = 0;
};

class ParquetRows : public RowReader {
 public:
  ParquetRows(MappedFile file, std::string_view bytes, std::string where,
              std::span<const std::string> columns, const RowOptions& options)
      : file_(std::move(file)),
        bytes_(bytes),
        where_(std::move(where)),
        meta_(read_parquet_meta(bytes_, where_)) {
    std::vector<LeafPath> leaves = SchemaWalk(meta_).take();
    for (const std::string& column : columns) {
      const std::optional<size_t> found = find_leaf(leaves, column);
      if (!found) {
        builders_.emplace_back();
        continue;
      }
      const LeafPath& path = leaves[*found];
      builders_.emplace_back(std::in_place,
                             ParquetColumn(bytes_, meta_, path.leaf, where_, options.max_row_bytes),
                             path.list_defs, options.max_row_bytes);
    }
  }

  bool next(std::span<Value> values) override {
    AKIN_CHECK(values.size() == builders_.size());
    while (left_ == 0) {
      if (group_ == meta_.groups.size()) return false;
      left_ = meta_.groups[group_].rows;
      for (auto& builder : builders_) {
        if (builder && left_ > 0) builder->column().start_group(group_);
      }
      ++group_;
    }
    --left_;
    ++row_;
    for (size_t i = 0; i < builders_.size(); ++i) {
      values[i] = {};
      if (builders_[i] && !builders_[i]->read_row(values[i])) {
        builders_[i]->column().fail("it has fewer rows than its row group says");
      }
    }
    return true;
  }
  uint64_t row() const override { return row_; }
  std::string where() const override { return fmt::format("{}: row {}", where_, row_); }
  uint64_t bytes_read() const override {
    uint64_t out = 0;
    for (const auto& builder : builders_) {
      if (builder) out = std::max(out, builder->column().file_position());
    }
    return group_ == meta_.groups.size() && left_ == 0 ? bytes_.size() : out;
  }
  uint64_t bytes_total() const override { return bytes_.size(); }

 private:
  std::optional<size_t> find_leaf(std::span<const LeafPath> leaves, std::string_view column) const {
    const ColumnRequest request(column);
    for (const std::string_view name : request.names) {
      for (size_t i = 0; i < leaves.size(); ++i) {
        if (leaves[i].name != name) continue;
        check_type(leaves[i]);
        return i;
      }
      const std::string inner = std::string(name) + ".";
      for (const LeafPath& leaf : leaves) {
        if (leaf.name.starts_with(inner)) {
          throw_error(ErrorKind::unsupported, where_,
                      "column {} holds structs; name one of its fields, as in {}", quote(name),
                      quote(leaf.name));
        }
      }
    }
    if (request.optional) return {};
    std::vector<std::string> names;
    for (const LeafPath& leaf : leaves) names.push_back(leaf.name);
    throw_missing_column(where_, request, names);
  }

  void check_type(const LeafPath& path) const {
    const ParquetLeafType& type = path.leaf.type;
    const bool known = type.type != ParquetType::int96 && type.type != ParquetType::fixed &&
                       !(type.decimal && type.type == ParquetType::bytes);
    if (!known) {
      throw_error(ErrorKind::unsupported, where_,
                  "column {} is of a type that is not read here (INT96, fixed length or wide "
                  "decimal); write it again as text or numbers",
                  quote(path.name));
    }
  }

  MappedFile file_;
  const std::string_view bytes_;
  const std::string where_;
  const ParquetMeta meta_;
  std::vector<std::optional<ListBuilder>> builders_;  // empty: an optional column that is absent
  size_t group_ = 0;
  int64_t left_ = 0;  // rows of the group
  uint64_t row_ = 0;
};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::unique_ptr<RowReader> open_parquet_rows(const std::filesystem::path& path,
                                             std::span<const std::string> columns,
                                             const RowOptions& options) {
  MappedFile file(path);
  const std::string_view bytes = text_of(file.bytes());
  return std::make_unique<ParquetRows>(std::move(file), bytes, path.string(), columns, options);
}

std::unique_ptr<RowReader> make_parquet_rows(std::string_view bytes, std::string where,
                                             std::span<const std::string> columns,
                                             const RowOptions& options) {
  return std::make_unique<ParquetRows>(MappedFile(), bytes, std::move(where), columns, options);
}

std::vector<std::string> list_parquet_columns(std::string_view bytes, const std::string& where) {
  const ParquetMeta meta = read_parquet_meta(bytes, where);
  std::vector<std::string> out;
  for (LeafPath& leaf : SchemaWalk(meta).take()) out.push_back(std::move(leaf.name));
  return out;
}

std::vector<std::string> list_parquet_columns(const std::filesystem::path& path) {
  const MappedFile file(path);
  return list_parquet_columns(text_of(file.bytes()), path.string());
}

}  // namespace akin::store
