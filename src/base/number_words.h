// Numbers as people read them in reports and on terminals. Data files and JSON have plain digits.
#pragma once

#include <cstdint>
#include <string>

namespace akin {

// 12,345
inline std::string thousands(uint64_t number) {
  std::string out = std::to_string(number);
  for (size_t at = out.size(); at > 3;) out.insert(at -= 3, 1, ',');
  return out;
}

}  // namespace akin
