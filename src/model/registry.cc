// The table of families, made from families.def.
#include "base/error.h"
#include "model/family.h"

namespace akin::model {

#define AKIN_FAMILY(name) Family family_##name();
#include "model/families.def"
#undef AKIN_FAMILY

const std::vector<Family>& families() {
#define AKIN_FAMILY(name) family_##name(),
  static const std::vector<Family> kFamilies = {
#include "model/families.def"
  };
#undef AKIN_FAMILY
  return kFamilies;
}

const Family& family_for(const JsonValue& config) {
  std::string known;
  for (const Family& family : families()) {
    if (family.claims(config)) return family;
    known += (known.empty() ? "" : ", ") + std::string(family.name);
  }
  const auto type = config.find("model_type");
  if (!type) {
    throw_error(ErrorKind::unsupported, config.where(),
                "\"model_type\" is missing, so the architecture is unknown; akin knows {}", known);
  }
  throw_error(ErrorKind::unsupported, config.where(), "model_type {} is not one akin runs ({})",
              quote(type->as_string()), known);
}

}  // namespace akin::model
