#include "model/rotary_base.h"

#include "base/error.h"
#include "model/load.h"

namespace akin::model {

void set_rotary_base(Model& model, double base) {
  if (model.arch.position != PositionKind::rotary) {
    throw_error(ErrorKind::unsupported, model.folder.string(),
                "{} has no rotary positions, so they have no base to change", model.arch.family);
  }
  if (!(base >= 1 && base <= 1e12)) {
    throw_error(ErrorKind::usage, "--rope-base", "{} is not between 1 and 1e12", base);
  }
  model.arch.rotary_base = base;
  model.fingerprint = make_fingerprint(model);
}

}  // namespace akin::model
