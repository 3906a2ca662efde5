#include "core/pooling_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"

namespace akin {
namespace {

std::optional<PoolingMode> mode_of(std::string_view word) {
  struct Row {
    std::string_view name;
    PoolingMode mode;
  };
  static constexpr Row kRows[] = {
      {"cls", PoolingMode::cls},
      {"max", PoolingMode::max},
      {"mean", PoolingMode::mean},
      {"mean_sqrt_len", PoolingMode::mean_sqrt_len},
      {"weighted_mean", PoolingMode::weighted_mean},
      {"last_token", PoolingMode::last_token},
  };
  for (const Row& row : kRows) {
    // pooling_mode_name: the word of sentence-transformers, which akin info prints.
    if (row.name == word || pooling_mode_name(row.mode) == word) return row.mode;
  }
  return {};
}

}  // namespace

PoolingSpec pooling_from_words(const std::string& words, std::string_view where) {
  PoolingSpec spec;
  for (size_t begin = 0; begin <= words.size();) {
    const size_t end = std::min(words.find('+', begin), words.size());
    const std::string_view word = std::string_view(words).substr(begin, end - begin);
    const auto mode = mode_of(word);
    if (!mode) {
      throw_error(ErrorKind::usage, where,
                  "{} is not one of cls, max, mean, mean_sqrt_len, weighted_mean, last_token",
                  quote(word));
    }
    spec.modes.push_back(*mode);
    begin = end + 1;
  }
  // Concatenated in this order, whatever the order of the words; a word said twice counts once.
  std::sort(spec.modes.begin(), spec.modes.end());
  spec.modes.erase(std::unique(spec.modes.begin(), spec.modes.end()), spec.modes.end());
  return spec;
}

}  // namespace akin
