// What `akin serve` loads: models and indexes named on the command line, as the sources that
// serve/ asks for. Not the server.
#pragma once

#include <string>
#include <vector>

#include "core/encoder.h"
#include "serve/host.h"
#include "serve/host_index.h"

namespace akin::cli {

struct NamedFolder {
  std::string name;  // empty: not given
  std::string folder;
};
// "NAME=DIR" or "DIR". Errors: usage, an empty part.
NamedFolder parse_named_folder(const std::string& flag, const std::string& text);

struct ServeLoad {
  std::string pooling;
  Precision dtype = Precision::f32;
  size_t threads = 0;
  double rope_base = 0;  // 0: each model's own
};
// One source a --model, each a CPU engine, or a cross-encoder where the folder is one.
std::vector<serve::ModelSource> model_sources(const std::vector<std::string>& models,
                                              const ServeLoad& load);

// Opened indexes, each joined to the served model whose fingerprint it has. Errors: usage, none has
// it; those of index::Index::open.
std::vector<serve::CarriedIndex> open_indexes(const std::vector<std::string>& indexes,
                                              const serve::Service& service, bool writable);

}  // namespace akin::cli
