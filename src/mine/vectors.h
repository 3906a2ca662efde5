// The vectors of a text file on disk, computed once: a run that was killed goes on behind the last
// whole block, and a later run over the same texts with the same model computes nothing. Not a
// format for exchange.
//
// Shapes: N texts, E dims.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/mat.h"
#include "core/encoder.h"
#include "mine/text_file.h"

namespace akin::mine {

// A model and how it is asked on each side. Borrows the encoder.
struct Model {
  Encoder* encoder = nullptr;
  EncodeOptions query, document;
};

// What a vector depends on besides its text.
std::string encoding_key(const EncoderInfo& info, const EncodeOptions& options);

struct VectorCounts {
  uint64_t texts = 0, kept = 0, truncated = 0, tokens = 0;  // kept: from an earlier run
};

// Read-only once made; thread-safe. Memory: none but the system's page cache.
class TextVectors {
 public:
  static constexpr size_t kBlockRows = 4096;
  // Embeds what `path` does not hold yet. texts_hash: names the texts. Errors: io; those of
  // Encoder::encode; interrupted.
  TextVectors(const TextFile& texts, const std::string& texts_hash, Encoder& encoder,
              const EncodeOptions& options, const std::filesystem::path& path,
              std::string_view what, const ProgressSink& progress);

  size_t rows() const { return rows_; }
  size_t dims() const { return dims_; }
  const float* row(size_t number) const;  // [E]
  // Rows of one block: begin is a multiple of kBlockRows. [.., E]
  MatView<const float> block(size_t begin) const;
  void release_pages() const { file_.release_pages(); }
  const VectorCounts& counts() const { return counts_; }

 private:
  size_t block_bytes(size_t begin) const;
  uint64_t block_offset(size_t begin) const;
  size_t sound_rows(const std::filesystem::path& path, const std::string& head) const;
  size_t rows_, dims_;
  MappedFile file_;
  VectorCounts counts_;
};

}  // namespace akin::mine
