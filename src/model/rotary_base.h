// A model with rotary positions, run with another base frequency than it was trained with: a larger
// one turns more slowly, so that distances beyond those of training stay within the angles that
// were seen. jina-embeddings-v3 trains with 10,000 and runs with 20,000 (arXiv:2409.10173 section
// 3).
#pragma once

#include "model/model.h"

namespace akin::model {

// Angles of position p become p * base^(-2i / d), i = 0 ... d/2 - 1. Layers with a base of their
// own (ModernBERT's local ones) keep it. The fingerprint is another one, so that vectors of two
// bases never meet in a cache or an index. Before an engine is made of the model. Errors:
// unsupported, for a model without rotary positions; usage, for a base outside [1, 1e12].
void set_rotary_base(Model& model, double base);

}  // namespace akin::model
