#include "core/pooling_words.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace akin {

PoolingSpec pooling_from_words(const std::string& words, std::string_view where) {
  static constexpr PoolingMode kModes[] = {PoolingMode::cls,           PoolingMode::max,
                                           PoolingMode::mean,          PoolingMode::mean_sqrt_len,
                                           PoolingMode::weighted_mean, PoolingMode::last_token};
  PoolingSpec spec;
  size_t begin = 0, found = 0, asked = 0;
  for (; begin <= words.size(); ++asked) {
    const size_t end = std::min(words.find('+', begin), words.size());
    const std::string_view word = std::string_view(words).substr(begin, end - begin);
    for (const auto mode : kModes) found += pooling_mode_name(mode) == word ? 1 : 0;
    if (found != asked + 1) {
      throw_error(ErrorKind::usage, where,
                  "{} is not one of cls, max, mean, mean_sqrt_len, weighted_mean, last_token",
                  quote(word));
    }
    begin = end + 1;
  }
  for (const auto mode : kModes) {  // concatenated in this order, whatever the order of the words
    const auto whole = "+" + words + "+";
    if (whole.find(fmt::format("+{}+", pooling_mode_name(mode))) != std::string::npos) {
      spec.modes.push_back(mode);
    }
  }
  return spec;
}

}  // namespace akin
