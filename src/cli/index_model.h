// The model of an index: opened by what the index remembers of it, checked against its fingerprint,
// asked in the way its documents were.
#pragma once

#include <memory>

#include "cli/load.h"
#include "core/encoder.h"
#include "index/index.h"

namespace akin::cli {

// --model as something that another working directory understands too.
std::string model_source(const std::string& model);

// Without --model the one that the index names. Errors: usage, another model, naming both; those of
// load_encoder.
std::unique_ptr<Encoder> open_index_model(const index::Index& index, ModelOptions model,
                                          bool allow_mismatch);

// How queries are embedded: the model's query prompt; the counterpart of the documents' task, which
// is retrieval.query for retrieval.passage and else the same; the index's dims. Errors: usage,
// flags that the index contradicts.
EncodeOptions index_query_options(const index::Index& index, const EncodeFlags& flags,
                                  const EncoderInfo& info, Context& context);
// How more documents are embedded: as those that are there. Errors: the same.
EncodeOptions index_document_options(const index::Index& index, const EncodeFlags& flags,
                                     const EncoderInfo& info, Context& context);

}  // namespace akin::cli
