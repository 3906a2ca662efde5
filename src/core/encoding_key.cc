#include "core/encoding_key.h"

namespace akin {

void add_encoding(Hasher& hasher, const EncoderInfo& info, const EncodeOptions& options) {
  hasher.add(info.fingerprint);
  hasher.add(precision_name(info.precision));
  hasher.add(resolve_prompt(info, options));
  hasher.add(options.task);
  hasher.add(uint64_t{resolve_dims(info, options)});
  hasher.add(uint64_t{options.normalize});
  hasher.add(static_cast<uint64_t>(options.truncate));
}

}  // namespace akin
