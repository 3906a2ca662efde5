// The steps of load_model that have a file of their own. Internal to model/.
#pragma once

#include <string>

#include "model/family.h"
#include "model/model.h"
#include "model/weights.h"
#include "store/st_folder.h"

namespace akin::model {

// heads.cc: fills model.heads, model.dense and model.dim from the folder's modules, and takes the
// Dense weights into `weights`. Errors: bad_format where a Dense does not fit what comes before it.
void read_heads(const store::StFolder& st, Model& model, MappedWeights& weights);

// heads.cc: the pooling of the folder, else of the options, else of the family; never a guess.
// Errors: not_found naming what was looked for; usage where options and folder disagree.
PoolingSpec choose_pooling(const std::filesystem::path& folder, const store::StFolder& st,
                           const LoadOptions& options, const FamilyPlan& plan);

// "mean", "cls+mean".
std::string pooling_name(const PoolingSpec& spec);

std::string make_fingerprint(const Model& model);  // fingerprint.cc

}  // namespace akin::model
