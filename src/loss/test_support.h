// What the tests of this room share: batches with given cosines, random batches, plain-loop
// cosines, and central differences. Not part of the library.
//
// Shapes: B rows, M negatives of each, E embedding dim.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "loss/loss.h"

namespace akin::loss {

using Numbers = std::vector<double>;
using Grid = std::vector<Numbers>;

inline at::Tensor tensor(const Grid& rows) {
  const auto height = static_cast<int64_t>(rows.size());
  const auto width = static_cast<int64_t>(rows.front().size());
  auto out = at::empty({height, width}, at::kDouble);
  for (int64_t i = 0; i < height; ++i) {
    for (int64_t j = 0; j < width; ++j) out[i][j] = rows[i][j];
  }
  return out;
}

inline at::Tensor whole(const std::vector<int64_t>& values) {
  auto out = at::empty({static_cast<int64_t>(values.size())}, at::kLong);
  for (size_t i = 0; i < values.size(); ++i) out[static_cast<int64_t>(i)] = values[i];
  return out;
}

inline at::Tensor numbers(const Numbers& values) { return tensor({values}).squeeze(0); }

// Unit vectors [N, B + 1] whose cosine with the i-th axis is cosines[i][j].
inline at::Tensor with_cosines(const Grid& cosines) {
  const auto columns = tensor(cosines).t();
  return at::cat({columns, (1 - columns.pow(2).sum(1, true)).sqrt()}, 1);
}

inline at::Tensor axes(int64_t rows) { return at::eye(rows, rows + 1, at::kDouble); }

// Reproducible values in [-1, 1], without torch's generators.
inline at::Tensor noise(at::IntArrayRef sizes, uint64_t seed) {
  auto out = at::empty(sizes, at::kDouble);
  auto* data = out.data_ptr<double>();
  uint64_t state = seed * 0x9E3779B97F4A7C15ULL + 1;
  for (int64_t i = 0; i < out.numel(); ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    data[i] = static_cast<double>(state >> 11) / 9007199254740992.0 * 2 - 1;
  }
  return out;
}

inline LossInput random_batch(int64_t rows, int64_t negatives, int64_t dim, uint64_t seed = 1) {
  LossInput in;
  in.queries = noise({rows, dim}, seed);
  in.documents = noise({rows, dim}, seed + 1) + in.queries;
  if (negatives > 0) {
    in.negatives = noise({rows, negatives, dim}, seed + 2) + 0.5 * in.queries.unsqueeze(1);
  }
  return in;
}

inline double cosine(const at::Tensor& a, const at::Tensor& b) {
  return a.dot(b).item<double>() / (a.norm().item<double>() * b.norm().item<double>());
}

inline Grid cosines_of(const at::Tensor& a, const at::Tensor& b) {
  Grid out;
  for (int64_t i = 0; i < a.size(0); ++i) {
    auto& row = out.emplace_back();
    for (int64_t j = 0; j < b.size(0); ++j) row.push_back(cosine(a[i], b[j]));
  }
  return out;
}

inline double loss_value(const Loss& loss, const LossInput& in) {
  return loss.forward(in).loss.item<double>();
}

inline std::vector<at::Tensor*> embeddings_of(LossInput& in) {
  std::vector<at::Tensor*> out;
  for (auto* field : {&in.queries, &in.documents, &in.negatives}) {
    if (field->defined()) out.push_back(field);
  }
  return out;
}

// The gradients with respect to queries, documents and negatives, as far as they are there.
inline std::vector<at::Tensor> gradients(const Loss& loss, LossInput in) {
  for (auto* field : embeddings_of(in)) *field = field->detach().clone().requires_grad_(true);
  loss.forward(in).loss.backward();
  std::vector<at::Tensor> out;
  for (auto* field : embeddings_of(in)) {
    out.push_back(field->grad().defined() ? field->grad() : at::zeros_like(*field));
  }
  return out;
}

// Every coordinate's gradient against the slope between two points around it.
inline void expect_gradient(const Loss& loss, const LossInput& in, const std::string& name) {
  const auto analytic = gradients(loss, in);
  LossInput moved = in;
  const auto fields = embeddings_of(moved);
  constexpr double kStep = 1e-5;
  for (size_t f = 0; f < fields.size(); ++f) {
    const auto start = fields[f]->detach().clone();
    for (int64_t k = 0; k < start.numel(); ++k) {
      double values[2];
      for (const int side : {0, 1}) {
        auto point = start.clone();
        point.view(-1)[k] += side == 0 ? -kStep : kStep;
        *fields[f] = point;
        values[side] = loss_value(loss, moved);
      }
      *fields[f] = start;
      const double slope = (values[1] - values[0]) / (2 * kStep);
      const double got = analytic[f].reshape(-1)[k].item<double>();
      ASSERT_NEAR(got, slope, 1e-6 * std::max(1.0, std::abs(slope)))
          << name << " field " << f << " coordinate " << k;
    }
  }
}

template <typename Call>
void expect_usage(const Call& call, const std::string& part) {
  try {
    call();
    FAIL() << "no error; expected one with: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

}  // namespace akin::loss
