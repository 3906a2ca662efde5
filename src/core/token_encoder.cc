#include "core/token_encoder.h"

namespace akin {

TokenEncoder* token_encoder(Encoder& encoder) { return dynamic_cast<TokenEncoder*>(&encoder); }

}  // namespace akin
