// MinHash signatures of texts as sets of word shingles. Banding and what it is used for are
// filters/near.cc. Internal to data/.
//
// Source  Broder, "On the resemblance and containment of documents", SEQUENCES 1997; one byte of
//         each minimum: Li and Konig, arXiv:0910.3349.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace akin::data {

inline constexpr size_t kMinHashes = 128;

// The smallest values of kMinHashes hash functions over the shingles of a text: runs of
// `shingle_words` words (fold.h: lower case, an ideograph or kana is a word), the whole text where
// it has fewer. A text without words is one shingle. Two texts agree in a place with probability J,
// their Jaccard similarity.
std::array<uint32_t, kMinHashes> min_hashes(std::string_view text, size_t shingle_words);

// J as estimated from the places where two signatures of kMinHashes bytes agree, the lowest byte of
// each minimum. Standard error: sqrt(J (1 - J) / 128), 0.035 at 0.8.
double estimated_similarity(const char* a, const char* b);

}  // namespace akin::data
