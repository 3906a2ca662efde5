// Matryoshka representation learning as a loss over a loss (arXiv:2205.13147): the same loss on the
// first m dims, for every m, each prefix normalised again. Not a truncation at inference.
#pragma once

#include <memory>
#include <vector>

#include "loss/loss.h"

namespace akin::loss {

struct MatryoshkaOptions {
  std::vector<int64_t> dims = {};    // every one <= E; the full E should be among them
  std::vector<double> weights = {};  // one for each of dims; empty: all 1
};

// Sum over dims of weight * loss(prefix). Teacher vectors are cut too, unless they are wider than
// E. Errors: usage (no dims, doubled dims, dims < 1, another number of weights); at forward: usage
// when a dim exceeds E.
std::unique_ptr<Loss> make_matryoshka(std::unique_ptr<Loss> inner, MatryoshkaOptions options);

}  // namespace akin::loss
