// The documents of a search: their texts, places and vectors; the vectors computed, read from a
// file, or kept in a cache.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/mat.h"
#include "cli/load.h"
#include "core/encoder.h"

namespace akin::cli {

struct CorpusOptions {
  std::string vectors;
  bool allow_mismatch = false;
  bool cache = false;
  size_t block = 8192;
  template <typename Visitor>
  void fields(Visitor& v) {
    v("vectors=FILE", vectors,
      "a .npy with one vector per document row, also per empty one, as akin embed writes it, "
      "instead "
      "of embedding again");
    v("allow-mismatch", allow_mismatch,
      "use --vectors or --index although they were made by another model");
    v("cache", cache,
      "keep document vectors in $XDG_CACHE_HOME/akin, found again by contents and model "
      "fingerprint");
    v("block=N", block, "documents embedded at a time");
  }
};

struct Document {
  std::string text, id;
  uint32_t file = 0;  // into Corpus::files
  uint64_t line = 0;
  bool whole_file = false;  // one of a folder's
};

struct Corpus {
  std::vector<Document> documents;
  // Rows of the input: akin embed writes a vector for each, also for empty ones, which are no
  // documents.
  uint64_t rows = 0;
  std::vector<uint64_t> empty_rows;  // ascending
  std::vector<std::string> files;
  Mat<float> vectors;  // [documents, E]
  std::string origin;  // "embedded", "read", "cached": for the closing line
  uint64_t tokens = 0;
  double seconds = 0;  // to get the vectors

  std::string place(size_t row) const;  // the file of a folder; else the id, else file:line
};

// Reads every text. Errors: as InputReader's.
Corpus read_corpus(const std::vector<std::string>& inputs, const InputOptions& input,
                   Context& context);
// Fills corpus.vectors. Errors: usage, when --vectors do not fit; those of Encoder::encode.
void fill_vectors(Corpus& corpus, const CorpusOptions& options, Encoder& encoder,
                  EncodeOptions encode, Context& context);
std::filesystem::path cache_folder();

}  // namespace akin::cli
