// Late chunking (arXiv:2409.04701): a document goes through the model once, and each of its chunks
// becomes the mean of its own tokens' vectors, which have seen the whole document. Where to cut,
// and the means; running the model is an encoder's business.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/encoder.h"

namespace akin {

// Bytes [begin, end) of a document, and its tokens among the document's, special ones left out.
struct TextChunk {
  uint32_t begin = 0, end = 0;
  size_t token_begin = 0, token_end = 0;
};

// Chunks of at most `most` tokens that cover the document's tokens in order. A chunk ends at the
// last end of a sentence or line in its second half, else where it is full. Only tokens' places are
// read of `tokens`. Errors: usage, for 0.
std::vector<TextChunk> chunk_tokens(std::string_view text, const TokenVectors& tokens, size_t most);

// Row c: the mean of chunk c's token vectors, its first out.cols() dims, of unit length if
// `normalize`. out: [chunks, at most hidden].
void pool_chunks(const TokenVectors& tokens, std::span<const TextChunk> chunks, bool normalize,
                 MatView<float> out);

}  // namespace akin
