#include "serve/dialect.h"

namespace akin::serve {

#define AKIN_DIALECT(name) const Dialect& name##_dialect();
#include "serve/dialects.def"
#undef AKIN_DIALECT

std::span<const Dialect* const> dialects() {
  static const Dialect* const table[] = {
#define AKIN_DIALECT(name) &name##_dialect(),
#include "serve/dialects.def"
#undef AKIN_DIALECT
  };
  return table;
}

}  // namespace akin::serve
