// How alike the two vectors of each row are, by every measure that mteb reports, in float32 as
// scikit-learn computes them; and the small steps on vectors that tasks share.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mat.h"
#include "eval/task.h"

namespace akin::eval {

// One value a row. cosine = 1 - |x - y|^2 / 2 of the normalised rows (not their dot product: ties
// differ); similarity is the model's own: the dot product of normalised rows, or of the rows as
// they are for a dot-product model; the distances are as they are, smaller is more alike.
struct PairScores {
  std::vector<double> similarity, cosine, manhattan, euclidean, dot;
};
PairScores score_pairs(MatView<const float> a, MatView<const float> b, bool dot_similarity,
                       ThreadPool& pool);

// Rows divided by max(length, 1e-12), in place.
void normalize_rows(MatView<float> rows);
float dot(const float* a, const float* b, size_t dim);

// vectors cut to `dim`, ready for the model's similarity: normalised unless it is the dot product.
Mat<float> similarity_rows(MatView<const float> vectors, size_t dim, const CachedEncoder& encoder);
bool uses_dot(const CachedEncoder& encoder);

// The vectors of texts that are neither query nor document, under the prompt of the task.
Mat<float> encode_texts(const TaskContext& context, std::span<const std::string> texts);

// Calls score(dim, a cut to dim, b cut to dim) for each of context.dims and collects what it
// returns.
using ScorePair = std::function<Scores(MatView<const float> a, MatView<const float> b)>;
std::vector<Scores> for_each_dim(const TaskContext& context, MatView<const float> a,
                                 MatView<const float> b, const ScorePair& score);

// The mean and the population standard deviation.
double mean_of(std::span<const double> values);
double deviation_of(std::span<const double> values);

}  // namespace akin::eval
