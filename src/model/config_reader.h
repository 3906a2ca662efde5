// Reads a model's config.json key by key: bounds on every number (the file is foreign), and a
// record of which keys were read, so that `akin info` can name the rest. Knows no family.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace akin::model {

// Bounds on hostile values. Real models are far below; products of two of them fit in int64.
inline constexpr int64_t kMaxLayers = 1000;
inline constexpr int64_t kMaxHidden = 65536;
inline constexpr int64_t kMaxFfn = 1 << 20;
inline constexpr int64_t kMaxVocab = 1 << 24;
inline constexpr int64_t kMaxPositions = 1 << 22;

class ConfigReader {
 public:
  explicit ConfigReader(const JsonValue& root);

  const std::string& where() const { return root_.where(); }
  // A whole number in [low, high]. Errors: bad_format naming key, got and the bounds; count():
  // also when the key is absent.
  int64_t count(std::string_view key, int64_t low, int64_t high);
  int64_t count(std::string_view key, int64_t low, int64_t high, int64_t fallback);
  bool flag(std::string_view key, bool fallback);
  double number(std::string_view key, double low, double high, double fallback);
  std::string text(std::string_view key, std::string_view fallback);
  std::optional<JsonValue> find(std::string_view key);  // absent or null: empty

  // Keys that are known and do not change a forward pass (dropout, class names, ...).
  void ignore(std::initializer_list<std::string_view> keys);
  // Errors: unsupported, unless the key is absent, null or equal to `only`.
  void require(std::string_view key, std::string_view only);
  void require(std::string_view key, const char* only) { require(key, std::string_view(only)); }
  void require(std::string_view key, bool only);

  std::vector<std::string> unread() const;  // in file order

 private:
  JsonValue root_;
  std::set<std::string, std::less<>> read_;
};

}  // namespace akin::model
