// A model with a table of absolute positions as the start of one with rotary positions: the table
// is dropped, every other weight stays (how XLM-RoBERTa became jina-embeddings-v3,
// arXiv:2409.10173). What comes out is a folder of the family jina_v3 without adapters; it has to
// be trained before it is of use.
#pragma once

#include <cstdint>
#include <filesystem>

namespace akin::model {

struct RotaryStart {
  uint64_t max_tokens = 0;  // that the new model reads; 0: as many as the old one
  double base = 10000;
};

// Writes `out`, a folder that does not exist or that this made. Errors: unsupported, naming what of
// the architecture the family cannot say; those of load_model.
void write_rotary_start(const std::filesystem::path& in, const std::filesystem::path& out,
                        const RotaryStart& options);

}  // namespace akin::model
